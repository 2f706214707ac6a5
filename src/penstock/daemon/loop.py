"""The daemon: the only room that waits.

Two lanes, each a thread of its own, so that starting steps never makes a schedule late: one fires
schedules, the other moves runs. A lane reads the clock, does what is due, and sleeps until the
next timer, at most a second; whoever commits something due wakes it. `run_once(now)` is one pass
of both, and is all that tests and simulations need.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from penstock.clock import Clock
from penstock.compute.target import ComputeTarget
from penstock.daemon import scheduling
from penstock.daemon.launches import Surroundings
from penstock.daemon.launching import HELD_ELSEWHERE, Launching, Progress
from penstock.daemon.running import Rules
from penstock.errors import Unavailable
from penstock.service.schedules import TIMER
from penstock.store import timers
from penstock.store.database import Store

log = logging.getLogger(__name__)

SLEEP_SECONDS_MAX = 1.0
# A difference between wall clock and monotonic clock larger than this is a jump.
JUMP_SECONDS = 60.0
# After an unexpected error a lane waits, so that a broken database is not hammered.
ERROR_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """What one pass of both lanes did."""

    fired: int
    moved: int


class Daemon:
    """Fires schedules and moves runs, for as long as it is started."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        targets: dict[str, ComputeTarget],
        around: Surroundings,
        rules: Rules,
        late_seconds_max: float,
        copier: Executor | None = None,
    ) -> None:
        """Keep what is needed; nothing runs before `start` or `run_once`.

        Args:
            store: the database.
            clock: read once per pass.
            targets: the compute targets by name.
            around: what is the same for all steps.
            rules: what the settings say about running steps.
            late_seconds_max: a fire noticed later than this counts as missed.
            copier: where launches run that must copy data first; two threads when None.
        """
        self._store = store
        self._clock = clock
        self._late_seconds_max = late_seconds_max
        self._wakes = {"scheduling": threading.Event(), "running": threading.Event()}
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._copier = copier or ThreadPoolExecutor(max_workers=2, thread_name_prefix="copy")
        self._launching = Launching(
            store=store,
            targets=targets,
            around=around,
            rules=rules,
            copier=self._copier,
            wake=self._wakes["running"].set,
        )
        self.last_tick_at: datetime | None = None

    # ---- one pass ----

    def recover(self, now: datetime) -> None:
        """Look at everything that was under way when the last daemon stopped."""
        self._launching.recover(now)

    @property
    def lanes(self) -> dict[str, Callable[[datetime], Progress]]:
        """One pass of each lane, by the lane's name; each lane belongs to one thread at a time."""
        return {"scheduling": self._fire, "running": self._launching.run_once}

    def run_once(self, now: datetime) -> Pass:
        """Do what is due at `now`, once, in this thread."""
        return Pass(fired=self._fire(now).done, moved=self._launching.run_once(now).done)

    def _fire(self, now: datetime) -> Progress:
        """Fire what is due, one batch; wake the other lane if runs were started."""
        self.last_tick_at = now
        with self._store.read() as tx:
            due = timers.next_due(tx, [TIMER])
        if due is None or due > now:
            return Progress(done=0, next_due=due)
        counts = scheduling.fire_due(self._store, now, late_seconds_max=self._late_seconds_max)
        # In a storm the runs wait until all fires are recorded: both write to one database.
        if counts.fired and counts.timers < scheduling.BATCH:
            self._wakes["running"].set()
        return Progress(done=counts.timers, next_due=now if counts.timers else now + HELD_ELSEWHERE)

    # ---- the sleeping loop ----

    def start(self) -> None:
        """Start both lanes; what was under way is looked at first."""
        for name, work in self.lanes.items():
            thread = threading.Thread(
                target=self._keep_going, args=(name, work), name=name, daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """End both lanes after what they are doing; steps that run are left alone and found
        again."""
        self._stopping.set()
        self.wake()
        for thread in self._threads:
            thread.join()
        self._copier.shutdown(wait=True)

    def wake(self) -> None:
        """Make both lanes look now; may be called from any thread."""
        for event in self._wakes.values():
            event.set()

    def _keep_going(self, name: str, work: Callable[[datetime], Progress]) -> None:
        wake = self._wakes[name]
        drift = _Drift(self._clock.now())
        must_recover = name == "running"
        while not self._stopping.is_set():
            wake.clear()
            try:
                now = self._clock.now()
                if drift.has_jumped(now):
                    must_recover = name == "running"
                if must_recover:  # until it has succeeded: the database may be busy
                    self.recover(now)
                    must_recover = False
                wake.wait(self._seconds_until(work(now).next_due))
            except Unavailable as error:
                log.warning("lane_waits lane=%s reason=%s", name, error)
                self._stopping.wait(min(error.retry_after, ERROR_SECONDS))
            except Exception:
                log.exception("lane_failed lane=%s", name)
                self._stopping.wait(ERROR_SECONDS)

    def _seconds_until(self, due: datetime | None) -> float:
        """Return the seconds until `due`, at most SLEEP_SECONDS_MAX."""
        if due is None:
            return SLEEP_SECONDS_MAX
        left = (due - self._clock.now()).total_seconds()
        return min(max(left, 0.0), SLEEP_SECONDS_MAX)


class _Drift:
    """Notices when the wall clock jumps against the monotonic one."""

    def __init__(self, now: datetime) -> None:
        self._wall = now
        self._steady = time.monotonic()

    def has_jumped(self, now: datetime) -> bool:
        """Say whether the wall clock, which reads `now`, has jumped since the last call."""
        steady = time.monotonic()
        jump = (now - self._wall) - timedelta(seconds=steady - self._steady)
        self._wall, self._steady = now, steady
        if abs(jump.total_seconds()) <= JUMP_SECONDS:
            return False
        log.warning("clock_jumped seconds=%.3f", jump.total_seconds())
        return True
