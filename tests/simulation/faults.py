"""What goes wrong: crashes, a busy database, replies that are lost, daemons that freeze.

Everything outside of a daemon is wrapped for one *process* of it: its view of the database, of the
compute target, of the thread that copies. At each wrapped call the process may die (Crash), freeze
while the others go on, or be told that the call failed: rightly, or although it was done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

from penstock.compute.target import ComputeTarget, Observation, StepLaunch
from penstock.errors import ComputeUnavailable, StoreBusy
from penstock.store.database import Store, Transaction

# Of each call, at intensity 1; together about one call in twenty goes wrong.
CRASH = 0.006
FREEZE = 0.010
BUSY = 0.010
COMMIT_UNKNOWN = 0.010
REFUSED = 0.030
REPLY_LOST = 0.030
POLL_FAILED = 0.020


class Crash(BaseException):
    """A process dies here: nothing after this happens, and no handler of ours may stop it."""


class Faults:
    """Decides what goes wrong, from one source of chance."""

    def __init__(self, chance: Random, intensity: float) -> None:
        self.chance = chance
        self.intensity = intensity  # 0: nothing ever goes wrong
        self.is_on = False
        self.counts: dict[str, int] = {}

    def happens(self, name: str, rate: float) -> bool:
        """Say whether this fault happens here and now."""
        if not self.is_on or self.chance.random() >= rate * self.intensity:
            return False
        self.counts[name] = self.counts.get(name, 0) + 1
        return True


class Process:
    """One life of a daemon, from its start to its crash."""

    def __init__(self, name: str, faults: Faults, freeze: Callable[[Process], None]) -> None:
        self.name = name
        self.faults = faults
        self.is_alive = True
        self.commits = 0
        self.troubles = 0  # faults that this process met
        self.copies: list[Callable[[], None]] = []
        self._freeze = freeze

    def point(self) -> None:
        """Pass a point where a process may freeze or die."""
        if self.faults.happens("freeze", FREEZE):
            self.troubles += 1
            self._freeze(self)
        if not self.is_alive:  # killed while it was frozen
            raise Crash
        self.maybe_die()

    def maybe_die(self) -> None:
        """Die here, perhaps."""
        if self.faults.happens("crash", CRASH):
            self.die()
            raise Crash

    def die(self) -> None:
        """End; what it was copying is never finished."""
        self.troubles += 1
        self.is_alive = False
        self.copies.clear()

    def fails(self, name: str, rate: float) -> bool:
        """Say whether the call that is being made fails."""
        if not self.faults.happens(name, rate):
            return False
        self.troubles += 1
        return True


class FaultyStore:
    """A process's view of the database."""

    def __init__(self, store: Store, process: Process, after_commit: Callable[[], None]) -> None:
        self._store = store
        self._process = process
        self._after_commit = after_commit

    @contextmanager
    def begin(self) -> Iterator[Transaction]:
        """A write transaction that may fail before, at and after its commit."""
        process = self._process
        process.point()
        if process.fails("busy", BUSY):
            raise StoreBusy("The database is busy (simulated).")
        with self._store.begin() as tx:
            yield tx
            process.maybe_die()
            if process.fails("busy at commit", BUSY):
                raise StoreBusy("The database did not commit (simulated).")
        process.commits += 1
        self._after_commit()
        if process.fails("commit unknown", COMMIT_UNKNOWN):
            raise StoreBusy("The database did not answer to a commit (simulated).")
        process.point()

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A read transaction that may fail."""
        if self._process.fails("busy", BUSY / 4):
            raise StoreBusy("The database is busy (simulated).")
        with self._store.read() as tx:
            yield tx


class FaultyTarget:
    """A process's view of the compute target."""

    def __init__(self, target: ComputeTarget, process: Process) -> None:
        self._target = target
        self._process = process

    def prepare(self, launch: StepLaunch) -> None:
        """Lay out an attempt's folder, or fail to."""
        self._process.point()
        if self._process.fails("refused", REFUSED):
            raise ComputeUnavailable("No room for another folder (simulated).")
        self._target.prepare(launch)

    def launch(self, launch: StepLaunch, on_exit: Callable[[str], None]) -> None:
        """Start an attempt, or refuse, or start it and fail all the same."""
        process = self._process
        process.point()
        if process.fails("refused", REFUSED):
            raise ComputeUnavailable("No place for another process (simulated).")
        self._target.launch(launch, lambda name: on_exit(name) if process.is_alive else None)
        if process.fails("reply lost", REPLY_LOST):
            raise ComputeUnavailable("The reply was lost (simulated).")
        process.point()

    def poll(self, launch_id: str, folder: Path) -> Observation:
        """Say where an attempt stands; what was seen may be old news when it arrives."""
        if self._process.fails("poll failed", POLL_FAILED):
            raise ComputeUnavailable("The machine does not answer (simulated).")
        seen = self._target.poll(launch_id, folder)
        self._process.point()
        return seen

    def stop(self, launch_id: str, folder: Path) -> None:
        """Stop an attempt, or fail to."""
        process = self._process
        process.point()
        if process.fails("stop failed", POLL_FAILED):
            raise ComputeUnavailable("The machine does not answer (simulated).")
        self._target.stop(launch_id, folder)
        process.point()


class Copier(Executor):
    """The thread that copies data before a launch: it goes on when the world says so."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Keep the work until the world lets it go on."""
        self._process.copies.append(lambda: fn(*args, **kwargs))
        return Future()
