"""Recurrences: when a schedule fires.

A recurrence is a value. It names *slots*, and each slot means no, one or two instants, its *fires*:

* Minute, Hour: the anchor plus a whole number of intervals of elapsed time. A change of the clock
  does not matter, and slot and fire are the same thing.
* Day: every interval-th calendar day counted from the anchor's day, at every pair of `hours` x
  `minutes`.
* Week: the same on `week_days`, in every interval-th week counted from the anchor's, Monday first.
* Month: every interval-th month counted from the anchor's, on the anchor's day of the month, at its
  time.

A Day, Week or Month slot is a wall time in the rule's zone; core.zones says which instants it
means. The fires of a rule are the set of those instants that are not before its anchor and its
start time. Everything here is asked of that set, and nothing is remembered between two questions:
the next fire costs the same a second or a century after the last one.

The time of day: `hours` and `minutes` as given; a missing one is taken from the anchor. Seconds are
0, unless both are missing: then the anchor's own time of day is kept to the second.

No rule names anything after the year 2999. That bounds every search.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from calendar import monthrange
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import islice
from zoneinfo import ZoneInfo

from penstock.core.zones import (
    IN_STEP_MAX,
    FoldPolicy,
    GapPolicy,
    change_near,
    instants,
    is_near_change,
    readings,
    runs_in_step,
    zone,
)

__all__ = [
    "INTERVAL_MAX",
    "WEEK_DAYS",
    "FoldPolicy",
    "Frequency",
    "GapPolicy",
    "MonthEndPolicy",
    "Occurrence",
    "Recurrence",
    "between",
    "count_between",
    "latest_between",
    "next_after",
    "preview",
]


class Frequency(StrEnum):
    """The unit of a recurrence's interval."""

    MINUTE = "Minute"
    HOUR = "Hour"
    DAY = "Day"
    WEEK = "Week"
    MONTH = "Month"


class MonthEndPolicy(StrEnum):
    """What day 29, 30 or 31 means in a month that is shorter."""

    LAST_DAY = "last_day"
    SKIP = "skip"


WEEK_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

INTERVAL_MAX: Mapping[Frequency, int] = {
    Frequency.MINUTE: 72_000,
    Frequency.HOUR: 12_000,
    Frequency.DAY: 500,
    Frequency.WEEK: 71,
    Frequency.MONTH: 16,
}
"""The largest interval of each frequency, as in the service this one follows."""


# No rule names anything later, which bounds every search.
LAST_YEAR = 2999
_END = datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC)
_END_DAY = _END.toordinal()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurrence:
    """When something recurs. Check one with `validated` before asking it anything."""

    frequency: Frequency
    interval: int
    start_time: datetime | None = None  # naive wall time in time_zone, whole seconds
    time_zone: str | None = None  # as the user wrote it, Windows or IANA; None is UTC
    hours: tuple[int, ...] = ()
    minutes: tuple[int, ...] = ()
    week_days: tuple[str, ...] = ()
    gap: GapPolicy = GapPolicy.SHIFT
    fold: FoldPolicy = FoldPolicy.FIRST
    month_end: MonthEndPolicy = MonthEndPolicy.LAST_DAY
    # Naive wall time in time_zone from which intervals are counted. Written once, at creation.
    # A reading that the clocks show twice is taken as `fold` says, first when it says both.
    anchor: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """One slot of a recurrence, for people to look at."""

    fire_time: datetime | None  # UTC; None when the slot is dropped
    nominal_time: datetime  # the naive wall time that the rule names
    local_time: datetime | None  # fire_time in the rule's zone
    # None: an ordinary fire. "moved": out of a gap. "repeated": second fire of one reading.
    # "merged": fires together with another slot. "dropped": in a gap, skipped.
    mark: str | None = None


# --- Asking ---------------------------------------------------------------------------------------


def next_after(rule: Recurrence, instant: datetime) -> datetime | None:
    """Return the first fire time strictly after `instant`, in UTC; None when there is none.

    A slot equal to the start time fires: ask with any earlier instant to see it. The answer depends
    on nothing but the arguments, and takes no longer when the rule was asleep for years.

    Args:
        rule: a validated recurrence (it has its anchor).
        instant: an aware datetime.
    """
    return _next(_plan(rule), instant)


def between(rule: Recurrence, after: datetime, until: datetime) -> Iterator[datetime]:
    """Yield the fire times after `after` up to and including `until`, in order."""
    return _between(_plan(rule), after, until)


