"""When a recurrence fires, found by looking at clocks instead of by arithmetic.

Nothing of `penstock.core.recurrence` is used but the `Recurrence` value and the names of its
policies. The oracle works on whole minutes, counted from the day with ordinal 0, both for UTC and
for the clock on the wall. A *stretch* is a run of UTC minutes during which a zone's offset stays
the same.

1. Which wall minutes does the rule name? Look at the calendar fields of each day and each minute.
2. Which UTC minutes show a wall minute? Look at the zone's clock in each stretch.
3. A wall minute that is shown twice, or never, is treated as the rule's policies say.

`walk` does all this minute by minute, with no shortcut. `fires` leaves out days that the rule does
not name and compares whole stretches; the tests hold the two against each other.
"""

from __future__ import annotations

from bisect import bisect_left
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from penstock.core.recurrence import (
    WEEK_DAYS,
    FoldPolicy,
    Frequency,
    GapPolicy,
    MonthEndPolicy,
    Recurrence,
)

DAY = 1440
Stretch = tuple[int, int, int]  # first UTC minute, first one after, wall minute minus UTC minute

_DAY_ONE = datetime(1, 1, 1, tzinfo=UTC)  # its ordinal is 1
_STEP_MINUTES = {Frequency.MINUTE: 1, Frequency.HOUR: 60}


# --- Clocks ---------------------------------------------------------------------------------------


def minute_of(at: datetime) -> int:
    """The number of a whole minute; the zone, if any, is not looked at."""
    assert at.second == at.microsecond == 0, at
    return at.toordinal() * DAY + at.hour * 60 + at.minute


