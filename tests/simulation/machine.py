"""The machine that runs the steps, and the truth about what really ran on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

from penstock.clock import Clock
from penstock.compute.target import Phase, StepLaunch
from penstock.testing.compute import FakeComputeTarget

GRACE = timedelta(seconds=10)


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One process that was really started."""

    launch_id: str
    graph: str  # the step's own words: which graph, which step
    step: str
    run_id: str
    step_run_id: str
    number: int
    exit_code: int | None  # that it ends with by itself; None: it vanishes
    ends_at: datetime | None  # in true time; None: never by itself
    is_stubborn: bool  # needs its whole grace to be stopped
    is_alive: bool = True
    was_stopped: bool = False

    @property
    def has_succeeded(self) -> bool:
        """It ended by itself, and well."""
        return not self.is_alive and self.exit_code == 0


class Machine(FakeComputeTarget):
    """Decides by chance how long each attempt takes and how it ends.

    Its time is true time, which never jumps.
    """

    def __init__(self, chance: Random, clock: Clock, now: datetime) -> None:
        super().__init__()
        self.attempts: dict[str, Attempt] = {}  # by launch id, in the order of their starts
        self.on_start: Callable[[Attempt], None] = lambda attempt: None
        self.is_calm = False  # new attempts end soon
        self._chance = chance
        self._clock = clock
        self._now = now

    @property
    def alive(self) -> list[Attempt]:
        """What runs now."""
        return [attempt for attempt in self.attempts.values() if attempt.is_alive]

    def calm_down(self) -> None:
        """From now on everything that ends by itself ends soon."""
        self.is_calm = True
        for attempt in self.alive:
            if attempt.ends_at is not None:
                attempt.ends_at = min(attempt.ends_at, self._now + timedelta(seconds=20))

    def next_end(self) -> datetime | None:
        """Return when the next attempt ends by itself."""
        return min((a.ends_at for a in self.alive if a.ends_at is not None), default=None)

    def advance(self, now: datetime) -> None:
        """Let everything end that ends up to the true instant `now`."""
        self._now = now
        ending = [a for a in self.alive if a.ends_at is not None and a.ends_at <= now]
        for attempt in sorted(ending, key=lambda a: (a.ends_at, a.launch_id)):
            if attempt.exit_code is None:
                self.vanish(attempt.launch_id)
            else:
                self.finish(attempt.launch_id, attempt.exit_code, at=self._clock.now())

    def launch(self, launch: StepLaunch, on_exit: Callable[[str], None]) -> None:
        """Start the attempt unless its id is known."""
        super().launch(launch, on_exit)
        if self.starts[launch.id] and launch.id not in self.attempts:
            self.attempts[launch.id] = attempt = self._drawn(launch)
            self.on_start(attempt)

    def stop(self, launch_id: str, folder: Path) -> None:
        """Stop the attempt: now, or after its grace."""
        attempt = self.attempts.get(launch_id)
        self.stopped_at = self._clock.now()
        self.ends_when_stopped = attempt is None or not attempt.is_stubborn
        if attempt is not None and attempt.is_alive and not attempt.was_stopped:
            attempt.was_stopped = True
            attempt.exit_code = 137
            limit = self._now + GRACE
            attempt.ends_at = limit if attempt.ends_at is None else min(attempt.ends_at, limit)
        super().stop(launch_id, folder)

    def finish(self, launch_id: str, exit_code: int = 0, *, at: datetime | None = None) -> None:
        """Note the end before anybody hears of it."""
        self.attempts[launch_id].is_alive = False
        self.attempts[launch_id].exit_code = exit_code
        super().finish(launch_id, exit_code, at=at)

    def vanish(self, launch_id: str) -> None:
        """Note the end before anybody hears of it."""
        self.attempts[launch_id].is_alive = False
        self.attempts[launch_id].exit_code = None
        super().vanish(launch_id)

    def _drawn(self, launch: StepLaunch) -> Attempt:
        chance = self._chance
        graph, step = launch.arguments
        exit_code = chance.choices([0, chance.randint(1, 3), None], [84, 12, 4])[0]
        seconds = chance.choice([0.2, chance.uniform(0, 3), chance.uniform(0, 30)])
        if chance.random() < 0.08:
            seconds = chance.uniform(60, 7200)
        ends_at: datetime | None = self._now + timedelta(seconds=seconds)
        if self.is_calm:
            ends_at = self._now + timedelta(seconds=min(seconds, 5))
        elif chance.random() < 0.02:
            ends_at = None
        return Attempt(
            launch_id=launch.id,
            graph=graph,
            step=step,
            run_id=launch.environment["AZUREML_ROOT_RUN_ID"],
            step_run_id=launch.environment["AZUREML_RUN_ID"],
            number=int(launch.environment["PENSTOCK_ATTEMPT"]),
            exit_code=exit_code,
            ends_at=ends_at,
            is_stubborn=chance.random() < 0.2,
        )


def phase_of(attempt: Attempt | None) -> Phase:
    """Return what a look at an attempt would show."""
    if attempt is None:
        return Phase.ABSENT
    if attempt.is_alive:
        return Phase.RUNNING
    return Phase.VANISHED if attempt.exit_code is None else Phase.EXITED
