"""The recurrences that the oracle checks: 24 shapes, and 12 schedules around each change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import product
from typing import Any

from penstock.core.recurrence import (
    WEEK_DAYS,
    FoldPolicy,
    Frequency,
    GapPolicy,
    MonthEndPolicy,
    Recurrence,
)


def _shape(frequency: Frequency, interval: int, anchor: str, **members: Any) -> Recurrence:
    wall = datetime.fromisoformat(anchor)
    return Recurrence(frequency=frequency, interval=interval, anchor=wall, **members)


_AFTER_FIRST = {"gap": GapPolicy.AFTER, "fold": FoldPolicy.FIRST}
_SKIP_SECOND = {"gap": GapPolicy.SKIP, "fold": FoldPolicy.SECOND}
_SHIFT_BOTH = {"gap": GapPolicy.SHIFT, "fold": FoldPolicy.BOTH}
_MINUTE, _HOUR, _DAY, _WEEK, _MONTH = Frequency
_PAST, _LONG_AGO, _FUTURE = "2000-01-01T02:30", "1973-03-25T02:15", "2026-03-08T02:30"

SHAPES: tuple[Recurrence, ...] = (
    _shape(_MINUTE, 1439, _PAST),
    _shape(_MINUTE, 10_007, _LONG_AGO),
    _shape(_HOUR, 13, _PAST),
    _shape(_HOUR, 25, _FUTURE, fold=FoldPolicy.SECOND),
    _shape(_DAY, 1, _PAST),
    _shape(_DAY, 1, _LONG_AGO, hours=(2,), minutes=(0, 30), **_SKIP_SECOND),
    _shape(_DAY, 1, _PAST, hours=(1,), minutes=(0, 59), **_SHIFT_BOTH),
    _shape(_DAY, 1, _PAST, hours=(0, 23), minutes=(0, 30)),
    _shape(_DAY, 2, _FUTURE, hours=(3,), **_AFTER_FIRST),
    _shape(_DAY, 3, _PAST, minutes=(15, 45)),
    _shape(_DAY, 52, _LONG_AGO),
    _shape(_DAY, 500, _LONG_AGO, hours=tuple(range(24)), minutes=(0, 15, 30, 45), **_SHIFT_BOTH),
    _shape(_WEEK, 1, _PAST, hours=(4,), minutes=(50,), week_days=WEEK_DAYS[:5]),
    _shape(_WEEK, 1, _PAST, hours=(0, 1, 2, 3), minutes=(0, 30), week_days=("Sunday",)),
    _shape(_WEEK, 2, _LONG_AGO, week_days=("Monday", "Saturday", "Sunday"), **_AFTER_FIRST),
    _shape(_WEEK, 3, _FUTURE),
    _shape(_WEEK, 52, _LONG_AGO, week_days=("Sunday",), **_SHIFT_BOTH),
    _shape(_MONTH, 1, "1999-12-31T02:30"),
    _shape(_MONTH, 1, "2000-01-31T00:00", month_end=MonthEndPolicy.SKIP, **_SKIP_SECOND),
    _shape(_MONTH, 2, "1999-12-29T01:30", **_SHIFT_BOTH),
    _shape(_MONTH, 5, "1980-01-30T23:59"),
    _shape(_MONTH, 12, "1996-02-29T12:00", month_end=MonthEndPolicy.SKIP),
    _shape(_MONTH, 12, "2004-02-29T02:30", **_AFTER_FIRST),
    _shape(_MONTH, 16, "2012-03-31T02:00"),
)

POLICIES = tuple(product(GapPolicy, FoldPolicy))


def around(low: datetime, high: datetime) -> Iterator[Recurrence]:
    """Yield 12 schedules that meet the wall times from `low` to `high`, under each policy.

    Args:
        low: the first wall time that is skipped or shown twice.
        high: the first one that is not.
    """
    a_minute, middle = timedelta(minutes=1), low + (high - low) // 2
    middle = middle.replace(second=0)
    day_name, long_ago = WEEK_DAYS[low.weekday()], low - timedelta(days=364)
    every_quarter = {"hours": tuple(range(24)), "minutes": (0, 15, 30, 45)}
    # A slot late in a gap is moved behind one soon after it, unless the gap is a whole hour.
    both_hours = tuple(sorted({(high - a_minute).hour, high.hour}))
    out_of_order = {"hours": both_hours, "minutes": (20, 35)}
    schedules = (
        _at(_DAY, 1, low, long_ago),
        _at(_DAY, 1, middle, long_ago),
        _at(_DAY, 1, high - a_minute, long_ago),
        _at(_DAY, 1, high, long_ago),
        _at(_DAY, 1, low - a_minute, long_ago),
        Recurrence(frequency=_DAY, interval=1, anchor=long_ago, **every_quarter),
        Recurrence(frequency=_DAY, interval=1, anchor=long_ago, **out_of_order),
        Recurrence(frequency=_WEEK, interval=2, anchor=long_ago, week_days=(day_name,)),
        Recurrence(frequency=_WEEK, interval=1, anchor=middle - timedelta(days=7)),
        Recurrence(frequency=_MONTH, interval=1, anchor=middle),
        Recurrence(frequency=_HOUR, interval=3, anchor=middle),
        Recurrence(frequency=_MINUTE, interval=20, anchor=low, start_time=middle),
    )
    for schedule, (gap, fold) in product(schedules, POLICIES):
        yield replace(schedule, gap=gap, fold=fold)


def _at(frequency: Frequency, interval: int, moment: datetime, anchor: datetime) -> Recurrence:
    return Recurrence(
        frequency=frequency,
        interval=interval,
        anchor=anchor,
        hours=(moment.hour,),
        minutes=(moment.minute,),
    )
