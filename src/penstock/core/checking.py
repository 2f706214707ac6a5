"""Whether a recurrence makes sense: it is checked, put into its normal form, and anchored.

Every fault names the field and the value, what was expected, and where it helps, what may have been
meant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from difflib import get_close_matches
from enum import StrEnum
from typing import Any, TypeVar

from penstock.core.recurrence import (
    INTERVAL_MAX,
    LAST_YEAR,
    WEEK_DAYS,
    Frequency,
    MonthEndPolicy,
    Recurrence,
    next_after,
    wall_time,
)
from penstock.core.zones import FoldPolicy, GapPolicy, resolve, zone
from penstock.errors import Invalid, InvalidRecurrence

_START_AHEAD_MAX = timedelta(days=17_898)  # 49 years
_FIRST_YEAR = 1970  # zone data are whole and regular since then

_Policy = TypeVar("_Policy", bound=StrEnum)


def validated(rule: Recurrence, *, now: datetime) -> Recurrence:
    """Return the rule checked, in its normal form, and with its anchor written down.

    The anchor, when missing, becomes the start time, else `now` as wall time in the zone, in whole
    seconds. Hours, minutes and week days come back sorted and without repeats. Doing it again
    changes nothing, whatever `now` is then.

    Args:
        rule: as the user gave it; sequences may be lists.
        now: the present instant, aware.

    Raises:
        InvalidRecurrence: with `field` naming the member at fault; without one, when the rule as a
            whole names no time before the year 3000.
    """
    frequency = _member(Frequency, "frequency", rule.frequency)
    _check_interval(frequency, rule.interval)
    _check_belongs(frequency, rule)
    time_zone = _checked_zone(rule.time_zone)
    wall_now = wall_time(now, zone(time_zone or "UTC")).replace(microsecond=0)
    start_time = _checked_wall("start_time", rule.start_time)
    if start_time is not None and start_time - wall_now > _START_AHEAD_MAX:
        raise _wrong("start_time", start_time.isoformat(), "a time at most 49 years ahead")
    checked = replace(
        rule,
        frequency=frequency,
        start_time=start_time,
        hours=_numbers("hours", rule.hours, 23),
        minutes=_numbers("minutes", rule.minutes, 59),
        week_days=_week_days(rule.week_days),
        gap=_member(GapPolicy, "gap", rule.gap),
        fold=_member(FoldPolicy, "fold", rule.fold),
        month_end=_member(MonthEndPolicy, "month_end", rule.month_end),
        anchor=_checked_wall("anchor", rule.anchor) or start_time or wall_now,
    )
    if next_after(checked, now) is None:
        raise InvalidRecurrence("The recurrence names no time before the year 3000.")
    return checked


def _wrong(field: str, value: Any, expected: str, hint: str | None = None) -> InvalidRecurrence:
    return InvalidRecurrence(field=field, value=value, expected=expected, hint=hint)


def _member(kind: type[_Policy], field: str, value: Any) -> _Policy:
    """Return the enum member with this value."""
    try:
        return kind(value)
    except ValueError:
        names = [member.value for member in kind]
        near = get_close_matches(str(value).capitalize(), names, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else None
        raise _wrong(field, value, f"one of {', '.join(names)}", hint) from None


def _check_interval(frequency: Frequency, interval: Any) -> None:
    most = INTERVAL_MAX[frequency]
    if not _is_int(interval) or not 1 <= interval <= most:
        raise _wrong("interval", interval, f"a whole number from 1 to {most} for {frequency.value}")


def _check_belongs(frequency: Frequency, rule: Recurrence) -> None:
    """Refuse members that the frequency has no use for."""
    by_day = frequency in (Frequency.DAY, Frequency.WEEK)
    for field, given, fits, where in (
        ("hours", rule.hours, by_day, "Day or Week"),
        ("minutes", rule.minutes, by_day, "Day or Week"),
        ("week_days", rule.week_days, frequency is Frequency.WEEK, "Week"),
    ):
        if given and not fits:
            raise _wrong(field, given, f"nothing: {field} goes with frequency {where} only")


def _checked_zone(name: str | None) -> str | None:
    if name is None:
        return None
    try:
        resolve(name)
    except Invalid as error:
        raise InvalidRecurrence(error.message, **error.details) from None
    return name


def _checked_wall(field: str, value: Any) -> datetime | None:
    """Return a naive wall time in whole seconds, or None."""
    if value is None:
        return None
    if not isinstance(value, datetime):
        raise _wrong(field, value, "a datetime without a time zone")
    if value.tzinfo is not None:
        expected, hint = "a datetime without a time zone", "Use time_zone to name the zone."
        raise _wrong(field, value.isoformat(), expected, hint)
    if not _FIRST_YEAR <= value.year <= LAST_YEAR:
        raise _wrong(field, value.isoformat(), f"a year from {_FIRST_YEAR} to {LAST_YEAR}")
    return value.replace(microsecond=0, fold=0)


def _numbers(field: str, values: Any, most: int) -> tuple[int, ...]:
    expected = f"whole numbers from 0 to {most} in a list"
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise _wrong(field, values, expected, f"Write {field}=[{values}].")
    for value in values:
        if not _is_int(value) or not 0 <= value <= most:
            raise _wrong(field, value, expected)
    return tuple(sorted(set(values)))


def _week_days(values: Any) -> tuple[str, ...]:
    expected = "English names of week days in a list"
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise _wrong("week_days", values, expected, f"Write week_days=[{values!r}].")
    for value in values:
        if value not in WEEK_DAYS:
            near = get_close_matches(str(value).capitalize(), WEEK_DAYS, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else None
            raise _wrong("week_days", value, expected, hint)
    return tuple(day for day in WEEK_DAYS if day in values)


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
