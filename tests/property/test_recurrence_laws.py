"""Laws that hold for every recurrence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.property.recurrence_strategies import rules, rules_and_instants

from penstock.core.checking import validated
from penstock.core.recurrence import (
    FoldPolicy,
    GapPolicy,
    Recurrence,
    between,
    count_between,
    latest_between,
    next_after,
    preview,
)
from penstock.core.wording import describe
from penstock.core.zones import instants as instants_of
from penstock.core.zones import zone

FOREVER = datetime(2999, 1, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)
a_few_days = st.integers(0, 20 * 1440).map(lambda minutes: timedelta(minutes=minutes))
thorough = settings(max_examples=300, deadline=None)


@thorough
@given(rules_and_instants())
def test_fires_come_strictly_later_each_time(case):
    rule, instant = case
    fires = [instant, *islice(between(rule, instant, FOREVER), 50)]
    assert all(earlier < later for earlier, later in pairwise(fires))


@thorough
@given(rules_and_instants(), st.integers(0, 999))
def test_the_answer_depends_on_the_instant_alone(case, thousandths):
    rule, instant = case
    fires = [instant, *islice(between(rule, instant, FOREVER), 20)]
    for earlier, later in pairwise(fires):
        assert next_after(rule, earlier + (later - earlier) * thousandths // 1000) == later
        assert next_after(rule, later - TICK) == later


@thorough
@given(rules_and_instants(), a_few_days, a_few_days)
def test_two_ranges_that_meet_hold_what_one_holds(case, first, second):
    rule, instant = case
    middle, end = instant + first, instant + first + second
    whole = list(between(rule, instant, end))
    assert [*between(rule, instant, middle), *between(rule, middle, end)] == whole


@thorough
@given(rules_and_instants(), a_few_days)
def test_counting_and_looking_back_agree_with_a_walk(case, length):
    rule, instant = case
    walked = list(between(rule, instant, instant + length))
    assert count_between(rule, instant, instant + length, 10**9) == len(walked)
    assert latest_between(rule, instant, instant + length) == (walked[-1] if walked else None)


@thorough
@given(rules_and_instants(), st.integers(0, 30))
def test_the_fires_of_a_preview_are_the_fires(case, count):
    rule, instant = case
    shown = preview(rule, instant, count)
    fires = [one.fire_time for one in shown if one.mark not in ("merged", "dropped")]
    assert fires == list(islice(between(rule, instant, FOREVER), count))
    times = [one.fire_time for one in shown if one.fire_time]
    assert times == sorted(times)
    for one in shown:
        assert (one.fire_time is None) == (one.local_time is None) == (one.mark == "dropped")
        if one.mark in (None, "repeated"):
            assert one.local_time.replace(tzinfo=None) == one.nominal_time


@thorough
@given(rules(), st.integers(0, 10_000))
def test_checking_twice_changes_nothing(rule, later_days):
    assert validated(rule, now=datetime(2024, 1, 1, tzinfo=UTC)) == rule
    later = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=later_days)
    assert validated(rule, now=later) == rule


@thorough
@given(rules())
def test_nothing_fires_before_the_start(rule):
    gap = GapPolicy.AFTER if rule.gap is GapPolicy.SKIP else rule.gap
    start = max(rule.anchor, rule.start_time or rule.anchor)
    start_at = instants_of(start, zone(rule.time_zone), gap, rule.fold)[0]
    assert next_after(rule, datetime(1970, 1, 1, tzinfo=UTC)) >= start_at


@thorough
@given(rules())
def test_a_start_that_is_a_slot_fires(rule):
    """A rule without hours, minutes and week days names its own anchor."""
    plain = Recurrence(
        frequency=rule.frequency,
        interval=rule.interval,
        anchor=rule.anchor,
        time_zone=rule.time_zone,
        fold=FoldPolicy.SECOND,
    )
    at = instants_of(rule.anchor, zone(rule.time_zone), plain.gap, plain.fold)[0]
    assert next_after(plain, at - TICK) == at
    assert next_after(plain, datetime(1970, 1, 1, tzinfo=UTC)) == at


@thorough
@given(rules())
def test_every_rule_can_be_said_in_words(rule):
    assert describe(rule).startswith("every ")
