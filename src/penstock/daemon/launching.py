"""Handlers: starting, watching and stopping attempts. Outward: no transaction is open while they
do it."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar

from penstock.compute.target import ComputeTarget, Observation, Phase
from penstock.core.model import StepRun, Timer
from penstock.core.pipeline import is_stopping
from penstock.core.states import RUN_ENDS, StepState
from penstock.daemon import running
from penstock.daemon.launches import Facts, Surroundings, compose, gather, launch_id
from penstock.daemon.running import Result, Rules, Work
from penstock.errors import Invalid, NotFound, PenstockError, Unavailable
from penstock.service.files import step_folder
from penstock.service.pipelines import load_graph
from penstock.store import runs, steps, timers
from penstock.store.database import Store, Transaction

log = logging.getLogger(__name__)

Item = TypeVar("Item")

# How long a look at a running step may take before another daemon looks as well.
CHECK_LEASE_SECONDS = 30.0
# Attempts that this process started report their end themselves; a look now and then is the
# safety net.
WATCHED_POLL_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What a look at one running step must know."""

    timer: Timer
    step_run: StepRun
    is_stopping: bool
    deadline: datetime | None
    facts: Facts | None  # to launch it again if it turns out never to have started


class Launching:
    """Starts, watches and stops the attempts of this server's steps."""

    def __init__(
        self,
        *,
        store: Store,
        targets: Mapping[str, ComputeTarget],
        around: Surroundings,
        rules: Rules,
        copier: Executor,
        wake: Callable[[], None],
    ) -> None:
        """Keep what is needed.

        Args:
            store: the database.
            targets: the compute targets by name.
            around: what is the same for all steps.
            rules: what the settings say.
            copier: where launches run that must copy data first, so that nothing waits for them.
            wake: called from any thread when an attempt has ended.
        """
        self._store = store
        self._targets = targets
        self._around = around
        self._rules = rules
        self._copier = copier
        self._wake = wake
        self._ended: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._failed: queue.SimpleQueue[Result] = queue.SimpleQueue()
        self._watched: set[str] = set()  # launch ids whose end this process will hear of
        self._copying: set[str] = set()
        self._lock = threading.Lock()

    # ---- one pass ----

    def run_once(self, now: datetime) -> int:
        """Take note of what ended, move due runs forward, look at running steps; return how much
        was done."""
        done = self._take_results(now)
        with self._store.read() as tx:
            due = timers.next_due(tx, ["run"])
            check = timers.next_due(tx, ["step"])
        if due is not None and due <= now:
            with self._store.begin() as tx:
                count, work = running.advance_due(tx, now, self._rules)
            done += count
            self._carry_out(work, now)
        if check is not None and check <= now:
            done += self._check_due(now)
        return done

    def recover(self, now: datetime) -> None:
        """Look at everything that was under way: after a start, and after the clock has jumped."""
        with self._store.begin() as tx:
            timers.arm_many(tx, [("step", id, now) for id in steps.running_ids(tx)])
            timers.arm_many(tx, [("run", id, now) for id in runs.unfinished_ids(tx)])
            work = running.fill(tx, now, self._rules)
        self._carry_out(work, now)

    # ---- ends ----

    def _on_exit(self, id: str) -> None:
        self._ended.put(id)
        self._wake()

    def _take_results(self, now: datetime) -> int:
        ended = [self._result(*_parts(id)) for id in _drained(self._ended)]
        results = [result for result in ended if result is not None] + _drained(self._failed)
        if results:
            self._record(results, now)
        return len(results)

    def _result(self, step_run_id: str, attempt: int) -> Result | None:
        """Return how an attempt ended that is said to have ended; None if it has not, after all."""
        self._watched.discard(f"{step_run_id}-{attempt}")
        with self._store.read() as tx:
            step_run = steps.find(tx, step_run_id)
        if step_run is None or step_run.attempt != attempt:
            return None
        seen = self._poll(step_run)
        if seen.phase not in (Phase.EXITED, Phase.VANISHED):
            return None
        return Result(step_run_id=step_run_id, attempt=attempt, observation=seen)

    def _record(self, results: list[Result], now: datetime) -> None:
        with self._store.begin() as tx:
            work = running.record_results(tx, results, now, self._rules)
        self._carry_out(work, now)

    # ---- starts and stops ----

    def _carry_out(self, work: Work, now: datetime) -> None:
        """Do outside what a transaction decided; failures become results."""
        for step_run in work.stops:
            self._stop(step_run)
        for facts in work.launches:
            self._launch(facts)
        failed = _drained(self._failed)
        if failed:
            self._record(failed, now)

    def _launch(self, facts: Facts) -> None:
        id = launch_id(facts.step_run)
        try:
            launch = compose(facts, self._around)
        except PenstockError as error:
            self._failed.put(_not_started(facts.step_run, error))
            return
        target = self._targets[facts.step_run.compute]

        def start() -> None:
            with self._lock:
                self._watched.add(id)
            try:
                target.launch(launch, self._on_exit)
            except PenstockError as error:
                self._watched.discard(id)
                self._failed.put(_not_started(facts.step_run, error))
                self._wake()
            except OSError as error:
                self._watched.discard(id)
                failure = Unavailable(f"the step could not be started: {error}")
                self._failed.put(_not_started(facts.step_run, failure))
                self._wake()
            finally:
                self._copying.discard(id)

        if launch.copies:
            self._copying.add(id)
            self._copier.submit(start)
        else:
            start()

    def _stop(self, step_run: StepRun) -> None:
        target = self._targets[step_run.compute]
        try:
            target.stop(launch_id(step_run), step_folder(self._around.home, step_run))
        except PenstockError as error:  # tried again at the next look
            log.warning("step_stop_failed step_run_id=%s reason=%s", step_run.id, error)

    # ---- looks ----

    def _check_due(self, now: datetime) -> int:
        """Look at the running steps whose timers are due."""
        with self._store.begin() as tx:
            due = timers.claim(tx, ["step"], now, CHECK_LEASE_SECONDS, 100)
            seen = [s for timer in due if (s := self._see(tx, timer, now)) is not None]
            work = running.fill(tx, now, self._rules)  # back-offs that have run out
        self._carry_out(work, now)
        results = []
        looked = []
        for look in seen:
            result = self._look(look, now)
            if result is not None:
                results.append(result)
            else:
                looked.append((look.timer, now + timedelta(seconds=self._next_look(look, now))))
        if looked:
            with self._store.begin() as tx:
                timers.rearm_many(tx, looked)
        if results:
            self._record(results, now)
        return len(due)

    def _see(self, tx: Transaction, timer: Timer, now: datetime) -> _Seen | None:
        """Read what must be known of one step; None, and its timer gone, if it is not running."""
        step_run = steps.find(tx, timer.subject_id)
        if step_run is None or step_run.state is not StepState.RUNNING:
            timers.finish(tx, timer)
            return None
        run = runs.find(tx, step_run.run_id)
        if run is None:
            timers.finish(tx, timer)
            return None
        graph = load_graph(tx, run.workspace_id, run.graph_id)
        siblings = steps.for_runs(tx, [run.id])[run.id]
        stopping = run.state in RUN_ENDS or is_stopping(
            {s.step_id: s.state for s in siblings},
            continue_on_step_failure=run.continue_on_step_failure,
            is_canceling=run.cancel_requested_at is not None,
        )
        timeout = graph.by_id[step_run.step_id].timeout_seconds
        started_at = step_run.started_at or now
        facts: Facts | None = None
        try:
            ids = {sibling.step_id: sibling.id for sibling in siblings}
            facts = gather(tx, run, graph, step_run, ids)
        except NotFound as error:
            log.warning("step_facts_missing step_run_id=%s reason=%s", step_run.id, error)
        return _Seen(
            timer=timer,
            step_run=step_run,
            is_stopping=stopping,
            deadline=started_at + timedelta(seconds=timeout) if timeout is not None else None,
            facts=facts,
        )

    def _look(self, look: _Seen, now: datetime) -> Result | None:
        """Look at one attempt; return its result if it has ended, and do what else is called
        for."""
        step_run = look.step_run
        if launch_id(step_run) in self._copying:
            return None
        seen = self._poll(step_run)
        is_late = look.deadline is not None and now >= look.deadline
        error = f"timed out after {_seconds(look)} s" if is_late else None
        match seen.phase:
            case Phase.RUNNING:
                if look.is_stopping or is_late:
                    self._stop(step_run)
                return None
            case Phase.ABSENT if look.is_stopping:
                observation = replace(seen, phase=Phase.VANISHED)
                return _result(step_run, observation)
            case Phase.ABSENT:
                if look.facts is not None:
                    self._launch(look.facts)
                return None
            case Phase.ELSEWHERE:
                return None
            case _:
                return replace(_result(step_run, seen), error=error)

    def _next_look(self, look: _Seen, now: datetime) -> float:
        """Return the seconds until the next look at an attempt that goes on."""
        is_watched = launch_id(look.step_run) in self._watched and not look.is_stopping
        seconds = WATCHED_POLL_SECONDS if is_watched else self._rules.step_poll_seconds
        if look.deadline is not None:
            left = (look.deadline - now).total_seconds()
            seconds = min(seconds, left) if left > 0 else min(seconds, 1.0)
        return seconds

    def _poll(self, step_run: StepRun) -> Observation:
        target = self._targets[step_run.compute]
        try:
            return target.poll(launch_id(step_run), step_folder(self._around.home, step_run))
        except PenstockError as error:
            log.warning("step_poll_failed step_run_id=%s reason=%s", step_run.id, error)
            return Observation(phase=Phase.RUNNING)  # not known to have ended


def _result(step_run: StepRun, observation: Observation) -> Result:
    return Result(step_run_id=step_run.id, attempt=step_run.attempt, observation=observation)


def _not_started(step_run: StepRun, error: PenstockError) -> Result:
    """Return the result of an attempt that its target did not take."""
    is_hopeless = isinstance(error, (Invalid, NotFound))
    return Result(
        step_run_id=step_run.id,
        attempt=step_run.attempt,
        observation=Observation(phase=Phase.ABSENT),
        error=str(error),
        can_retry=not is_hopeless,
        was_not_started=not is_hopeless,
    )


def _seconds(look: _Seen) -> str:
    assert look.deadline is not None
    assert look.step_run.started_at is not None
    return f"{(look.deadline - look.step_run.started_at).total_seconds():g}"


def _parts(id: str) -> tuple[str, int]:
    step_run_id, _, attempt = id.rpartition("-")
    return step_run_id, int(attempt)


def _drained(source: queue.SimpleQueue[Item]) -> list[Item]:
    items = []
    while True:
        try:
            items.append(source.get_nowait())
        except queue.Empty:
            return items
