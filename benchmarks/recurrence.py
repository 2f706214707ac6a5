"""How long a recurrence takes to say when it fires next; croniter stands beside it.

python benchmarks/recurrence.py
"""

from __future__ import annotations

import timeit
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from croniter import croniter

from penstock.core.due import FirePlan, plan_fires
from penstock.core.recurrence import Frequency, Recurrence, next_after, validated

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


def main() -> None:
    """Print the table."""
    print(f"{'next fire, ' + ZONE:<32}{'penstock':>12}{'croniter':>12}{'ratio':>8}")
    for name, (*_, cron) in RULES.items():
        ours = _microseconds(_ours(_rule(name)), 2000)
        theirs = _microseconds(_theirs(cron), 500)
        print(f"{name:<32}{ours:>9.2f} µs{theirs:>9.2f} µs{theirs / ours:>7.1f}x")
    print()
    for name in ("daily at 04:50", "daily at 4 times", "every 5 minutes"):
        _print_schedule(name, _rule(name))


def _print_schedule(name: str, rule: Recurrence) -> None:
    due = next_after(rule, NOW) or NOW
    late = due + TEN_YEARS
    rows: dict[str, Callable[[], object]] = {
        "one occurrence on time, planned": lambda: _plan(rule, due, due),
        "ten years asleep, next fire": lambda: next_after(rule, late),
        "ten years asleep, planned and counted": lambda: _plan(rule, due, late),
    }
    for title, step in rows.items():
        print(f"{name + ', ' + title:<56}{_microseconds(step, 20):>9.1f} µs")


def _plan(rule: Recurrence, due: datetime, now: datetime) -> FirePlan:
    return plan_fires(rule=rule, next_fire_time=due, now=now)


if __name__ == "__main__":
    main()
