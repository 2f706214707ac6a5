"""How long a recurrence takes to say when it fires next: `python -m benchmarks recurrence`."""

from __future__ import annotations

import timeit
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from croniter import croniter

from benchmarks.figures import Figure
from penstock.core.checking import validated
from penstock.core.due import FirePlan, plan_fires
from penstock.core.recurrence import Frequency, Recurrence, next_after

NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
ZONE = "America/Los_Angeles"
TEN_YEARS = timedelta(days=3653)

RULES = {
    "daily at 04:50": (Recurrence(frequency=Frequency.DAY, interval=1), (4,), (50,), "50 4 * * *"),
    "daily at 4 times": (
        Recurrence(frequency=Frequency.DAY, interval=1),
        (8, 16),
        (30, 45),
        "30,45 8,16 * * *",
    ),
    "weekly": (Recurrence(frequency=Frequency.WEEK, interval=1), (12,), (0,), "0 12 * * 1"),
    "monthly": (Recurrence(frequency=Frequency.MONTH, interval=1), (), (), "0 4 5 * *"),
    "every 5 minutes": (Recurrence(frequency=Frequency.MINUTE, interval=5), (), (), "*/5 * * * *"),
}


def _rule(name: str) -> Recurrence:
    base, hours, minutes, _ = RULES[name]
    return validated(
        Recurrence(
            frequency=base.frequency,
            interval=base.interval,
            hours=hours,
            minutes=minutes,
            time_zone=ZONE,
        ),
        now=NOW,
    )


def _microseconds(step: Callable[[], object], count: int) -> float:
    """The best of five rounds of `count` calls, for one call."""
    return min(timeit.repeat(step, number=count, repeat=5)) / count * 1e6


def _ours(rule: Recurrence) -> Callable[[], object]:
    at = NOW

    def step() -> datetime | None:
        nonlocal at
        at = next_after(rule, at) or NOW
        return at

    return step


def _theirs(cron: str) -> Callable[[], object]:
    walk = croniter(cron, NOW.astimezone(ZoneInfo(ZONE)))
    return lambda: walk.get_next(datetime)


def figures() -> list[Figure]:
    """Measure every rule against croniter, and a schedule that has slept for ten years."""
    ratios = {}
    for name, (*_, cron) in RULES.items():
        ours = _microseconds(_ours(_rule(name)), 2000)
        ratios[name] = (_microseconds(_theirs(cron), 500) / ours, ours)
    daily, seconds = ratios.pop("daily at 04:50")
    others = ", ".join(f"{name} {ratio:.0f}x" for name, (ratio, _) in ratios.items())
    rule = _rule("daily at 4 times")
    due = next_after(rule, NOW) or NOW
    late = due + TEN_YEARS
    asleep = _microseconds(lambda: next_after(rule, late), 20)
    counted = _microseconds(lambda: _plan(rule, due, late), 20)
    return [
        Figure(
            name="next fire of a daily rule in a zone / croniter",
            value=daily,
            unit="x",
            limit=5.0,
            is_at_least=True,
            detail=f"{seconds:.1f} µs; {others}",
        ),
        Figure(
            name="ten years asleep: next fire",
            value=asleep / 1e3,
            unit="ms",
            limit=1.0,
            detail=f"planned, with 14,600 missed ones counted: {counted / 1e3:.2f} ms",
        ),
    ]


def _plan(rule: Recurrence, due: datetime, now: datetime) -> FirePlan:
    return plan_fires(rule=rule, next_fire_time=due, now=now)
