"""How many schedules one database carries: `python -m benchmarks fires`.

A tick with none due among a million schedules, and ten thousand due in the same second, all fired
and recorded, on SQLite with `synchronous=FULL`.
"""

from __future__ import annotations

import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.builders import a_schedule, stored

from benchmarks.figures import Figure, median
from penstock.core.checking import validated
from penstock.core.recurrence import Frequency, Recurrence, next_after
from penstock.daemon import scheduling
from penstock.daemon.scheduling import TIMER
from penstock.store import schedules, timers
from penstock.store.database import Store

ASLEEP = 1_000_000
DUE = 10_000
NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


def figures() -> list[Figure]:
    """Measure both on one database each."""
    with tempfile.TemporaryDirectory() as name:
        asleep = _asleep(Path(name) / "asleep.db")
        due = _due(Path(name) / "due.db")
    return [asleep, due]


def _store(path: Path) -> Store:
    store = Store(f"sqlite:///{path}")
    store.upgrade()
    with store.begin() as tx:
        stored(tx)
    return store


def _asleep(path: Path) -> Figure:
    """Time a tick that finds nothing due."""
    store = _store(path)
    rule = validated(Recurrence(frequency=Frequency.DAY, interval=1), now=NOW)
    later = NOW + timedelta(hours=6)
    for start in range(0, ASLEEP, 20_000):
        with store.begin() as tx:
            for i in range(start, start + 20_000):
                schedule = a_schedule(id=f"s{i:08d}", recurrence=rule, next_fire_time=later)
                schedules.insert(tx, schedule)
            timers.arm_many(tx, [(TIMER, f"s{i:08d}", later) for i in range(start, start + 20_000)])
    seconds = []
    for _ in range(200):
        began = time.perf_counter()
        counts = scheduling.fire_due(store, NOW, late_seconds_max=60.0)
        seconds.append(time.perf_counter() - began)
        assert counts.timers == 0
    store.dispose()
    return Figure(
        name="a tick, none due among 1,000,000 schedules",
        value=median(seconds) * 1e3,
        unit="ms",
        limit=5.0,
        detail=f"worst of 200: {max(seconds) * 1e3:.2f} ms",
    )


def _due(path: Path) -> Figure:
    """Time until ten thousand fires, due in one second, are recorded with their runs."""
    store = _store(path)
    rule = validated(
        Recurrence(
            frequency=Frequency.DAY,
            interval=1,
            hours=(9,),
            minutes=(0,),
            time_zone="Pacific Standard Time",
        ),
        now=NOW,
    )
    fire_time = next_after(rule, NOW)
    assert fire_time is not None
    with store.begin() as tx:
        for i in range(DUE):
            schedule = a_schedule(id=f"s{i:08d}", recurrence=rule, next_fire_time=fire_time)
            schedules.insert(tx, schedule)
        timers.arm_many(tx, [(TIMER, f"s{i:08d}", fire_time) for i in range(DUE)])
    began = time.perf_counter()
    fired = 0
    while (counts := scheduling.fire_due(store, fire_time, late_seconds_max=60.0)).timers:
        fired += counts.fired
    seconds = time.perf_counter() - began
    assert fired == DUE
    store.dispose()
    return Figure(
        name="10,000 schedules due in one second: all recorded",
        value=seconds,
        unit="s",
        limit=1.5,
        detail=f"{DUE / seconds:,.0f} fires/s",
    )
