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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from enum import StrEnum
from functools import lru_cache
from itertools import islice
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from penstock.core.zones import (
    IN_STEP_MAX,
    FoldPolicy,
    GapPolicy,
    change_near,
    instants,
    is_near_change,
    readings,
    resolve,
    runs_in_step,
    zone,
)
from penstock.errors import Invalid, InvalidRecurrence

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
    "describe",
    "latest_between",
    "next_after",
    "preview",
    "validated",
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
        return [_occurrence(plan.zone, _wall(fire, plan.zone), fire, None) for fire in fires]
    return _marked(plan, max(after, plan.earliest), fires[-1])


# --- Checking -------------------------------------------------------------------------------------

_START_AHEAD_MAX = timedelta(days=17_898)  # 49 years
_FIRST_YEAR, _LAST_YEAR = 1970, 2999  # zone data are whole and regular since 1970
_END = datetime(_LAST_YEAR + 1, 1, 1, tzinfo=UTC)
_END_DAY = _END.toordinal()

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
    wall_now = _wall(now, zone(time_zone or "UTC")).replace(microsecond=0)
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
    if not _FIRST_YEAR <= value.year <= _LAST_YEAR:
        raise _wrong(field, value.isoformat(), f"a year from {_FIRST_YEAR} to {_LAST_YEAR}")
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


# --- Saying it in words ---------------------------------------------------------------------------

_TIMES_LISTED_MAX = 8


def describe(rule: Recurrence) -> str:
    """Return the rule as one phrase, such as "every 2 weeks on Monday at 04:50, Europe/Berlin".

    What a rule takes from its anchor is said with the anchor's own figures; before it has one, as
    "when it is created".
    """
    unit = rule.frequency.value.lower()
    phrase = f"every {unit}" if rule.interval == 1 else f"every {rule.interval} {unit}s"
    parts = [phrase + _DAYS_IN_WORDS[rule.frequency](rule) + _times_in_words(rule)]
    if rule.start_time is not None:
        parts.append(f"from {_clock(rule.start_time)}")
    parts.append(_zone_in_words(rule.time_zone))
    return ", ".join(parts)


def _week_in_words(rule: Recurrence) -> str:
    if rule.week_days:
        return f" on {_listed(rule.week_days)}"
    return f" on {WEEK_DAYS[rule.anchor.weekday()]}" if rule.anchor else ""


def _month_in_words(rule: Recurrence) -> str:
    if rule.anchor is None:
        return ""
    shorter = {
        MonthEndPolicy.LAST_DAY: " (the last day of a shorter month)",
        MonthEndPolicy.SKIP: " (not in a shorter month)",
    }
    return f" on day {rule.anchor.day}" + (shorter[rule.month_end] if rule.anchor.day > 28 else "")


_DAYS_IN_WORDS: Mapping[Frequency, Callable[[Recurrence], str]] = {
    Frequency.MINUTE: lambda rule: "",
    Frequency.HOUR: lambda rule: "",
    Frequency.DAY: lambda rule: "",
    Frequency.WEEK: _week_in_words,
    Frequency.MONTH: _month_in_words,
}


def _times_in_words(rule: Recurrence) -> str:
    if rule.anchor is None:
        needs_anchor = not (rule.hours and rule.minutes)
        return " counted from when it is created" if needs_anchor else _listed_times(rule, time())
    if rule.frequency in (Frequency.MINUTE, Frequency.HOUR):
        return "" if rule.anchor == rule.start_time else f" counted from {_clock(rule.anchor)}"
    return _listed_times(rule, rule.anchor.time())


def _listed_times(rule: Recurrence, anchor: time) -> str:
    times = [f"{_short(moment)}" for moment in _times_of_day(rule, anchor)]
    if len(times) > _TIMES_LISTED_MAX:
        return f" at {len(times)} times from {times[0]} to {times[-1]}"
    return f" at {_listed(times)}"


def _zone_in_words(name: str | None) -> str:
    iana = resolve(name or "UTC")
    if name is None or name == "UTC":
        return "UTC"
    return iana if name == iana else f"{name} ({iana})"


def _clock(wall: datetime) -> str:
    return f"{wall.date().isoformat()} {_short(wall.time())}"


def _short(moment: time) -> str:
    return moment.isoformat("seconds" if moment.second else "minutes")


def _listed(words: Sequence[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


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
    times = _times_of_day(rule, rule.anchor.time())
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


def _times_of_day(rule: Recurrence, anchor: time) -> list[time]:
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


def _wall(instant: datetime, tz: ZoneInfo) -> datetime:
    return instant.astimezone(tz).replace(tzinfo=None, fold=0)
