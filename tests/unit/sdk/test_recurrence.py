"""ScheduleRecurrence: the checks and the text of the old SDK, and what is ours."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from penstock import InvalidRecurrence, ScheduleRecurrence, TimeZone
from penstock.core.recurrence import Frequency, GapPolicy, Recurrence
from penstock.core.zones import WINDOWS_TO_IANA
from penstock.sdk.recurrence import details_text

CASES = json.loads(
    (Path(__file__).parents[2] / "conformance" / "schedule_recurrences.json").read_text()
)


wall = datetime.fromisoformat


def made(arguments):
    given = {"frequency": "Day", "interval": 1} | arguments
    if given.get("start_time") == "aware":
        given["start_time"] = datetime(2026, 1, 1, tzinfo=UTC)
    return ScheduleRecurrence(**given)


@pytest.mark.parametrize("case", CASES["constructor"])
def test_the_constructor_checks_what_it_always_did(case):
    if "error" in case:
        with pytest.raises(ValueError, match=case["error"]):
            made(case["arguments"])
    else:
        made(case["arguments"])


@pytest.mark.parametrize("case", CASES["validate"])
def test_validate_checks_the_rest(case):
    recurrence = made(case["arguments"])
    if "cleared" in case:
        setattr(recurrence, case["cleared"], None)
    if "error" not in case:
        recurrence.validate()
        return
    with pytest.raises(InvalidRecurrence, match=case["error"]) as raised:
        recurrence.validate()
    assert isinstance(raised.value, ValueError)
    assert isinstance(raised.value, TypeError) is case.get("is_type_error", False)


@pytest.mark.parametrize("case", CASES["text"])
def test_its_text_is_the_old_one(case):
    assert details_text(made(case["arguments"])) == case["text"]


def test_a_start_time_becomes_text_without_fractions_and_utc():
    recurrence = ScheduleRecurrence("Day", 1, wall("2026-03-01T08:00:00.000999"))
    assert recurrence.start_time == "2026-03-01T08:00:00"
    assert recurrence.time_zone is TimeZone.UTC


def test_a_start_time_as_text_is_kept_until_it_is_used():
    recurrence = ScheduleRecurrence("Day", 1, "next Tuesday")
    recurrence.validate()
    with pytest.raises(InvalidRecurrence, match="start_time = 'next Tuesday'"):
        recurrence.to_rule()


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("2026-03-01T08:00:00", "Europe/Berlin", wall("2026-03-01T08:00")),
        ("2026-03-01", None, wall("2026-03-01T00:00")),
        ("2026-03-01T08:00:00Z", None, wall("2026-03-01T08:00")),
        ("2026-03-01T08:00:00Z", "Europe/Berlin", wall("2026-03-01T09:00")),
        ("2026-07-01T08:00:00.5+02:00", "Europe/Berlin", wall("2026-07-01T08:00")),
    ],
)
def test_a_start_time_is_wall_time_in_the_zone(text, zone, expected):
    assert ScheduleRecurrence("Day", 1, text, zone).to_rule().start_time == expected


def test_a_rule_goes_there_and_back():
    recurrence = ScheduleRecurrence(
        "Week",
        2,
        wall("2026-03-01T08:00"),
        TimeZone.WEuropeStandardTime,
        hours=[8],
        minutes=[15],
        week_days=["Monday"],
        gap="skip",
        fold="both",
    )
    rule = recurrence.to_rule()
    assert rule == Recurrence(
        frequency=Frequency.WEEK,
        interval=2,
        start_time=wall("2026-03-01T08:00"),
        time_zone="W. Europe Standard Time",
        hours=(8,),
        minutes=(15,),
        week_days=("Monday",),
        gap=GapPolicy.SKIP,
        fold=rule.fold,
    )
    assert ScheduleRecurrence.from_rule(rule) == recurrence


def test_an_iana_name_comes_back_as_text():
    rule = ScheduleRecurrence("Day", 1, time_zone="Asia/Tokyo").to_rule()
    assert ScheduleRecurrence.from_rule(rule).time_zone == "Asia/Tokyo"


@pytest.mark.parametrize(
    ("field", "value"), [("gap", "jump"), ("fold", "third"), ("month_end", "first_day")]
)
def test_an_unknown_policy_is_refused(field, value):
    with pytest.raises(InvalidRecurrence, match=f"{field} = '{value}'"):
        ScheduleRecurrence("Day", 1, **{field: value}).to_rule()


def test_half_an_interval_is_refused_before_it_is_sent():
    with pytest.raises(InvalidRecurrence, match=r"interval = 1\.5"):
        ScheduleRecurrence("Day", 1.5).to_rule()


def test_there_are_131_time_zones_and_each_is_known():
    assert len(TimeZone) == 131
    assert {zone.value for zone in TimeZone} == set(WINDOWS_TO_IANA)


def test_the_preview_begins_with_the_run_at_creation():
    first, second, third = ScheduleRecurrence("Minute", 15).preview(3)
    assert first.mark == "on_create"
    assert (third.fire_time - second.fire_time).total_seconds() == 900


def test_the_preview_of_a_start_time_has_no_run_at_creation():
    shown = ScheduleRecurrence("Day", 1, wall("2020-01-01T08:00"), "Asia/Tokyo").preview(2)
    assert [o.mark for o in shown] == [None, None]
    assert [o.fire_time.hour for o in shown] == [23, 23]


def test_the_preview_shows_what_a_clock_change_moves():
    rule = ScheduleRecurrence("Day", 1, "2026-03-28T02:30:00", "Europe/Berlin")
    shown = rule.preview(2, after=datetime(2026, 3, 28, 12, tzinfo=UTC))
    assert [o.mark for o in shown] == ["moved", None]
    assert shown[0].fire_time == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
