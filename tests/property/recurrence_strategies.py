"""Recurrences and instants for property tests, most of them close to a change of the clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from penstock.core.checking import validated
from penstock.core.recurrence import (
    WEEK_DAYS,
    FoldPolicy,
    Frequency,
    GapPolicy,
    MonthEndPolicy,
    Recurrence,
)

ZONES = (
    "UTC Europe/Berlin Europe/Dublin America/New_York America/Nuuk Australia/Lord_Howe "
    "Antarctica/Troll Africa/Casablanca Asia/Kathmandu Pacific/Apia"
).split()

_INTERVALS = {Frequency.MINUTE: 300, Frequency.HOUR: 50, Frequency.DAY: 9, Frequency.WEEK: 4}


@lru_cache
def changes(name: str) -> list[datetime]:
    """When the zone's clock was changed, to the hour, in 2011 and from 2024 to 2026."""
    tz, hour = ZoneInfo(name), timedelta(hours=1)
    found = []
    for start, days in ((datetime(2011, 12, 1, tzinfo=UTC), 40), (_FROM, 3 * 365)):
        hours = [start + n * hour for n in range(days * 24)]
        offsets = [at.astimezone(tz).utcoffset() for at in hours]
        pairs = zip(hours[1:], pairwise(offsets), strict=True)
        found += [at for at, (before, after) in pairs if before != after]
    return found


_FROM = datetime(2024, 1, 1, tzinfo=UTC)


@st.composite
def instants(draw: st.DrawFn, zone: str) -> datetime:
    """An instant: mostly within two days of a change, now and then anywhere in three years."""
    near = changes(zone)
    around = draw(st.sampled_from(near)) if near and draw(st.integers(0, 4)) else None
    if around is None:
        return _FROM + timedelta(minutes=draw(st.integers(0, 3 * 365 * 1440)))
    return around + timedelta(minutes=draw(st.integers(-3000, 3000)))


@st.composite
def rules(draw: st.DrawFn) -> Recurrence:
    """A validated rule whose anchor and times of day lie close to a change of its zone's clock."""
    zone = draw(st.sampled_from(ZONES))
    frequency = draw(st.sampled_from(Frequency))
    by_day = frequency in (Frequency.DAY, Frequency.WEEK)
    wall = draw(instants(zone)).astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)
    wall += timedelta(minutes=draw(st.sampled_from([0, 0, 15, 30, 59, -60])))
    anchor = wall - draw(st.sampled_from([0, 0, 1, 7, 31, 400])) * timedelta(days=1)
    few_hours = st.sets(st.sampled_from([0, 1, 2, 3, 12, 23]), max_size=4)
    few_minutes = st.sets(st.sampled_from([0, 1, 15, 30, 59]), max_size=3)
    week_days = st.sets(st.sampled_from(WEEK_DAYS)) if frequency is Frequency.WEEK else st.just(())
    rule = Recurrence(
        frequency=frequency,
        interval=draw(st.integers(1, _INTERVALS.get(frequency, 14))),
        start_time=wall if draw(st.booleans()) else None,
        time_zone=zone,
        hours=tuple(draw(few_hours)) if by_day else (),
        minutes=tuple(draw(few_minutes)) if by_day else (),
        week_days=tuple(draw(week_days)),
        gap=draw(st.sampled_from(GapPolicy)),
        fold=draw(st.sampled_from(FoldPolicy)),
        month_end=draw(st.sampled_from(MonthEndPolicy)),
        anchor=anchor,
    )
    return validated(rule, now=_FROM)


@st.composite
def rules_and_instants(draw: st.DrawFn) -> tuple[Recurrence, datetime]:
    """A rule, and an instant at which to ask it."""
    rule = draw(rules())
    return rule, draw(instants(rule.time_zone or "UTC"))