def datetime_of(minute: int) -> datetime:
    """The UTC datetime with this number."""
    return _DAY_ONE + timedelta(days=minute // DAY - 1, minutes=minute % DAY)


def wall_of(utc_minute: int, tz: ZoneInfo) -> int:
    """What the clock on the wall shows at a UTC minute."""
    return minute_of(datetime_of(utc_minute).astimezone(tz))


def stretches_by_minute(tz: ZoneInfo, first: int, end: int) -> list[Stretch]:
    """The stretches from `first` to `end`, found by reading the clock at every minute."""
    found: list[Stretch] = []
    for minute in range(first, end):
        offset = wall_of(minute, tz) - minute
        if found and found[-1][2] == offset:
            found[-1] = (found[-1][0], minute + 1, offset)
        else:
            found.append((minute, minute + 1, offset))
    return found


def stretches_by_hour(tz: ZoneInfo, first: int, end: int) -> list[Stretch]:
    """The same, reading the clock every hour, and every minute of an hour that has a change."""
    found: list[Stretch] = []
    for hour in range(first, end, 60):
        after = min(hour + 60, end)
        offset = wall_of(hour, tz) - hour
        if found and found[-1][2] == offset:
            found[-1] = (found[-1][0], after, offset)
        else:
            before = max(hour - 60, first)
            while found and before < hour and wall_of(before, tz) - before == found[-1][2]:
                before += 1
            if found:
                found[-1] = (found[-1][0], before, found[-1][2])
            found.append((before, after, offset))
    return found


# --- What a rule names ----------------------------------------------------------------------------


def names_day(rule: Recurrence, day: date) -> bool:
    """True when the rule names this calendar day."""
    anchor = rule.anchor.date()
    if rule.frequency is Frequency.DAY:
        return (day - anchor).days % rule.interval == 0
    if rule.frequency is Frequency.WEEK:
        weeks = (_monday(day) - _monday(anchor)).days // 7
        named = rule.week_days or (WEEK_DAYS[anchor.weekday()],)
        return weeks % rule.interval == 0 and WEEK_DAYS[day.weekday()] in named
    months = (day.year - anchor.year) * 12 + day.month - anchor.month
    if months % rule.interval != 0:
        return False
    is_last = (day + timedelta(days=1)).day == 1
    stands_in = is_last and anchor.day > day.day and rule.month_end is MonthEndPolicy.LAST_DAY
    return day.day == anchor.day or stands_in


def _monday(day: date) -> date:
    while day.weekday() != 0:
        day -= timedelta(days=1)
    return day


def names_minute(rule: Recurrence, hour: int, minute: int) -> bool:
    """True when the rule names this minute of the days it names."""
    hours = rule.hours or (rule.anchor.hour,)
    minutes = rule.minutes or (rule.anchor.minute,)
    return hour in hours and minute in minutes


def names(rule: Recurrence, wall: int) -> bool:
    """True when the rule names this wall minute."""
    if wall < max(minute_of(rule.anchor), minute_of(rule.start_time or rule.anchor)):
        return False
    return names_minute(rule, wall % DAY // 60, wall % 60) and names_day(
        rule, date.fromordinal(wall // DAY)
    )


def slots(rule: Recurrence, first: int, end: int) -> list[int]:
    """The wall minutes from `first` to `end` that the rule names, day by day."""
    minutes = [at for at in range(DAY) if names_minute(rule, at // 60, at % 60)]
    days = range(first // DAY, end // DAY + 1)
    named = [day for day in days if names_day(rule, date.fromordinal(day))]
    earliest = max(first, minute_of(rule.anchor), minute_of(rule.start_time or rule.anchor))
    return [day * DAY + at for day in named for at in minutes if earliest <= day * DAY + at < end]


# --- When it fires --------------------------------------------------------------------------------


def origin(rule: Recurrence, wall: int, tz: ZoneInfo) -> int:
    """The UTC minute of the rule's anchor or start time; after the gap where slots are skipped."""
    stretches = stretches_by_hour(tz, wall - 3 * DAY, wall + 3 * DAY)
    shown = [wall - offset for first, end, offset in stretches if first <= wall - offset < end]
    if shown:
        return shown[-1] if rule.fold is FoldPolicy.SECOND else shown[0]
    (_, change, before), _ = stretches
    return wall - before if rule.gap is GapPolicy.SHIFT else change


def earliest(rule: Recurrence, tz: ZoneInfo) -> int:
    """The UTC minute before which the rule does not fire."""
    return origin(rule, minute_of(max(rule.anchor, rule.start_time or rule.anchor)), tz)


def elapsed(rule: Recurrence, tz: ZoneInfo, first: int, end: int) -> list[int]:
    """The UTC minutes of a Minute or Hour rule: those a whole number of steps from the origin."""
    start = origin(rule, minute_of(rule.anchor), tz)
    step = rule.interval * _STEP_MINUTES[rule.frequency]
    lowest = max(first, earliest(rule, tz))
    lowest += -(lowest - start) % step
    return list(range(lowest, end, step))


def fires(
    rule: Recurrence,
    named: list[int],
    tz: ZoneInfo,
    stretches: list[Stretch],
    first: int,
    end: int,
) -> list[int]:
    """The UTC minutes from `first` to `end` at which a rule fires; `named` are its wall minutes."""
    found: set[int] = set()
    for index, (begin, finish, offset) in enumerate(stretches):
        if finish <= first - 2 * DAY or begin >= end + 2 * DAY:
            continue
        low, high = begin + offset, finish + offset
        before = stretches[index - 1][2] if index else offset
        after = stretches[index + 1][2] if index + 1 < len(stretches) else offset
        if before > offset and rule.fold is FoldPolicy.FIRST:
            low = begin + before  # up to here the clock shows what it has shown before
        if after < offset and rule.fold is FoldPolicy.SECOND:
            high = finish + after  # from here on it shows what it will show again
        found.update(wall - offset for wall in _within(named, low, high))
        if before < offset:  # the clock jumped over these
            for wall in _within(named, begin + before, begin + offset):
                found.update(_in_gap(rule.gap, wall, begin, before))
    lowest = max(first, earliest(rule, tz))
    return sorted(minute for minute in found if lowest <= minute < end)


def _in_gap(policy: GapPolicy, wall: int, change: int, before: int) -> list[int]:
    if policy is GapPolicy.SKIP:
        return []
    return [wall - before if policy is GapPolicy.SHIFT else change]


def _within(named: list[int], low: int, high: int) -> list[int]:
    return named[bisect_left(named, low) : bisect_left(named, high)]


def expected(
    rule: Recurrence, tz: ZoneInfo, stretches: list[Stretch], first: int, end: int
) -> list[int]:
    """The UTC minutes from `first` to `end` at which the rule fires."""
    if rule.frequency in _STEP_MINUTES:
        return elapsed(rule, tz, first, end)
    named = slots(rule, first - 3 * DAY, end + 3 * DAY)
    return fires(rule, named, tz, stretches, first, end)


def walk(rule: Recurrence, tz: ZoneInfo, first: int, end: int) -> list[int]:
    """The same, with no shortcut: every minute is looked at, for the clock and for the rule."""
    shown = _shown(tz, first - 3 * DAY, end + 3 * DAY)
    meant: dict[int, list[int]] = {}
    last = min(shown) - 1
    for wall in sorted(shown):
        for missed in range(last + 1, wall):
            change = shown[wall][0]
            meant[missed] = {
                GapPolicy.SHIFT: [change + missed - last - 1],
                GapPolicy.AFTER: [change],
                GapPolicy.SKIP: [],
            }[rule.gap]
        meant[wall] = {
            FoldPolicy.FIRST: shown[wall][:1],
            FoldPolicy.SECOND: shown[wall][-1:],
            FoldPolicy.BOTH: shown[wall],
        }[rule.fold]
        last = wall
    if rule.frequency in _STEP_MINUTES:
        start = origin(rule, minute_of(rule.anchor), tz)
        step = rule.interval * _STEP_MINUTES[rule.frequency]
        found = {minute for minute in range(first, end) if (minute - start) % step == 0}
    else:
        found = {minute for wall in meant if names(rule, wall) for minute in meant[wall]}
    lowest = max(first, earliest(rule, tz))
    return sorted(minute for minute in found if lowest <= minute < end)


@lru_cache(maxsize=1)
def _shown(tz: ZoneInfo, first: int, end: int) -> dict[int, list[int]]:
    """Which UTC minutes show each wall minute."""
    shown: dict[int, list[int]] = {}
    for minute in range(first, end):
        shown.setdefault(wall_of(minute, tz), []).append(minute)
    return shown
