"""Hold the recurrences against the oracle, one zone at a time."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from tests.oracle.oracle import (
    DAY,
    Stretch,
    datetime_of,
    elapsed,
    expected,
    fires,
    slots,
    stretches_by_hour,
    stretches_by_minute,
)
from tests.oracle.shapes import SHAPES, around

from penstock.core.recurrence import Frequency, Recurrence, between

_BY_THE_CLOCK = (Frequency.MINUTE, Frequency.HOUR)

SAMPLE = (
    "Africa/Cairo Africa/Casablanca Africa/El_Aaiun Africa/Johannesburg America/Asuncion "
    "America/Bogota America/Boa_Vista America/Caracas America/Havana America/Los_Angeles "
    "America/Mexico_City America/New_York America/Nuuk America/Sao_Paulo America/Santiago "
    "America/Scoresbysund America/St_Johns Antarctica/Casey Antarctica/Macquarie Antarctica/Troll "
    "Asia/Amman Asia/Beirut Asia/Gaza Asia/Kathmandu Asia/Kolkata Asia/Pyongyang Asia/Tehran "
    "Asia/Tokyo Atlantic/Azores Australia/Lord_Howe Australia/Sydney Europe/Berlin Europe/Dublin "
    "Europe/Istanbul Europe/London Pacific/Apia Pacific/Chatham Pacific/Easter Pacific/Fakaofo "
    "Pacific/Kiritimati"
).split()
"""Forty zones with something to them: half hours, lost days, Ramadan, reverse changes."""


@dataclass(slots=True)
class Result:
    """What a check came to."""

    cells: int = 0  # (zone, year, shape), or (zone, change, schedule, policies)
    fires: int = 0
    differences: list[str] = field(default_factory=list)

    def add(self, other: Result) -> None:
        self.cells += other.cells
        self.fires += other.fires
        self.differences += other.differences


def region_zones() -> list[str]:
    """The zones named after places: every name with a region, but no fixed offsets."""
    return sorted(
        name
        for name in zoneinfo.available_timezones()
        if "/" in name and not name.startswith(("Etc/", "SystemV/", "posix/", "right/"))
    )


def check_years(name: str, years: Iterable[int]) -> Result:
    """Compare every shape in one zone, year by year."""
    tz = ZoneInfo(name)
    result = Result()
    for year in years:
        first, end = _bounds(year)
        stretches = stretches_by_hour(tz, first - 4 * DAY, end + 4 * DAY)
        for index, shape in enumerate(SHAPES):
            if shape.frequency in _BY_THE_CLOCK:
                wanted = elapsed(shape, tz, first, end)
            else:
                named = _slots_of_year(index, year)
                wanted = fires(shape, named, tz, stretches, first, end)
            _compare(replace(shape, time_zone=name), wanted, first, end, result)
    return result


@lru_cache(maxsize=2000)
def _slots_of_year(index: int, year: int) -> list[int]:
    """What a shape names in a year; its wall times are the same in every zone."""
    first, end = _bounds(year)
    return slots(SHAPES[index], first - 3 * DAY, end + 3 * DAY)


def _bounds(year: int) -> tuple[int, int]:
    return date(year, 1, 1).toordinal() * DAY, date(year + 1, 1, 1).toordinal() * DAY


def check_changes(name: str, years: Iterable[int]) -> Result:
    """Compare 12 schedules x 9 policies around every change of one zone's clock.

    The four days around the change are walked minute by minute, the rest of the year by the hour.
    """
    tz = ZoneInfo(name)
    result = Result()
    for year in years:
        first_of_year, end_of_year = _bounds(year)
        stretches = stretches_by_hour(tz, first_of_year - 9 * DAY, end_of_year + 9 * DAY)
        for before, after in _changes(stretches, year):
            change = after[0]
            assert _agrees(tz, stretches, change), f"{name}: walks disagree at {change}"
            low, high = sorted((change + before[2], change + after[2]))
            for schedule in around(_wall(low), _wall(high)):
                first, end = change - 3 * DAY, change + 3 * DAY
                wanted = expected(schedule, tz, stretches, first, end)
                _compare(replace(schedule, time_zone=name), wanted, first, end, result)
    return result


def _changes(stretches: list[Stretch], year: int) -> Iterator[tuple[Stretch, Stretch]]:
    for before, after in pairwise(stretches):
        if datetime_of(after[0]).year == year:
            yield before, after


def _agrees(tz: ZoneInfo, stretches: list[Stretch], change: int) -> bool:
    """True when a walk by minutes finds the change where the walk by hours did."""
    found = stretches_by_minute(tz, change - 2 * DAY, change + 2 * DAY)
    return [change] == [stretch[0] for stretch in found[1:]] and all(
        any(begin <= stretch[0] and stretch[2] == offset for begin, _, offset in stretches)
        for stretch in found
    )


def _wall(minute: int) -> datetime:
    return datetime_of(minute).replace(tzinfo=None)


def _compare(rule: Recurrence, wanted: list[int], first: int, end: int, result: Result) -> None:
    """Count one cell, and note the first fire in which the two disagree."""
    just_before = datetime_of(first) - timedelta(microseconds=1)
    got = list(between(rule, just_before, datetime_of(end) - timedelta(microseconds=1)))
    result.cells += 1
    result.fires += len(wanted)
    if got != [datetime_of(minute) for minute in wanted]:
        differing = sorted({*got} ^ {datetime_of(minute) for minute in wanted})
        result.differences.append(f"{rule}: {[str(at) for at in differing[:3]]}")
