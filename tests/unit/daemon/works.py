"""A daemon over a real store and a fake compute target, moved on by hand."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor, Future
from datetime import timedelta
from typing import Any

from tests.builders import NOW
from tests.unit.service.site import Site

from penstock.core.model import Run, StepRun
from penstock.core.pipeline import Step
from penstock.core.states import RunState, StepState
from penstock.daemon.launches import Surroundings
from penstock.daemon.loop import Daemon, Pass
from penstock.daemon.running import Rules
from penstock.datastores.opening import open_datastore
from penstock.service import runs, schedules
from penstock.service.tokens import RunTokens
from penstock.testing.compute import FakeComputeTarget


class Slow(Executor):
    """Does nothing until it is told to."""

    def __init__(self) -> None:
        self.waiting: list[Any] = []

    def submit(self, fn, /, *args, **kwargs):  # type: ignore[no-untyped-def,override]
        future: Future[Any] = Future()
        self.waiting.append(lambda: future.set_result(fn(*args, **kwargs)))
        return future

    def work(self) -> None:
        """Do what waits."""
        waiting, self.waiting = self.waiting, []
        for job in waiting:
            job()


class Works:
    """A site whose runs a daemon moves."""

    def __init__(self, site: Site, *, places: int = 4, late_seconds_max: float = 60.0) -> None:
        self.site = site
        self.target = FakeComputeTarget()
        self.copier = Slow()
        self.tokens = RunTokens(b"s" * 32)
        self.places = places
        self.late_seconds_max = late_seconds_max
        self.daemon = self.another_daemon()

    def another_daemon(self, **parts: Any) -> Daemon:
        """Return a daemon over the same store and target, as after a restart or beside."""
        fields: dict[str, Any] = {
            "store": self.site.store,
            "clock": self.site.clock,
            "targets": {"local": self.target},
            "around": Surroundings(
                home=self.site.home,
                tokens=self.tokens,
                base_url=lambda: "http://here",
                open_datastore=open_datastore,
            ),
            "rules": Rules(steps_running_max=self.places, step_poll_seconds=1.0),
            "late_seconds_max": self.late_seconds_max,
            "copier": self.copier,
        }
        return Daemon(**fields | parts)

    def restart(self) -> None:
        """Replace the daemon by another one, as if it had been killed."""
        self.target.forget_listeners()
        self.daemon = self.another_daemon()
        self.daemon.recover(self.site.now)
        self.tick()

    def tick(self, **length: float) -> Pass:
        """Move the clock on and let the daemon do what is due."""
        self.site.clock.advance(timedelta(**length))
        return self.daemon.run_once(self.site.now)

    def submit(self, *steps: Step, **fields: Any) -> Run:
        """Submit a run and let the daemon see it."""
        run = self.site.submit(*steps, **fields)
        self.tick()
        return run

    # ---- what became of it ----

    def run(self, run: Run) -> Run:
        """Return a run as it stands now."""
        found: Run = self.site.call(runs.get, run.id)
        return found

    def state(self, run: Run) -> RunState:
        """Return the state of a run as it stands now."""
        return self.run(run).state

    def steps(self, run: Run) -> dict[str, StepRun]:
        """Return the step runs of a run by step id."""
        return {step.step_id: step for step in self.site.call(runs.steps, run.id)}

    def states(self, run: Run) -> dict[str, StepState]:
        """Return the states of a run's steps by step id."""
        return {id: step.state for id, step in self.steps(run).items()}

    def attempt(self, run: Run, step_id: str = "train") -> str:
        """Return the launch id of a step's newest attempt."""
        step = self.steps(run)[step_id]
        return f"{step.id}-{step.attempt}"

    def finish(self, run: Run, step_id: str = "train", exit_code: int = 0) -> None:
        """Let a step's process end, and the daemon hear of it."""
        self.target.finish(self.attempt(run, step_id), exit_code, at=self.site.now)
        self.tick()

    def running(self, *runs: Run) -> Sequence[str]:
        """Return the step ids that run at the target, in the order of the alphabet."""
        by_launch = {
            f"{step.id}-{step.attempt}": step.step_id
            for run in runs
            for step in self.steps(run).values()
        }
        return sorted(by_launch[id] for id in self.target.running)

    def fires(self, id: str) -> list[Any]:
        """Return a schedule's evaluations, oldest first."""
        found = self.site.call(schedules.fires_page, id, limit=1000)[0]
        return sorted(found, key=lambda fire: (fire.fire_time, fire.fired_at))

    def runs_of(self, schedule_id: str) -> list[Run]:
        """Return a schedule's runs, oldest first."""
        found = self.site.call(runs.list_page, schedule_id=schedule_id, limit=1000)[0]
        return sorted(found, key=lambda run: run.fire_time or NOW)
