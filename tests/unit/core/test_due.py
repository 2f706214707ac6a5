"""What a due schedule does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from penstock.core.checking import validated
from penstock.core.due import (
    FIRES_MAX,
    CatchUp,
    FirePlan,
    Outcome,
    Overlap,
    PlannedFire,
    plan_fires,
)
from penstock.core.recurrence import Frequency, Recurrence

MINUTE, HOUR, DAY, WEEK, MONTH = Frequency
SKIP, LATEST, ALL = CatchUp
FIRED, SKIPPED, MISSED, _ = Outcome


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


CREATED = utc("2026-01-05 00:00")
HOURLY = validated(Recurrence(frequency=HOUR, interval=1), now=CREATED)
MINUTELY = validated(Recurrence(frequency=MINUTE, interval=1), now=CREATED)
EIGHT = utc("2026-01-05 08:00")


def hours(count):
    return timedelta(hours=count)


def plan(rule=HOURLY, *, due=EIGHT, late=timedelta(0), **options):
    """The plan for a rule that was due at `due` and is looked at `late` after that."""
    return plan_fires(rule=rule, next_fire_time=due, now=due + late, **options)


def outcomes(found):
    return [(f"{record.fire_time:%H:%M}", record.outcome) for record in found.fires]


def test_before_its_time_nothing_happens():
    early = plan(late=timedelta(microseconds=-1))
    assert early == FirePlan(fires=(), next_fire_time=EIGHT)


@pytest.mark.parametrize("late_seconds", [0, 0.5, 59, 60])
@pytest.mark.parametrize("catch_up", CatchUp)
def test_an_occurrence_on_time_fires_and_the_next_is_armed(late_seconds, catch_up):
    found = plan(late=timedelta(seconds=late_seconds), catch_up=catch_up)
    assert found.fires == (PlannedFire(fire_time=EIGHT, outcome=FIRED, reason="it was due"),)
    assert found.next_fire_time == EIGHT + hours(1)


def test_a_minute_is_not_late_but_more_is_missed():
    found = plan(late=timedelta(seconds=60.001))
    assert found.fires == (
        PlannedFire(
            fire_time=EIGHT,
            outcome=MISSED,
            reason="missed 1 occurrence at 2026-01-05 08:00:00 UTC: the server was not running or "
            "not keeping up; catch-up is skip",
        ),
    )
    assert found.next_fire_time == EIGHT + hours(1)


def test_how_late_is_on_time_can_be_said():
    assert outcomes(plan(late=timedelta(seconds=90), late_seconds_max=120)) == [("08:00", FIRED)]
    assert outcomes(plan(late=timedelta(seconds=1), late_seconds_max=0)) == [("08:00", MISSED)]


def test_what_was_missed_is_one_record():
    found = plan(late=hours(37.5))
    assert found.fires == (
        PlannedFire(
            fire_time=EIGHT,
            outcome=MISSED,
            reason="missed 38 occurrences from 2026-01-05 08:00:00 UTC to 2026-01-06 21:00:00 UTC: "
            "the server was not running or not keeping up; catch-up is skip",
            count=38,
            through_time=EIGHT + hours(37),
        ),
    )
    assert found.next_fire_time == EIGHT + hours(38)


@pytest.mark.parametrize(
    ("catch_up", "late", "expected"),
    [
        (SKIP, hours(3), [("08:00", MISSED), ("11:00", FIRED)]),
        (LATEST, hours(3), [("08:00", MISSED), ("11:00", FIRED)]),
        (LATEST, hours(3.5), [("08:00", MISSED), ("11:00", FIRED)]),
        (LATEST, hours(0.5), [("08:00", FIRED)]),
        (ALL, hours(2.5), [("08:00", FIRED), ("09:00", FIRED), ("10:00", FIRED)]),
        (
            ALL,
            hours(25.5),
            [("08:00", MISSED), *[(f"{h % 24:02}:00", FIRED) for h in range(10, 34)]],
        ),
    ],
)
def test_catch_up(catch_up, late, expected):
    found = plan(late=late, catch_up=catch_up)
    assert outcomes(found) == expected
    assert found.next_fire_time == EIGHT + hours(int(late / hours(1)) + 1)


def test_a_caught_up_occurrence_says_so():
    late, on_time = plan(late=hours(1), catch_up=ALL).fires
    assert late.reason == "it was missed; catch-up is all"
    assert on_time.reason == "it was due"


def test_the_catch_up_window_can_be_said():
    found = plan(late=hours(5.5), catch_up=ALL, catch_up_window_seconds=2 * 3600)
    assert outcomes(found) == [("08:00", MISSED), ("12:00", FIRED), ("13:00", FIRED)]
    assert found.fires[0].count == 4
    assert found.fires[0].through_time == EIGHT + hours(3)


def test_an_occurrence_that_the_rule_does_not_name_is_due_all_the_same():
    found = plan(due=utc("2026-01-05 08:20"), late=hours(2), catch_up=LATEST)
    assert outcomes(found) == [("08:20", MISSED), ("10:00", FIRED)]
    found = plan(due=utc("2026-01-05 08:20"), late=hours(0.5), catch_up=LATEST)
    assert outcomes(found) == [("08:20", FIRED)]


def test_a_plan_is_bounded_and_the_next_one_goes_on():
    now = EIGHT + hours(4)
    first = plan_fires(rule=MINUTELY, next_fire_time=EIGHT, now=now, catch_up=ALL)
    assert [record.outcome for record in first.fires] == [FIRED] * FIRES_MAX
    assert first.next_fire_time == EIGHT + timedelta(minutes=FIRES_MAX)
    second = plan_fires(rule=MINUTELY, next_fire_time=first.next_fire_time, now=now, catch_up=ALL)
    assert second.fires[0].fire_time == first.next_fire_time


def test_a_plan_may_fire_no_more_than_its_bound_even_when_all_is_on_time():
    found = plan(MINUTELY, late=hours(4), late_seconds_max=1e6)
    assert len(found.fires) == FIRES_MAX


@pytest.mark.parametrize(
    ("overlap", "active", "expected"),
    [
        (Overlap.ALLOW, 3, [FIRED, FIRED, FIRED]),
        (Overlap.SKIP, 0, [FIRED, SKIPPED, SKIPPED]),
        (Overlap.SKIP, 1, [SKIPPED, SKIPPED, SKIPPED]),
        (Overlap.QUEUE, 1, [FIRED, FIRED, FIRED]),
        (Overlap.CANCEL_PREVIOUS, 1, [FIRED, FIRED, FIRED]),
    ],
)
def test_overlap(overlap, active, expected):
    found = plan(late=hours(2), catch_up=ALL, overlap=overlap, active_runs=active).fires
    assert [record.outcome for record in found] == expected
    assert {record.queue for record in found} == {overlap is Overlap.QUEUE}
    cancels = {record.cancel_previous for record in found}
    assert cancels == {overlap is Overlap.CANCEL_PREVIOUS}
    for record in found:
        assert ("overlap is skip" in record.reason) is (record.outcome is SKIPPED)


def test_a_missed_record_asks_for_nothing():
    missed = plan(late=hours(5), overlap=Overlap.CANCEL_PREVIOUS).fires[0]
    assert (missed.outcome, missed.cancel_previous, missed.queue) == (MISSED, False, False)


def test_after_the_last_occurrence_nothing_is_armed():
    found = plan(due=utc("2999-12-31 23:00"))
    assert outcomes(found) == [("23:00", FIRED)]
    assert found.next_fire_time is None
    found = plan(due=utc("2999-12-31 23:00"), late=hours(0.5))
    assert outcomes(found) == [("23:00", MISSED)]
    assert found.next_fire_time is None


@pytest.mark.parametrize("catch_up", CatchUp)
def test_ten_years_of_minutes_are_counted_not_walked(catch_up):
    found = plan(MINUTELY, late=timedelta(days=3653, seconds=5), catch_up=catch_up)
    due, kept = 3653 * 24 * 60 + 1, 24 * 60 if catch_up is ALL else 1
    assert found.fires[0].count == due - kept
    assert len(found.fires) == 1 + (FIRES_MAX if catch_up is ALL else 1)
