"""Recurrences agree with the oracle; and the oracle's shortcuts with its plain walk."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from tests.oracle.check import SAMPLE, check_changes, check_years
from tests.oracle.oracle import DAY, datetime_of, expected, stretches_by_hour, stretches_by_minute
from tests.oracle.oracle import walk as walk_by_minutes
from tests.oracle.shapes import SHAPES
from tests.property.recurrence_strategies import rules_and_instants

from penstock.core.recurrence import between

YEARS = (2011, 2024, 2026)


@pytest.mark.parametrize("name", SAMPLE)
def test_every_shape_fires_as_the_oracle_says(name):
    result = check_years(name, YEARS)
    assert result.differences == []
    assert result.cells == len(SHAPES) * len(YEARS)


@pytest.mark.parametrize(
    "name", ["Europe/Dublin", "Australia/Lord_Howe", "Africa/Casablanca", "Antarctica/Troll"]
)
def test_every_policy_holds_around_a_change(name):
    assert check_changes(name, [2025]).differences == []


def test_every_policy_holds_around_a_day_that_was_left_out():
    assert check_changes("Pacific/Apia", [2011]).differences == []


@settings(max_examples=200, deadline=None)
@given(rules_and_instants())
def test_any_rule_fires_as_the_oracle_says(case):
    rule, instant = case
    tz = ZoneInfo(rule.time_zone)
    rule = replace(rule, anchor=rule.anchor.replace(second=0))
    first = instant.toordinal() * DAY - 2 * DAY
    end = first + 5 * DAY
    wanted = expected(rule, tz, stretches_by_hour(tz, first - 3 * DAY, end + 3 * DAY), first, end)
    got = [at for at in between(rule, datetime_of(first - 1), datetime_of(end - 1))]
    assert got == [datetime_of(minute) for minute in wanted]


@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("Europe/Berlin", datetime(2026, 3, 28, tzinfo=UTC)),
        ("America/New_York", datetime(2026, 10, 31, tzinfo=UTC)),
        ("Australia/Lord_Howe", datetime(2026, 4, 3, tzinfo=UTC)),
        ("Pacific/Apia", datetime(2011, 12, 29, tzinfo=UTC)),
        ("Africa/Casablanca", datetime(2025, 4, 5, tzinfo=UTC)),
    ],
)
def test_the_oracles_shortcuts_agree_with_its_plain_walk(name, day):
    tz = ZoneInfo(name)
    first = day.toordinal() * DAY
    end = first + 3 * DAY
    stretches = stretches_by_minute(tz, first - 4 * DAY, end + 4 * DAY)
    assert stretches == stretches_by_hour(tz, first - 4 * DAY, end + 4 * DAY)
    for shape in SHAPES:
        rule = replace(shape, interval=1)
        wanted = walk_by_minutes(rule, tz, first, end)
        assert expected(rule, tz, stretches, first, end) == wanted