def count_between(rule: Recurrence, after: datetime, until: datetime, limit: int) -> int:
    """Return how many fire times lie after `after` up to and including `until`; at most `limit`.

    Minutes and hours are divided, days and weeks multiplied out between the changes of the clock,
    so ten years of a minutely rule are no more work than one. Months are walked.
    """
    plan = _plan(rule)
    after = max(after, plan.earliest)
    until = min(until, _END)
    if until <= after:
        return 0
    if isinstance(plan, _Elapsed):
        return min(limit, (until - plan.origin) // plan.step - (after - plan.origin) // plan.step)
    if isinstance(plan.days, _EveryMonths):
        return sum(1 for _ in islice(_between(plan, after, until), limit))
    return min(limit, _count(plan, plan.days, after, until))


def latest_between(rule: Recurrence, after: datetime, until: datetime) -> datetime | None:
    """Return the last fire time after `after` up to and including `until`; None when there is none.

    Found by halving the time that is left, not by walking from `after`.
    """
    plan = _plan(rule)
    found = None
    until = min(until, _END)
    following = _next(plan, after)
    while following is not None and following <= until:
        found = following
        middle = found + (until - found) / 2
        later = _next(plan, middle)
        if later is None or later > until:
            until = middle  # nothing fires between the middle and the old end
            following = _next(plan, found)
        else:
            following = later
    return found


def preview(rule: Recurrence, after: datetime, count: int) -> list[Occurrence]:
    """Return the next `count` fires after `after`, and among them the slots that came to nothing.

    The occurrences marked None, "moved" or "repeated" are exactly what `next_after` would give.
    Those marked "merged" or "dropped" are extra: they say why a slot the user expects is not a fire
    of its own.
    """
    plan = _plan(rule)
    fires = list(islice(_between(plan, after, _END), max(count, 0)))
    if not fires:
        return []
    if isinstance(plan, _Elapsed):
        return [_occurrence(plan.zone, wall_time(fire, plan.zone), fire, None) for fire in fires]
    return _marked(plan, max(after, plan.earliest), fires[-1])


# --- The plan: what a rule comes to, worked out once ----------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _EveryDays:
    """The days base + k * period + offset, for every k and every offset."""

    base: int
    period: int
    offsets: tuple[int, ...]  # sorted, each less than the period

    def first_from(self, day: int) -> int:
        """The first of these days that is `day` or later."""
        into = (day - self.base) % self.period
        for offset in self.offsets:
            if offset >= into:
                return day - into + offset
        return day - into + self.period + self.offsets[0]

    def count_before(self, day: int) -> int:
        """How many of these days lie before `day`, counted from the base."""
        cycle, into = divmod(day - self.base, self.period)
        return cycle * len(self.offsets) + bisect_left(self.offsets, into)


@dataclass(frozen=True, slots=True, kw_only=True)
class _EveryMonths:
    """One day of every interval-th month, counted from the base month (year * 12 + month - 1)."""

    base: int
    interval: int
    day: int
    month_end: MonthEndPolicy

    def first_from(self, day: int) -> int:
        """The first of these days that is `day` or later.

        At most a leap year's distance away: a month as long as the anchor's comes back.
        """
        at = date.fromordinal(day)
        month = at.year * 12 + at.month - 1
        month += (self.base - month) % self.interval
        found = self._day_in(month)
        while found is None or found < day:
            month += self.interval
            found = self._day_in(month)
        return found

    def _day_in(self, month: int) -> int | None:
        year, month_index = divmod(month, 12)
        first = date(year, month_index + 1, 1).toordinal()
        if self.day <= 28:
            return first + self.day - 1
        length = monthrange(year, month_index + 1)[1]
        if self.day > length and self.month_end is MonthEndPolicy.SKIP:
            return None
        return first + min(self.day, length) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Elapsed:
    """A Minute or Hour rule: origin + k * step, but nothing up to and including `earliest`."""

    zone: ZoneInfo
    earliest: datetime
    origin: datetime
    step: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class _Calendar:
    """A Day, Week or Month rule: the times of day on the days, but nothing up to `earliest`."""

    zone: ZoneInfo
    earliest: datetime
    earliest_wall: datetime
    first_midnight: datetime  # of the day with ordinal 1; all wall times are counted from it
    days: _EveryDays | _EveryMonths
    seconds: tuple[int, ...]  # times of day, since midnight, sorted
    gap: GapPolicy
    fold: FoldPolicy


_TICK = timedelta(microseconds=1)
_STEPS = {Frequency.MINUTE: timedelta(minutes=1), Frequency.HOUR: timedelta(hours=1)}


@lru_cache(maxsize=16_384)
def _plan(rule: Recurrence) -> _Elapsed | _Calendar:
    """Work out what does not change between two questions to the same rule."""
    if rule.anchor is None:
        raise ValueError("a recurrence without an anchor: pass it through validated() first")
    tz = zone(rule.time_zone or "UTC")
    origin = _origin(rule.anchor, tz, rule)
    start_wall = max(rule.anchor, rule.start_time or rule.anchor)
    earliest = _origin(start_wall, tz, rule) - _TICK
    step = _STEPS.get(rule.frequency)
    if step is not None:
        return _Elapsed(zone=tz, earliest=earliest, origin=origin, step=step * rule.interval)
    times = times_of_day(rule, rule.anchor.time())
    return _Calendar(
        zone=tz,
        earliest=earliest,
        earliest_wall=start_wall.replace(tzinfo=tz) - _TICK,
        first_midnight=datetime(1, 1, 1, tzinfo=tz),
        days=_days(rule, rule.anchor.date()),
        seconds=tuple(at.hour * 3600 + at.minute * 60 + at.second for at in times),
        gap=rule.gap,
        fold=rule.fold,
    )


def _origin(wall: datetime, tz: ZoneInfo, rule: Recurrence) -> datetime:
    """The instant of the anchor or the start time: it is one even where slots would be skipped."""
    gap = GapPolicy.AFTER if rule.gap is GapPolicy.SKIP else rule.gap
    return instants(wall, tz, gap, rule.fold)[0]


def times_of_day(rule: Recurrence, anchor: time) -> list[time]:
    if not rule.hours and not rule.minutes:
        return [anchor]
    return [
        time(hour, minute)
        for hour in rule.hours or (anchor.hour,)
        for minute in rule.minutes or (anchor.minute,)
    ]


def _days(rule: Recurrence, anchor: date) -> _EveryDays | _EveryMonths:
    if rule.frequency is Frequency.MONTH:
        return _EveryMonths(
            base=anchor.year * 12 + anchor.month - 1,
            interval=rule.interval,
            day=anchor.day,
            month_end=rule.month_end,
        )
    if rule.frequency is Frequency.DAY:
        return _EveryDays(base=anchor.toordinal(), period=rule.interval, offsets=(0,))
    offsets = tuple(WEEK_DAYS.index(day) for day in rule.week_days) or (anchor.weekday(),)
    monday = anchor.toordinal() - anchor.weekday()
    return _EveryDays(base=monday, period=7 * rule.interval, offsets=offsets)


# --- The search -----------------------------------------------------------------------------------
#
# Wall times are held here as aware datetimes in the plan's zone: Python adds to them, and compares
# them with each other, by what the clock on the wall shows.


def _next(plan: _Elapsed | _Calendar, instant: datetime) -> datetime | None:
    if instant < plan.earliest:
        instant = plan.earliest
    if instant >= _END:
        return None
    if isinstance(plan, _Elapsed):
        fire = plan.origin + ((instant - plan.origin) // plan.step + 1) * plan.step
        return fire if fire < _END else None
    return _next_in_calendar(plan, instant)


def _next_in_calendar(plan: _Calendar, instant: datetime) -> datetime | None:
    """Return the least instant after `instant` that a slot means.

    With no change of the clock near `instant`, nor near the first slot after the present wall time,
    it is that slot. Otherwise look closely.
    """
    wall = instant.astimezone(plan.zone)
    if is_near_change(wall):
        return _next_near_change(plan, instant)
    slot = _slot_after(plan, wall if wall > plan.earliest_wall else plan.earliest_wall)
    if slot is None:
        return None
    return _next_near_change(plan, instant) if is_near_change(slot) else slot.astimezone(UTC)


def _next_near_change(plan: _Calendar, instant: datetime) -> datetime | None:
    """Do what _next_in_calendar does where wall time and instants may be out of step.

    A slot from up to twice the change's length ago may still be to come: in an overlap it returns,
    out of a gap it was moved. And a slot that was moved out of a gap may land behind its
    successors. So slots are tried in order, from before where the first candidate can be, until one
    is met whose successors can only be later.
    """
    slot = _slot_after(plan, _search_start(plan, instant))
    best: datetime | None = None
    while slot is not None:
        first, second = readings(slot, plan.zone)
        meant = instants(slot, plan.zone, plan.gap, plan.fold)
        best = min((fire for fire in (*meant, best) if fire and fire > instant), default=None)
        if first <= second and meant[0] > instant:
            return best
        slot = _slot_after(plan, slot)
    return best


def _search_start(plan: _Calendar, instant: datetime) -> datetime:
    """The wall time after which lies every slot that can mean something after `instant`."""
    wall = instant.astimezone(plan.zone)
    return max(wall - 2 * change_near(wall), plan.earliest_wall)


def _slot_after(plan: _Calendar, wall: datetime) -> datetime | None:
    """Return the first slot later than a wall time; None when the calendar ends before it."""
    today = wall.toordinal()
    day = plan.days.first_from(today)
    if day == today:
        at = bisect_right(plan.seconds, wall.hour * 3600 + wall.minute * 60 + wall.second)
        if at < len(plan.seconds):
            return plan.first_midnight + timedelta(day - 1, plan.seconds[at])
        day = plan.days.first_from(today + 1)
    if day >= _END_DAY:
        return None
    return plan.first_midnight + timedelta(day - 1, plan.seconds[0])


def _between(plan: _Elapsed | _Calendar, after: datetime, until: datetime) -> Iterator[datetime]:
    fire = _next(plan, after)
    while fire is not None and fire <= until:
        yield fire
        fire = _next(plan, fire)


# --- Counting -------------------------------------------------------------------------------------

_WALKED_SLOTS_MAX = 32
_WALKED_MAX = timedelta(hours=6)


def _count(plan: _Calendar, days: _EveryDays, after: datetime, until: datetime) -> int:
    """Count fires: stretches far from a change are multiplied out, the rest halved, then walked."""
    length = until - after
    if length <= IN_STEP_MAX:
        start, end = after.astimezone(plan.zone), until.astimezone(plan.zone)
        from_wall = start if start > plan.earliest_wall else plan.earliest_wall
        named = _slots_up_to(plan, days, end) - _slots_up_to(plan, days, from_wall)
        if runs_in_step(start, end):
            return named
        if named <= _WALKED_SLOTS_MAX or length <= _WALKED_MAX:
            return sum(1 for _ in _between(plan, after, until))
    middle = after + length / 2
    return _count(plan, days, after, middle) + _count(plan, days, middle, until)


def _slots_up_to(plan: _Calendar, days: _EveryDays, wall: datetime) -> int:
    today = wall.toordinal()
    passed = 0
    if days.first_from(today) == today:
        passed = bisect_right(plan.seconds, wall.hour * 3600 + wall.minute * 60 + wall.second)
    return days.count_before(today) * len(plan.seconds) + passed


# --- The preview ----------------------------------------------------------------------------------


def _marked(plan: _Calendar, after: datetime, last: datetime) -> list[Occurrence]:
    """Return every slot that means, or would have meant, an instant after `after` up to `last`."""
    found = [
        (at, mark == "moved", slot, mark)
        for slot in _slots_near(plan, after, last)
        for at, mark in _meanings(plan, slot)
        if after < at <= last
    ]
    occurrences: list[Occurrence] = []
    taken: set[datetime] = set()
    for at, _, slot, mark in sorted(found, key=lambda row: row[:3]):
        nominal = slot.replace(tzinfo=None)
        if mark == "dropped":
            occurrences.append(_occurrence(plan.zone, nominal, None, mark))
            continue
        occurrences.append(_occurrence(plan.zone, nominal, at, "merged" if at in taken else mark))
        taken.add(at)
    return occurrences


def _slots_near(plan: _Calendar, after: datetime, last: datetime) -> Iterator[datetime]:
    """Yield, as wall times, the slots among which are all that belong between two instants."""
    end = last.astimezone(plan.zone)
    end += change_near(end)
    slot = _slot_after(plan, _search_start(plan, after))
    while slot is not None and slot <= end:
        yield slot
        slot = _slot_after(plan, slot)


def _meanings(plan: _Calendar, slot: datetime) -> list[tuple[datetime, str | None]]:
    """Return the instants of a slot with their marks; a dropped slot where it would have fired."""
    first, second = readings(slot, plan.zone)
    meant = instants(slot, plan.zone, plan.gap, plan.fold)
    if first > second:
        return [(at, "moved") for at in meant] or [(first, "dropped")]
    return [(at, "repeated" if index else None) for index, at in enumerate(meant)]


def _occurrence(
    tz: ZoneInfo, nominal: datetime, fire: datetime | None, mark: str | None
) -> Occurrence:
    local = None if fire is None else fire.astimezone(tz)
    return Occurrence(fire_time=fire, nominal_time=nominal, local_time=local, mark=mark)


def wall_time(instant: datetime, tz: ZoneInfo) -> datetime:
    return instant.astimezone(tz).replace(tzinfo=None, fold=0)
