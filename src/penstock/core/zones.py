"""Time zones: their names, and what a wall-clock reading means as an instant.

A zone is named by its IANA name ("Europe/Berlin") or by its Windows name ("W. Europe Standard
Time"). A wall time is a naive datetime: what a clock on the wall in that zone shows. Mostly it is
one instant. When the clocks go forward the readings inside the gap are shown by no clock; when they
go back the readings inside the overlap are shown twice. `instants` answers what each means under a
stated policy.

Assumed, and tested against the time-zone data: since 1970 no zone has changed its clock twice in
less than a week, and no change was longer than a day.
"""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from enum import StrEnum
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from zoneinfo import ZoneInfo

from penstock.core.windows_zones import WINDOWS_NEWER_TO_IANA, WINDOWS_TO_IANA
from penstock.errors import Invalid

__all__ = [
    "IN_STEP_MAX",
    "WINDOWS_TO_IANA",
    "FoldPolicy",
    "GapPolicy",
    "change_near",
    "instants",
    "is_near_change",
    "readings",
    "resolve",
    "runs_in_step",
    "tzdata_version",
    "zone",
]


class GapPolicy(StrEnum):
    """What a wall time means that the clocks jump over."""

    SHIFT = "shift"  # it moves on by the length of the gap: 02:30 becomes 03:30
    AFTER = "after"  # the first instant after the gap: 02:30 becomes 03:00
    SKIP = "skip"  # nothing happens


class FoldPolicy(StrEnum):
    """What a wall time means that the clocks show twice."""

    FIRST = "first"
    SECOND = "second"
    BOTH = "both"


_NOT_ZONES = frozenset({"Factory", "localtime", "posixrules"})
_WINDOWS = {**WINDOWS_TO_IANA, **WINDOWS_NEWER_TO_IANA}
_WINDOWS_BY_FOLDED = {name.casefold(): iana for name, iana in _WINDOWS.items()}


def resolve(name: str) -> str:
    """Return the IANA name for a Windows or an IANA name.

    Windows names are found in any spelling of upper and lower case, as on Windows; IANA names must
    be exact. A name that is in neither list is refused, so a path never reaches the file system.

    Raises:
        Invalid: no such zone; the hint lists names that look alike.
    """
    if isinstance(name, str):
        windows = _WINDOWS_BY_FOLDED.get(name.casefold())
        if windows is not None:
            return windows
        if name in _iana_names():
            return name
    raise Invalid(
        field="time_zone",
        value=name,
        expected='an IANA name such as "Europe/Berlin" or a Windows name such as '
        '"W. Europe Standard Time"',
        hint=_lookalikes(str(name)),
    )


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """Return the zone with this Windows or IANA name; the same object every time.

    Raises:
        Invalid: no such zone.
    """
    return ZoneInfo(resolve(name))


@lru_cache(maxsize=1)
def _iana_names() -> frozenset[str]:
    """The names that the installed time-zone data holds."""
    return frozenset(zoneinfo.available_timezones() - _NOT_ZONES)


def _lookalikes(name: str) -> str | None:
    """A hint with the known names nearest to `name`; None when nothing is near."""
    by_folded = {known.casefold(): known for known in (*_iana_names(), *_WINDOWS)}
    near = get_close_matches(name.casefold()[:100], by_folded, n=3, cutoff=0.6)
    if not near:
        return None
    return f"Did you mean {' or '.join(repr(by_folded[folded]) for folded in near)}?"


def readings(wall: datetime, tz: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the UTC instants of a wall time, read with the offset before and after a change.

    Both are the same instant unless a change of the clock is involved. first > second: the wall
    time lies in a gap and is neither instant's real reading. first < second: the wall time is shown
    twice, at these two instants. (PEP 495 names the two readings fold=0 and fold=1.)
    """
    aware = wall.replace(tzinfo=tz, fold=0)
    return aware.astimezone(UTC), aware.replace(fold=1).astimezone(UTC)


def instants(
    wall: datetime, tz: ZoneInfo, gap: GapPolicy, fold: FoldPolicy
) -> tuple[datetime, ...]:
    """Return the UTC instants, in order, that a wall time means: none, one or two.

    An ordinary wall time is one instant. In a gap: moved on by the gap's length (shift), the first
    instant after the gap (after), or none (skip). Shown twice: the first, the second, or both.
    """
    first, second = readings(wall, tz)
    if first == second:
        return (first,)
    if first > second:
        return _in_gap(first, second, tz, gap)
    return _shown_twice(first, second, fold)


def _in_gap(
    first: datetime, second: datetime, tz: ZoneInfo, gap: GapPolicy
) -> tuple[datetime, ...]:
    if gap is GapPolicy.SKIP:
        return ()
    return (first if gap is GapPolicy.SHIFT else _change_between(second, first, tz),)


def _shown_twice(first: datetime, second: datetime, fold: FoldPolicy) -> tuple[datetime, ...]:
    if fold is FoldPolicy.BOTH:
        return (first, second)
    return (first if fold is FoldPolicy.FIRST else second,)


def _change_between(before: datetime, after: datetime, tz: ZoneInfo) -> datetime:
    """Return the first instant with the offset of `after`, by bisection on seconds."""
    target = after.astimezone(tz).utcoffset()
    low, high = 0, int((after - before).total_seconds())  # the change lies in (low, high]
    while high - low > 1:
        middle = (low + high) // 2
        if (before + timedelta(seconds=middle)).astimezone(tz).utcoffset() == target:
            high = middle
        else:
            low = middle
    return before + timedelta(seconds=high)


# Further from a change of the clock than this, wall times and instants run in step.
_NEAR = timedelta(hours=26)


def is_near_change(local: datetime) -> bool:
    """True when the clock is changed less than 26 hours before or after an aware local time.

    The hours are those of the clock on the wall, and `local` may itself lie in a gap. Twenty-six
    are more than any change is long. So when this is false `local` is one instant, and no slot
    before it is still to come: the clock on the wall alone tells what is next.
    """
    return (local - _NEAR).utcoffset() != (local + _NEAR).utcoffset()


IN_STEP_MAX = timedelta(days=4)
"""With 26 hours on both sides, less than the week that lies between two changes of the clock."""


def runs_in_step(start: datetime, end: datetime) -> bool:
    """True when the clock is changed neither between two aware local times nor near either.

    They must be at most IN_STEP_MAX apart: then two changes cannot undo each other unseen.
    """
    return (start - _NEAR).utcoffset() == (end + _NEAR).utcoffset()


def change_near(local: datetime) -> timedelta:
    """Return by how much the clock is changed near an aware local time; zero when it is not."""
    before, after = _offset(local - _NEAR), _offset(local + _NEAR)
    return abs(after - before)


def _offset(local: datetime) -> timedelta:
    return local.replace(tzinfo=UTC) - local


@lru_cache(maxsize=1)
def tzdata_version() -> str:
    """Return the release of the time-zone data in use, such as "2026a", or "unknown".

    zoneinfo prefers the system's data over the `tzdata` package; so does this function.
    """
    return _version_found_in(zoneinfo.TZPATH, "tzdata")


def _version_found_in(directories: tuple[str, ...], package: str) -> str:
    for directory in directories:
        file = Path(directory, "tzdata.zi")
        if file.is_file():
            with file.open(encoding="utf-8") as lines:
                return next(lines, "").removeprefix("# version").strip() or "unknown"
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
