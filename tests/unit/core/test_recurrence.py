"""Facts about recurrences, as tables."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest

from penstock.core.checking import validated
from penstock.core.recurrence import (
    INTERVAL_MAX,
    WEEK_DAYS,
    FoldPolicy,
    Frequency,
    GapPolicy,
    MonthEndPolicy,
    Recurrence,
    between,
    count_between,
    latest_between,
    next_after,
    preview,
)
from penstock.core.wording import describe
from penstock.errors import Invalid, InvalidRecurrence

MINUTE, HOUR, DAY, WEEK, MONTH = Frequency
NOW = datetime(2026, 1, 5, 12, 0, 7, 999, tzinfo=UTC)  # a Monday


def wall(text):
    return datetime.fromisoformat(text)


def utc(text):
    return wall(text).replace(tzinfo=UTC)


def a_rule(frequency=DAY, interval=1, *, now=NOW, **members):
    """A validated rule; times may be given as text."""
    for name in ("start_time", "anchor"):
        if isinstance(members.get(name), str):
            members[name] = wall(members[name])
    return validated(Recurrence(frequency=frequency, interval=interval, **members), now=now)


def fires(rule, after, count):
    """The next fires as text, in UTC."""
    found = islice(between(rule, utc(after), utc("2999-01-01")), count)
    return [f"{fire:%Y-%m-%d %H:%M}" for fire in found]


# --- What fires -----------------------------------------------------------------------------------

BERLIN, PACIFIC = "Europe/Berlin", "Pacific Standard Time"


@pytest.mark.parametrize(
    ("rule", "after", "expected"),
    [
        pytest.param(
            {"interval": 2, "start_time": "2017-09-07 14:00", "now": utc("2017-09-08 13:00")},
            "2017-09-08 13:00",
            ["2017-09-09 14:00", "2017-09-11 14:00", "2017-09-13 14:00"],
            id="a start in the past is counted from, and its past slots are left out",
        ),
        pytest.param(
            {"interval": 2, "start_time": "2026-02-01 14:00"},
            "2026-01-05 12:00",
            ["2026-02-01 14:00", "2026-02-03 14:00"],
            id="a start in the future is the first fire",
        ),
        pytest.param(
            {
                "frequency": WEEK,
                "start_time": "2020-09-18 08:00",
                "time_zone": PACIFIC,
                "hours": [10, 12, 14],
                "minutes": [30],
                "week_days": ["Monday"],
            },
            "2020-09-18 00:00",
            ["2020-09-21 17:30", "2020-09-21 19:30", "2020-09-21 21:30", "2020-09-28 17:30"],
            id="no fire before the start, then the slots of the schedule",
        ),
        pytest.param(
            {"start_time": "2026-03-02 08:30", "hours": [16, 8], "minutes": [45, 30]},
            "2026-01-05 12:00",
            ["2026-03-02 08:30", "2026-03-02 08:45", "2026-03-02 16:30", "2026-03-02 16:45"],
            id="hours and minutes are crossed, and a start equal to a slot fires",
        ),
        pytest.param(
            {"start_time": "2026-03-02 08:31", "hours": [8], "minutes": [30]},
            "2026-01-05 12:00",
            ["2026-03-03 08:30"],
            id="a slot before the start on the start's day does not fire",
        ),
        pytest.param(
            {"start_time": "2026-03-02 14:37", "hours": [8]},
            "2026-01-05 12:00",
            ["2026-03-03 08:37"],
            id="hours without minutes take the minute from the start",
        ),
        pytest.param(
            {"hours": [8]},
            "2026-01-05 12:00",
            ["2026-01-06 08:00"],
            id="hours without minutes take the minute from the creation",
        ),
        pytest.param(
            {"minutes": [15]},
            "2026-01-05 12:00",
            ["2026-01-05 12:15", "2026-01-06 12:15"],
            id="minutes without hours take the hour from the creation",
        ),
        pytest.param(
            {"hours": range(24), "minutes": [15]},
            "2026-01-05 12:00",
            ["2026-01-05 12:15", "2026-01-05 13:15", "2026-01-05 14:15"],
            id="all hours are hourly",
        ),
        pytest.param(
            {"frequency": WEEK, "week_days": ["Friday", "Tuesday"]},
            "2026-01-05 12:00",
            ["2026-01-06 12:00", "2026-01-09 12:00", "2026-01-13 12:00"],
            id="week days without hours take the time from the creation",
        ),
        pytest.param(
            {"frequency": WEEK, "interval": 3},
            "2026-01-05 13:00",
            ["2026-01-26 12:00", "2026-02-16 12:00"],
            id="a week with nothing else is the creation's week day",
        ),
        pytest.param(
            {
                "frequency": WEEK,
                "interval": 2,
                "start_time": "2026-01-07 09:00",
                "week_days": ["Monday", "Friday"],
            },
            "2026-01-05 12:00",
            ["2026-01-09 09:00", "2026-01-19 09:00", "2026-01-23 09:00"],
            id="every other week is counted from the start's week, Monday first",
        ),
        pytest.param(
            {"frequency": MINUTE, "interval": 90, "start_time": "2026-01-01 00:00"},
            "2026-01-05 12:00",
            ["2026-01-05 13:30", "2026-01-05 15:00"],
            id="minutes are elapsed time",
        ),
        pytest.param(
            {
                "frequency": HOUR,
                "interval": 12,
                "start_time": "2026-03-28 12:00",
                "time_zone": BERLIN,
            },
            "2026-03-28 00:00",
            ["2026-03-28 11:00", "2026-03-28 23:00", "2026-03-29 11:00"],
            id="hours do not notice a change of the clock",
        ),
        pytest.param(
            {"start_time": "2026-03-28 12:00", "time_zone": BERLIN},
            "2026-03-28 00:00",
            ["2026-03-28 11:00", "2026-03-29 10:00", "2026-03-30 10:00"],
            id="days keep the time on the wall",
        ),
        pytest.param(
            {"frequency": MONTH, "start_time": "2026-01-31 06:00"},
            "2026-01-05 12:00",
            ["2026-01-31 06:00", "2026-02-28 06:00", "2026-03-31 06:00", "2026-04-30 06:00"],
            id="day 31 is the last day of a shorter month",
        ),
        pytest.param(
            {
                "frequency": MONTH,
                "start_time": "2026-01-31 06:00",
                "month_end": MonthEndPolicy.SKIP,
            },
            "2026-01-05 12:00",
            ["2026-01-31 06:00", "2026-03-31 06:00", "2026-05-31 06:00", "2026-07-31 06:00"],
            id="day 31 can leave out shorter months",
        ),
        pytest.param(
            {
                "frequency": MONTH,
                "interval": 12,
                "start_time": "2096-02-29 06:00",
                "month_end": MonthEndPolicy.SKIP,
                "now": utc("2096-01-01"),
            },
            "2096-01-01",
            ["2096-02-29 06:00", "2104-02-29 06:00", "2108-02-29 06:00"],
            id="29 February can be eight years away",
        ),
        pytest.param(
            {"frequency": MONTH, "interval": 5, "start_time": "2026-10-15 06:00"},
            "2027-03-15 06:00",
            ["2027-08-15 06:00", "2028-01-15 06:00"],
            id="every fifth month goes over the years",
        ),
    ],
)
def test_it_fires(rule, after, expected):
    assert fires(a_rule(**rule), after, len(expected)) == expected


def test_seconds_come_from_the_anchor_only_when_the_whole_time_does():
    plain, with_hours, with_minutes = a_rule(), a_rule(hours=[12]), a_rule(minutes=[0])
    assert next_after(plain, NOW) == datetime(2026, 1, 6, 12, 0, 7, tzinfo=UTC)
    assert next_after(with_hours, NOW) == datetime(2026, 1, 6, 12, 0, 0, tzinfo=UTC)
    assert next_after(with_minutes, NOW) == datetime(2026, 1, 6, 12, 0, 0, tzinfo=UTC)


def test_an_instant_between_two_seconds_is_before_the_later_one():
    slot = next_after(a_rule(), NOW)
    assert next_after(a_rule(), slot - timedelta(microseconds=1)) == slot
    assert next_after(a_rule(), slot + timedelta(microseconds=1)) == slot + timedelta(days=1)


def test_a_start_after_the_anchor_holds_fires_back_without_moving_them():
    rule = a_rule(interval=3, anchor="2026-01-01 08:00", start_time="2026-01-08 00:00")
    assert fires(rule, "2026-01-01", 2) == ["2026-01-10 08:00", "2026-01-13 08:00"]
    rule = a_rule(HOUR, 5, anchor="2026-01-01 00:00", start_time="2026-01-01 07:00")
    assert fires(rule, "2026-01-01", 2) == ["2026-01-01 10:00", "2026-01-01 15:00"]


def test_nothing_fires_after_the_year_2999():
    last = utc("2999-12-31 23:30")
    for rule in (a_rule(HOUR), a_rule(DAY), a_rule(WEEK), a_rule(MONTH), a_rule(hours=[1, 2])):
        assert next_after(rule, last) is None
        assert next_after(rule, utc("3000-06-01")) is None
        assert list(between(rule, last, utc("3001-01-01"))) == []
        assert latest_between(rule, last, utc("3001-01-01")) is None
        assert count_between(rule, last, utc("3001-01-01"), 9) == 0
        assert preview(rule, last, 3) == []


def test_the_search_ends_with_the_calendar_near_a_change_of_the_clock_too():
    rule = a_rule(MONTH, 12, anchor="2026-01-15 02:30", time_zone=BERLIN)
    for day in range(1, 31):
        assert next_after(rule, utc(f"2999-10-{day:02}")) is None


def test_a_rule_without_an_anchor_is_not_answered():
    with pytest.raises(ValueError, match="anchor"):
        next_after(Recurrence(frequency=DAY, interval=1), NOW)


# --- Changes of the clock -------------------------------------------------------------------------

SHIFT, AFTER, SKIP = GapPolicy
FIRST, SECOND, BOTH = FoldPolicy


@pytest.mark.parametrize(
    ("members", "after", "expected"),
    [
        pytest.param(
            {"hours": [2], "minutes": [30], "gap": SHIFT},
            "2026-03-28 12:00",
            ["2026-03-29 01:30", "2026-03-30 00:30"],
            id="shift: 02:30 runs at 03:30",
        ),
        pytest.param(
            {"hours": [2], "minutes": [30], "gap": AFTER},
            "2026-03-28 12:00",
            ["2026-03-29 01:00", "2026-03-30 00:30"],
            id="after: 02:30 runs at 03:00",
        ),
        pytest.param(
            {"hours": [2], "minutes": [30], "gap": SKIP},
            "2026-03-28 12:00",
            ["2026-03-30 00:30", "2026-03-31 00:30"],
            id="skip: 02:30 does not run",
        ),
        pytest.param(
            {"hours": [2, 3], "minutes": [30], "gap": SHIFT},
            "2026-03-28 12:00",
            ["2026-03-29 01:30", "2026-03-30 00:30", "2026-03-30 01:30"],
            id="shift: a slot moved onto another one fires once",
        ),
        pytest.param(
            {"hours": [2, 3], "minutes": [0, 15, 45], "gap": SHIFT},
            "2026-03-29 01:00",
            ["2026-03-29 01:15", "2026-03-29 01:45", "2026-03-30 00:00"],
            id="shift: moved slots and later ones stay in order",
        ),
        pytest.param(
            {"hours": [2, 3], "minutes": [0, 40], "gap": SHIFT},
            "2026-03-29 00:59",
            ["2026-03-29 01:00", "2026-03-29 01:40", "2026-03-30 00:00"],
            id="shift: the first instant of summer is a slot twice and fires once",
        ),
        pytest.param(
            {"hours": [2], "minutes": [0, 20, 40], "gap": AFTER},
            "2026-03-28 12:00",
            ["2026-03-29 01:00", "2026-03-30 00:00"],
            id="after: several slots of one gap fire once",
        ),
        pytest.param(
            {"hours": [2], "minutes": [30], "fold": FIRST},
            "2026-10-24 12:00",
            ["2026-10-25 00:30", "2026-10-26 01:30"],
            id="first: 02:30 runs in summer time",
        ),
        pytest.param(
            {"hours": [2], "minutes": [30], "fold": SECOND},
            "2026-10-24 12:00",
            ["2026-10-25 01:30", "2026-10-26 01:30"],
            id="second: 02:30 runs in winter time",
        ),
        pytest.param(
            {"hours": [2], "minutes": [0, 30], "fold": BOTH},
            "2026-10-24 12:00",
            [
                "2026-10-25 00:00",
                "2026-10-25 00:30",
                "2026-10-25 01:00",
                "2026-10-25 01:30",
                "2026-10-26 01:00",
            ],
            id="both: the hour runs twice, in order",
        ),
        pytest.param(
            {"hours": [2], "minutes": [30], "fold": FIRST},
            "2026-10-25 00:45",
            ["2026-10-26 01:30"],
            id="first: asked between the two, the second is not offered",
        ),
        pytest.param(
            {"hours": [2], "minutes": [30], "gap": SHIFT},
            "2026-03-29 01:10",
            ["2026-03-29 01:30"],
            id="shift: asked after the change, the moved slot is still to come",
        ),
    ],
)
def test_at_a_change_of_the_clock(members, after, expected):
    rule = a_rule(time_zone=BERLIN, **members)
    assert fires(rule, after, len(expected)) == expected


@pytest.mark.parametrize(
    ("zone", "time", "gap", "after", "expected"),
    [
        ("Australia/Lord_Howe", (2, 15), SHIFT, "2026-10-03", "2026-10-03 15:45"),
        ("Australia/Lord_Howe", (2, 15), AFTER, "2026-10-03", "2026-10-03 15:30"),
        ("Antarctica/Troll", (2, 30), SHIFT, "2026-03-29", "2026-03-29 02:30"),
        ("Africa/Casablanca", (2, 30), SHIFT, "2024-04-14", "2024-04-14 02:30"),
        ("America/Nuuk", (23, 30), SHIFT, "2026-03-28 12:00", "2026-03-29 01:30"),
        ("Asia/Kathmandu", (2, 30), SHIFT, "2026-03-28 12:00", "2026-03-28 20:45"),
    ],
)
def test_unusual_clocks(zone, time, gap, after, expected):
    rule = a_rule(
        time_zone=zone, hours=[time[0]], minutes=[time[1]], gap=gap, anchor="2010-01-01 00:00"
    )
    assert fires(rule, after, 1) == [expected]


@pytest.mark.parametrize(
    ("gap", "expected"),
    [
        (SHIFT, ["2011-12-29 19:00", "2011-12-30 19:00", "2011-12-31 19:00"]),
        (AFTER, ["2011-12-29 19:00", "2011-12-30 10:00", "2011-12-30 19:00"]),
        (SKIP, ["2011-12-29 19:00", "2011-12-30 19:00", "2011-12-31 19:00"]),
    ],
)
def test_a_calendar_day_that_samoa_left_out(gap, expected):
    rule = a_rule(hours=[9], minutes=[0], gap=gap, time_zone="Pacific/Apia", anchor="2011-01-01")
    assert fires(rule, "2011-12-29 12:00", 3) == expected


@pytest.mark.parametrize(
    ("gap", "expected"),
    [(SHIFT, "2026-03-29 01:30"), (AFTER, "2026-03-29 01:00"), (SKIP, "2026-03-29 01:00")],
)
def test_elapsed_time_that_starts_in_a_gap_starts_after_it(gap, expected):
    rule = a_rule(MINUTE, 7, start_time="2026-03-29 02:30", time_zone=BERLIN, gap=gap)
    assert fires(rule, "2026-03-01", 1) == [expected]


def test_a_slot_moved_behind_its_successor_does_not_hide_it():
    rule = a_rule(hours=[2], minutes=[15, 40], time_zone="Australia/Lord_Howe")
    expected = ["2026-10-03 15:40", "2026-10-03 15:45", "2026-10-04 15:15"]
    assert fires(rule, "2026-10-03 15:15", 3) == expected


def test_nothing_fires_before_a_start_that_was_moved_out_of_a_gap():
    rule = a_rule(start_time="2026-03-29 02:30", hours=[3], minutes=[0, 45], time_zone=BERLIN)
    assert fires(rule, "2026-03-01", 1) == ["2026-03-29 01:45"]


# --- Counting and looking back --------------------------------------------------------------------

RULES = {
    "minute": a_rule(MINUTE, 7, time_zone=BERLIN),
    "hour": a_rule(HOUR, 5),
    "day": a_rule(DAY, 1, hours=[2], minutes=[0, 30], time_zone=BERLIN, fold=BOTH),
    "days": a_rule(DAY, 3, time_zone=PACIFIC, gap=SKIP),
    "quarters": a_rule(DAY, 1, hours=range(24), minutes=[0, 15, 30, 45], time_zone=BERLIN),
    "week": a_rule(WEEK, 2, hours=[2, 3], minutes=[30], week_days=["Sunday", "Monday"]),
    "month": a_rule(MONTH, 1, anchor="2026-01-31 02:30", time_zone=BERLIN),
}


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize(
    ("after", "until"),
    [
        ("2025-12-01", "2026-01-05 12:00"),
        ("2025-12-01", "2026-03-01"),
        ("2026-03-20", "2026-04-10"),
        ("2026-03-29 00:59", "2026-03-29 01:30"),
        ("2026-10-24 22:00", "2026-11-20"),
        ("2026-02-01", "2027-12-01"),
        ("2027-12-01", "2026-02-01"),
    ],
)
def test_counts_and_latest_agree_with_a_walk(name, after, until):
    rule = RULES[name]
    walked = list(between(rule, utc(after), utc(until)))
    assert count_between(rule, utc(after), utc(until), 1_000_000) == len(walked)
    assert count_between(rule, utc(after), utc(until), 3) == min(3, len(walked))
    assert latest_between(rule, utc(after), utc(until)) == (walked[-1] if walked else None)


@pytest.mark.parametrize("name", RULES)
def test_the_end_of_a_range_is_inside_and_its_start_is_not(name):
    rule = RULES[name]
    one, two, three = islice(between(rule, NOW, utc("2999-01-01")), 3)
    assert list(between(rule, one, three)) == [two, three]
    assert count_between(rule, one, three, 9) == 2
    assert latest_between(rule, one, three) == three
    assert latest_between(rule, one, three - timedelta(microseconds=1)) == two


# --- Preview --------------------------------------------------------------------------------------


def shown(rule, after, count):
    return [
        (
            occurrence.fire_time and f"{occurrence.fire_time:%d %H:%M}",
            f"{occurrence.nominal_time:%d %H:%M}",
            occurrence.local_time and f"{occurrence.local_time:%d %H:%M}",
            occurrence.mark,
        )
        for occurrence in preview(rule, utc(after), count)
    ]


@pytest.mark.parametrize(
    ("members", "after", "expected"),
    [
        pytest.param(
            {"hours": [2, 3], "minutes": [30]},
            "2026-03-28 12:00",
            [
                ("29 01:30", "29 03:30", "29 03:30", None),
                ("29 01:30", "29 02:30", "29 03:30", "merged"),
                ("30 00:30", "30 02:30", "30 02:30", None),
            ],
            id="a slot moved onto another one is merged",
        ),
        pytest.param(
            {"hours": [2], "minutes": [30, 45]},
            "2026-03-28 12:00",
            [
                ("29 01:30", "29 02:30", "29 03:30", "moved"),
                ("29 01:45", "29 02:45", "29 03:45", "moved"),
            ],
            id="moved",
        ),
        pytest.param(
            {"hours": [2], "minutes": [30, 45], "gap": AFTER},
            "2026-03-28 12:00",
            [
                ("29 01:00", "29 02:30", "29 03:00", "moved"),
                ("29 01:00", "29 02:45", "29 03:00", "merged"),
                ("30 00:30", "30 02:30", "30 02:30", None),
            ],
            id="the first moved slot fires, the next is merged",
        ),
        pytest.param(
            {"hours": [2], "minutes": [30], "gap": SKIP},
            "2026-03-28 00:00",
            [
                ("28 01:30", "28 02:30", "28 02:30", None),
                (None, "29 02:30", None, "dropped"),
                ("30 00:30", "30 02:30", "30 02:30", None),
            ],
            id="dropped",
        ),
        pytest.param(
            {"hours": [2], "minutes": [30], "fold": BOTH},
            "2026-10-24 12:00",
            [
                ("25 00:30", "25 02:30", "25 02:30", None),
                ("25 01:30", "25 02:30", "25 02:30", "repeated"),
            ],
            id="repeated",
        ),
        pytest.param(
            {"frequency": HOUR, "interval": 1, "anchor": "2026-01-01 00:00"},
            "2026-03-29 00:30",
            [
                ("29 01:00", "29 03:00", "29 03:00", None),
                ("29 02:00", "29 04:00", "29 04:00", None),
            ],
            id="elapsed time has no marks",
        ),
    ],
)
def test_the_preview_says_what_becomes_of_each_slot(members, after, expected):
    rule = a_rule(time_zone=BERLIN, **members)
    count = sum(mark not in ("merged", "dropped") for *_, mark in expected)
    assert shown(rule, after, count) == expected


def test_a_preview_of_nothing_is_empty():
    assert preview(a_rule(), NOW, 0) == []
    assert preview(a_rule(), NOW, -1) == []


# --- Checking -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"frequency": "Hourly"}, "frequency"),
        ({"frequency": "day"}, "frequency"),
        ({"frequency": None}, "frequency"),
        ({"interval": 0}, "interval"),
        ({"interval": -1}, "interval"),
        ({"interval": True}, "interval"),
        ({"interval": 1.5}, "interval"),
        ({"interval": "1"}, "interval"),
        ({"interval": 501}, "interval"),
        ({"frequency": HOUR, "hours": [1]}, "hours"),
        ({"frequency": MONTH, "minutes": [1]}, "minutes"),
        ({"frequency": DAY, "week_days": ["Monday"]}, "week_days"),
        ({"hours": 10}, "hours"),
        ({"hours": "10"}, "hours"),
        ({"hours": [24]}, "hours"),
        ({"hours": [-1]}, "hours"),
        ({"hours": [True]}, "hours"),
        ({"hours": ["4"]}, "hours"),
        ({"minutes": [60]}, "minutes"),
        ({"minutes": [0.5]}, "minutes"),
        ({"frequency": WEEK, "week_days": "Wednesday"}, "week_days"),
        ({"frequency": WEEK, "week_days": ["monday"]}, "week_days"),
        ({"frequency": WEEK, "week_days": [1]}, "week_days"),
        ({"frequency": WEEK, "week_days": 1}, "week_days"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"time_zone": 7}, "time_zone"),
        ({"start_time": NOW}, "start_time"),
        ({"start_time": 5}, "start_time"),
        ({"start_time": wall("1969-12-31 23:59")}, "start_time"),
        ({"start_time": wall("3000-01-01 00:00")}, "start_time"),
        ({"start_time": wall("2075-06-01 00:00")}, "start_time"),
        ({"anchor": NOW}, "anchor"),
        ({"gap": "jump"}, "gap"),
        ({"fold": "third"}, "fold"),
        ({"month_end": "first"}, "month_end"),
    ],
)
def test_a_rule_is_refused_for(members, field):
    with pytest.raises(InvalidRecurrence) as caught:
        validated(Recurrence(**{"frequency": DAY, "interval": 1, **members}), now=NOW)
    assert caught.value.details["field"] == field
    assert isinstance(caught.value, Invalid)


@pytest.mark.parametrize(
    ("members", "hint"),
    [
        ({"frequency": "day"}, "Did you mean 'Day'?"),
        ({"frequency": WEEK, "week_days": ["wensday"]}, "Did you mean 'Wednesday'?"),
        ({"frequency": WEEK, "week_days": "Monday"}, "Write week_days=['Monday']."),
        ({"hours": 10}, "Write hours=[10]."),
        ({"time_zone": "Europe/Berlim"}, "Did you mean 'Europe/Berlin'"),
        ({"start_time": NOW}, "Use time_zone"),
    ],
)
def test_a_refusal_says_how_to_mend_it(members, hint):
    with pytest.raises(InvalidRecurrence) as caught:
        validated(Recurrence(**{"frequency": DAY, "interval": 1, **members}), now=NOW)
    assert hint in caught.value.details["hint"]
    assert hint in str(caught.value)


@pytest.mark.parametrize("frequency", Frequency)
def test_the_largest_interval_is_allowed_and_no_larger_one(frequency):
    most = INTERVAL_MAX[frequency]
    assert a_rule(frequency, most).interval == most
    with pytest.raises(InvalidRecurrence):
        a_rule(frequency, most + 1)


def test_a_rule_that_names_no_time_is_refused():
    with pytest.raises(InvalidRecurrence, match="names no time"):
        a_rule(now=utc("2999-12-31 23:59"))


def test_a_checked_rule_is_in_normal_form():
    rule = validated(
        Recurrence(
            frequency="Week",
            interval=2,
            start_time=wall("2026-02-01 08:00:05.123456"),
            time_zone=PACIFIC,
            hours=[16, 8, 16],
            minutes=[45, 0],
            week_days=["Friday", "Monday", "Friday"],
            gap="after",
            fold="both",
            month_end="skip",
        ),
        now=NOW,
    )
    assert rule == Recurrence(
        frequency=WEEK,
        interval=2,
        start_time=wall("2026-02-01 08:00:05"),
        time_zone=PACIFIC,
        hours=(8, 16),
        minutes=(0, 45),
        week_days=("Monday", "Friday"),
        gap=AFTER,
        fold=BOTH,
        month_end=MonthEndPolicy.SKIP,
        anchor=wall("2026-02-01 08:00:05"),
    )
    assert rule.frequency is WEEK
    assert validated(rule, now=NOW + timedelta(days=1)) == rule


def test_the_anchor_is_the_creation_on_the_clock_of_the_zone():
    assert a_rule().anchor == wall("2026-01-05 12:00:07")
    assert a_rule(time_zone="Asia/Tokyo").anchor == wall("2026-01-05 21:00:07")
    assert a_rule(start_time="2027-01-01 00:00").anchor == wall("2027-01-01 00:00")
    assert a_rule(anchor="2020-01-01 00:00").anchor == wall("2020-01-01 00:00")


# --- In words -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (
            a_rule(WEEK, 2, week_days=["Friday", "Monday"], hours=[4], minutes=[50]),
            "every 2 weeks on Monday and Friday at 04:50, UTC",
        ),
        (
            a_rule(DAY, 1, hours=[4], minutes=[50], time_zone=PACIFIC),
            "every day at 04:50, Pacific Standard Time (America/Los_Angeles)",
        ),
        (a_rule(DAY, 1, time_zone="UTC"), "every day at 12:00:07, UTC"),
        (a_rule(WEEK), "every week on Monday at 12:00:07, UTC"),
        (
            a_rule(DAY, 3, hours=[8, 16], minutes=[15, 45], time_zone=BERLIN),
            "every 3 days at 08:15, 08:45, 16:15 and 16:45, Europe/Berlin",
        ),
        (
            a_rule(DAY, 1, hours=range(24), minutes=[15]),
            "every day at 24 times from 00:15 to 23:15, UTC",
        ),
        (a_rule(MINUTE, 15), "every 15 minutes counted from 2026-01-05 12:00:07, UTC"),
        (a_rule(HOUR, 1, start_time="2026-09-07 14:00"), "every hour, from 2026-09-07 14:00, UTC"),
        (a_rule(MONTH, 1, anchor="2026-01-05 06:00"), "every month on day 5 at 06:00, UTC"),
        (
            a_rule(MONTH, 2, anchor="2026-01-31 06:00"),
            "every 2 months on day 31 (the last day of a shorter month) at 06:00, UTC",
        ),
        (
            a_rule(MONTH, 1, anchor="2026-01-31 06:00", month_end=MonthEndPolicy.SKIP),
            "every month on day 31 (not in a shorter month) at 06:00, UTC",
        ),
        (
            Recurrence(frequency=DAY, interval=1, hours=(4,), minutes=(50,)),
            "every day at 04:50, UTC",
        ),
        (
            Recurrence(frequency=WEEK, interval=1),
            "every week counted from when it is created, UTC",
        ),
        (
            Recurrence(frequency=MONTH, interval=1),
            "every month counted from when it is created, UTC",
        ),
    ],
)
def test_it_is_described(rule, words):
    assert describe(rule) == words


def test_there_are_seven_week_days_from_monday():
    assert len(WEEK_DAYS) == 7
    assert WEEK_DAYS[0] == "Monday"
    assert replace(a_rule(WEEK), week_days=WEEK_DAYS).week_days == WEEK_DAYS
