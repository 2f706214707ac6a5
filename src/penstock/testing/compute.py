"""A compute target on which a test decides what happens: no process, no thread, no clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from penstock.compute.target import Observation, Phase, StepLaunch
from penstock.errors import ComputeUnavailable


class FakeComputeTarget:
    """Implements ComputeTarget over plain dicts.

    An attempt that was launched runs until the test calls `finish` or `vanish`. Faults are switched
    on by plain attributes. The target outlives the daemons that use it, as real processes do: when
    one "crashes", call `forget_listeners`.
    """

    def __init__(self) -> None:
        """Start with no attempts and no faults."""
        self.launches: dict[str, StepLaunch] = {}  # what was started, by id, in order
        self.launch_calls: Counter[str] = Counter()  # how often each was asked for, also in vain
        self.starts: Counter[str] = Counter()  # how often each script was really started
        self.prepared: set[str] = set()
        self.stop_calls: Counter[str] = Counter()
        self.is_away = False  # every method raises ComputeUnavailable and does nothing
        self.launch_errors: list[
            Exception
        ] = []  # raised by the next launches, one each, first first
        self.replies_to_lose = (
            0  # so many launches are done, and raise ComputeUnavailable all the same
        )
        self.ends_when_stopped = True  # exits with 143, as by SIGTERM; else runs on until told
        self.stopped_at: datetime | None = None  # `ended_at` of attempts that end by being stopped
        self._seen: dict[str, Observation] = {}
        self._listeners: dict[str, Callable[[str], None]] = {}

    @property
    def running(self) -> list[str]:
        """The ids of the attempts that run, in the order of their starts."""
        return [id_ for id_, seen in self._seen.items() if seen.phase is Phase.RUNNING]

    def prepare(self, launch: StepLaunch) -> None:
        """Note that the attempt was prepared."""
        self._answer()
        self.prepared.add(launch.id)

    def launch(self, launch: StepLaunch, on_exit: Callable[[str], None]) -> None:
        """Start the attempt unless its id is known; then fail if the reply is to be lost."""
        self.launch_calls[launch.id] += 1
        self._answer()
        if self.launch_errors:
            raise self.launch_errors.pop(0)
        if launch.id not in self._seen:
            self.launches[launch.id] = launch
            self.starts[launch.id] += 1
            self._seen[launch.id] = Observation(phase=Phase.RUNNING)
        if self.replies_to_lose:
            self.replies_to_lose -= 1
            raise ComputeUnavailable("The fake compute target has lost its reply.")
        self._listeners[launch.id] = on_exit

    def poll(self, launch_id: str, folder: Path) -> Observation:
        """Say what the test has decided."""
        self._answer()
        return self._seen.get(launch_id, Observation(phase=Phase.ABSENT))

    def stop(self, launch_id: str, folder: Path) -> None:
        """Close an attempt that is absent; end one that runs, if `ends_when_stopped`."""
        self._answer()
        self.stop_calls[launch_id] += 1
        seen = self._seen.setdefault(launch_id, Observation(phase=Phase.VANISHED))
        if seen.phase is Phase.RUNNING and self.ends_when_stopped:
            self.finish(launch_id, 143, at=self.stopped_at)

    def finish(self, launch_id: str, exit_code: int = 0, *, at: datetime | None = None) -> None:
        """Let a running attempt end with `exit_code` at the instant `at`, and tell its listener."""
        self._end(launch_id, Observation(phase=Phase.EXITED, exit_code=exit_code, ended_at=at))

    def vanish(self, launch_id: str) -> None:
        """Let a running attempt go without a trace; its listener hears of it too."""
        self._end(launch_id, Observation(phase=Phase.VANISHED))

    def forget_listeners(self) -> None:
        """Forget every `on_exit`: whoever passed them is gone. The attempts run on."""
        self._listeners.clear()

    def _end(self, launch_id: str, seen: Observation) -> None:
        if launch_id not in self.running:
            raise ValueError(f"{launch_id!r} does not run: {self._seen.get(launch_id)}")
        self._seen[launch_id] = seen
        listener = self._listeners.pop(launch_id, None)
        if listener is not None:
            listener(launch_id)

    def _answer(self) -> None:
        if self.is_away:
            raise ComputeUnavailable("The fake compute target is away.")
