"""Schedules that are due: each due time once, whatever happens to the one beside it."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from tests.builders import NOW, a_fire
from tests.unit.daemon.works import Works

from penstock.core import creation
from penstock.core.due import CatchUp, Outcome, Overlap
from penstock.core.model import Status
from penstock.core.recurrence import FoldPolicy, Frequency, GapPolicy, Recurrence
from penstock.core.states import RunState
from penstock.daemon import scheduling
from penstock.daemon.loop import Pass
from penstock.service import firing, schedules
from penstock.store import fires as fire_rows
from penstock.store import pipelines as pipeline_rows
from penstock.store import schedules as rows
from penstock.store import timers
from penstock.store.tables import schedules as schedule_table

MINUTE = timedelta(minutes=1)


def waiting(works, **fields):
    """Create a schedule that has not fired yet."""
    return works.site.schedule(**{"run_on_create": False} | fields)


def spoil(works, schedule):
    """Disable a schedule's pipeline behind its back: it cannot be submitted any more."""
    with works.site.store.begin() as tx:
        pipeline_rows.set_status(tx, schedule.pipeline_id, Status.DISABLED, works.site.now)


# ---- each due time once --------------------------------------------------------------------------


def test_nothing_fires_before_its_time(any_works):
    schedule = waiting(any_works)
    any_works.tick(seconds=59.999999)
    assert any_works.fires(schedule.id) == []
    assert any_works.tick(microseconds=1).fired == 1
    (fire,) = any_works.fires(schedule.id)
    (run,) = any_works.runs_of(schedule.id)
    assert fire.fire_time == fire.fired_at == run.fire_time == NOW + MINUTE
    assert (fire.outcome, fire.run_id) == (Outcome.FIRED, run.id)
    assert run.state is RunState.RUNNING  # the same pass has begun it


def test_the_same_instant_again_does_nothing(works):
    schedule = waiting(works)
    works.tick(minutes=1)
    for _ in range(3):
        assert works.tick() == Pass(fired=0, moved=0)
    assert len(works.fires(schedule.id)) == 1


def test_every_slot_of_an_hour_fires_once(works):
    schedule = waiting(works)
    for _ in range(180):
        works.tick(seconds=20)
    times = [fire.fire_time for fire in works.fires(schedule.id)]
    assert times == [NOW + MINUTE * i for i in range(1, 61)]


def test_more_than_a_batch_is_fired_in_several(works):
    published = works.site.publish()
    made = [waiting(works, pipeline_id=published.id) for _ in range(7)]
    at = works.site.later(minutes=1)
    counts = [
        scheduling.fire_due(works.site.store, at, late_seconds_max=60, limit=3).fired
        for _ in range(4)
    ]
    assert counts == [3, 3, 1, 0]
    assert all(len(works.fires(schedule.id)) == 1 for schedule in made)


def test_a_clock_that_is_set_back_fires_nothing_twice(works):
    schedule = waiting(works)
    works.tick(minutes=3)
    before = works.fires(schedule.id)
    works.tick(minutes=-3)
    for _ in range(3):
        works.tick(minutes=1)
    assert works.fires(schedule.id) == before
    works.tick(minutes=1)
    assert [f.fire_time for f in works.fires(schedule.id)][-1] == NOW + 4 * MINUTE


def test_what_was_done_before_is_not_done_again(works):
    one, two = waiting(works), waiting(works)
    with works.site.store.begin() as tx:  # as if another daemon had been quicker
        fire_rows.insert(
            tx,
            a_fire(
                source_id=one.id,
                fire_key=firing.fire_key(NOW + MINUTE),
                fire_time=NOW + MINUTE,
                fired_at=NOW + MINUTE,
            ),
        )
    works.tick(minutes=1)
    assert works.runs_of(one.id) == []
    assert len(works.fires(one.id)) == 1
    assert len(works.runs_of(two.id)) == 1
    assert works.site.call(schedules.get, one.id).next_fire_time == NOW + 2 * MINUTE
    works.tick(minutes=1)
    assert len(works.runs_of(one.id)) == 1


@pytest.mark.parametrize("done", [1, 2, 3])
def test_of_several_due_times_the_one_that_was_done_before_is_passed_over(works, done):
    hourly = Recurrence(frequency=Frequency.HOUR, interval=1)
    schedule = waiting(works, recurrence=hourly, catch_up=CatchUp.ALL)
    hours = [NOW + timedelta(hours=hour) for hour in (1, 2, 3)]
    key, at = firing.fire_key(hours[done - 1]), hours[done - 1]
    with works.site.store.begin() as tx:
        before = a_fire(source_id=schedule.id, fire_key=key, fire_time=at, fired_at=at)
        fire_rows.insert(tx, before)
    works.tick(hours=3, minutes=30)
    works.tick()
    works.tick()
    assert [fire.fire_time for fire in works.fires(schedule.id)] == hours
    new = [hour for hour in hours if hour != at]
    assert [run.fire_time for run in works.runs_of(schedule.id)] == new
    assert works.site.call(schedules.get, schedule.id).next_fire_time == NOW + timedelta(hours=4)


def test_a_timer_without_a_schedule_goes_away(works):
    with works.site.store.begin() as tx:
        timers.arm(tx, "schedule", "gone", NOW)
    works.tick()
    assert works.site.due_at("schedule", "gone") is None


def test_a_timer_of_a_schedule_that_does_not_fire_goes_away(works):
    schedule = waiting(works, status=Status.DISABLED)
    with works.site.store.begin() as tx:
        timers.arm(tx, "schedule", schedule.id, NOW)
    works.tick()
    assert works.site.due_at("schedule", schedule.id) is None
    assert works.fires(schedule.id) == []


# ---- late, missed, caught up ---------------------------------------------------------------------


def test_a_little_late_is_on_time(works):
    schedule = waiting(works)
    works.tick(minutes=1, seconds=59)
    (fire,) = works.fires(schedule.id)
    assert fire.outcome is Outcome.FIRED
    assert fire.fired_at - fire.fire_time == timedelta(seconds=59)


def test_what_was_missed_is_told_in_one_record(works):
    schedule = waiting(works)
    works.tick(minutes=30, seconds=30)
    missed, *fired = works.fires(schedule.id)
    assert (missed.outcome, missed.count) == (Outcome.MISSED, 29)
    assert missed.through_time == NOW + 29 * MINUTE
    assert [fire.fire_time for fire in fired] == [NOW + 30 * MINUTE]
    assert len(works.runs_of(schedule.id)) == 1


@pytest.mark.parametrize(
    ("catch_up", "window", "fired"),
    [
        (CatchUp.SKIP, 86_400, []),
        (CatchUp.LATEST, 86_400, [3]),
        (CatchUp.ALL, 86_400, [1, 2, 3]),
        (CatchUp.ALL, 3600 * 1.9, [2, 3]),
    ],
)
def test_catch_up_decides_what_of_it_fires(works, catch_up, window, fired):
    hourly = Recurrence(frequency=Frequency.HOUR, interval=1)
    schedule = waiting(works, recurrence=hourly, catch_up=catch_up, catch_up_window_seconds=window)
    works.tick(hours=3, minutes=30)
    records = works.fires(schedule.id)
    times = [f.fire_time for f in records if f.outcome is Outcome.FIRED]
    assert times == [NOW + timedelta(hours=hour) for hour in fired]
    assert sum(f.count for f in records) == 3
    assert len(works.runs_of(schedule.id)) == len(fired)


# ---- overlap -------------------------------------------------------------------------------------


def overlapping(works, overlap):
    schedule = waiting(works, overlap=overlap)
    for _ in range(3):
        works.tick(minutes=1)
    return schedule, works.runs_of(schedule.id)


def test_runs_may_overlap(works):
    _, found = overlapping(works, Overlap.ALLOW)
    assert [run.state for run in found] == [RunState.RUNNING] * 3


def test_a_fire_is_skipped_while_the_run_before_is_active(works):
    schedule, (run,) = overlapping(works, Overlap.SKIP)
    outcomes = [(f.outcome, f.run_id) for f in works.fires(schedule.id)]
    assert outcomes == [
        (Outcome.FIRED, run.id),
        (Outcome.SKIPPED, None),
        (Outcome.SKIPPED, None),
    ]
    assert "still active" in works.fires(schedule.id)[1].reason
    works.finish(run)
    works.tick(minutes=1)
    assert len(works.runs_of(schedule.id)) == 2


def test_runs_are_queued_one_after_the_other(works):
    schedule, (one, two, three) = overlapping(works, Overlap.QUEUE)
    assert [run.state for run in (one, two, three)] == [
        RunState.RUNNING,
        RunState.NOT_STARTED,
        RunState.NOT_STARTED,
    ]
    works.finish(one)
    assert [works.state(run) for run in (one, two, three)] == [
        RunState.FINISHED,
        RunState.RUNNING,
        RunState.NOT_STARTED,
    ]
    works.finish(two, exit_code=1)
    works.finish(three)
    assert [works.state(run) for run in (one, two, three)] == [
        RunState.FINISHED,
        RunState.FAILED,
        RunState.FINISHED,
    ]
    assert len(works.fires(schedule.id)) == 3


def test_the_run_before_is_cancelled(works):
    _, found = overlapping(works, Overlap.CANCEL_PREVIOUS)
    works.tick(seconds=2)
    assert [works.state(run) for run in found] == [
        RunState.CANCELED,
        RunState.CANCELED,
        RunState.RUNNING,
    ]


# ---- poison --------------------------------------------------------------------------------------


def test_one_that_cannot_be_submitted_spoils_only_itself_and_stops(works, caplog):
    bad, good = waiting(works, name="bad"), waiting(works, name="good")
    spoil(works, bad)
    works.tick(minutes=1)
    assert len(works.runs_of(good.id)) == 1
    (failed,) = works.fires(bad.id)
    assert failed.outcome is Outcome.FAILED
    assert "attempt 1 of 5 failed" in failed.reason
    assert "is disabled" in failed.reason
    for _ in range(40):
        works.tick(seconds=1)
    stopped = works.site.call(schedules.get, bad.id)
    assert stopped.status is Status.DISABLED
    assert stopped.next_fire_time is None
    assert stopped.failures == 5
    assert "5 failures in a row" in stopped.quarantined_reason
    assert "is disabled" in stopped.quarantined_reason
    assert works.site.due_at("schedule", bad.id) is None
    assert [f.outcome for f in works.fires(bad.id)] == [Outcome.FAILED] * 5
    waits = [f.fired_at - NOW - MINUTE for f in works.fires(bad.id)]
    assert waits == [timedelta(seconds=s) for s in (0, 2, 6, 14, 30)]
    assert works.runs_of(bad.id) == []
    works.tick(seconds=20)
    assert len(works.runs_of(good.id)) == 2


def test_one_that_recovers_fires_the_time_it_could_not(works):
    schedule = waiting(works)
    spoil(works, schedule)
    works.tick(minutes=1)
    with works.site.store.begin() as tx:
        pipeline_rows.set_status(tx, schedule.pipeline_id, Status.ACTIVE, works.site.now)
    works.tick(seconds=2)
    assert [(f.outcome, f.fire_time) for f in works.fires(schedule.id)] == [
        (Outcome.FAILED, NOW + MINUTE),
        (Outcome.FIRED, NOW + MINUTE),
    ]
    assert works.site.call(schedules.get, schedule.id).failures == 0


def test_one_that_cannot_be_written_fails_alone(works, caplog):
    bad, good = waiting(works), waiting(works)
    with works.site.store.begin() as tx:  # the experiment's name goes into the run as it is
        tx.connection.exec_driver_sql(
            "CREATE TRIGGER poison BEFORE INSERT ON runs WHEN NEW.experiment = 'poison' "
            "BEGIN SELECT RAISE(ABORT, 'poisoned'); END"
        )
        tx.connection.execute(
            sa.update(schedule_table)
            .where(schedule_table.c.id == bad.id)
            .values(experiment="poison")
        )
    with caplog.at_level(logging.CRITICAL):
        works.tick(minutes=1)
    (failed,) = works.fires(bad.id)
    assert failed.outcome is Outcome.FAILED
    assert "poisoned" in failed.reason
    assert len(works.runs_of(good.id)) == 1


def test_one_that_cannot_be_read_is_stopped_with_the_reason(any_works, caplog):
    works = any_works
    bad, good = waiting(works), waiting(works)
    with works.site.store.begin() as tx:
        tx.connection.execute(
            sa.update(schedule_table)
            .where(schedule_table.c.id == bad.id)
            .values(recurrence='{"frequency": "Fortnight"}')
        )
    with caplog.at_level(logging.CRITICAL):
        works.tick(minutes=1)
    assert len(works.runs_of(good.id)) == 1
    stored = {row[0]: row for row in works.site.contents()["schedules"]}
    assert "Disabled" in stored[bad.id]
    assert any("cannot be read" in str(value) for value in stored[bad.id])
    assert works.site.due_at("schedule", bad.id) is None


# ---- what is previewed is what fires -------------------------------------------------------------


def previews():
    """Recurrences over a year's clock changes, with when to begin."""
    berlin = "W. Europe Standard Time"
    for gap in GapPolicy:
        for fold in FoldPolicy:
            daily = Recurrence(
                frequency=Frequency.DAY,
                interval=1,
                hours=(1, 2, 3),
                minutes=(15, 30),
                time_zone=berlin,
                gap=gap,
                fold=fold,
            )
            yield pytest.param(daily, datetime(2024, 3, 30, tzinfo=UTC), id=f"gap {gap} {fold}")
            yield pytest.param(daily, datetime(2024, 10, 26, tzinfo=UTC), id=f"fold {gap} {fold}")
    weekly = Recurrence(
        frequency=Frequency.WEEK,
        interval=2,
        week_days=("Sunday",),
        hours=(2,),
        time_zone="America/New_York",
        start_time=datetime(2024, 1, 7, 2, 30),  # noqa: DTZ001  (a wall time)
    )
    yield pytest.param(weekly, datetime(2024, 1, 1, tzinfo=UTC), id="every other Sunday")
    monthly = Recurrence(
        frequency=Frequency.MONTH,
        interval=1,
        time_zone="Asia/Tokyo",
        start_time=datetime(2024, 1, 31, 9),  # noqa: DTZ001
    )
    yield pytest.param(monthly, datetime(2024, 1, 1, tzinfo=UTC), id="the last of the month")
    hourly = Recurrence(frequency=Frequency.HOUR, interval=5, time_zone=berlin)
    yield pytest.param(hourly, datetime(2024, 3, 30, 13, 7, 9, tzinfo=UTC), id="every five hours")


@pytest.mark.parametrize(("rule", "now"), list(previews()))
def test_what_is_previewed_is_what_fires(site, rule, now):
    site.clock.set(now)
    works = Works(site)
    _, promised = creation.preview(rule, count=12, now=now, run_on_create=True)
    times = [o.fire_time for o in promised if o.fire_time is not None and o.mark != "merged"]
    schedule = works.site.schedule(recurrence=rule)
    while (due := site.call(schedules.get, schedule.id).next_fire_time) <= times[-1]:
        site.clock.set(due)
        works.tick()
    assert [f.fire_time for f in works.fires(schedule.id)] == times
    assert [run.fire_time for run in works.runs_of(schedule.id)] == times


@pytest.mark.parametrize(("rule", "now"), list(previews()))
def test_a_stored_schedule_previews_what_fires(site, rule, now):
    site.clock.set(now)
    works = Works(site)
    schedule = works.site.schedule(recurrence=rule, run_on_create=False)
    _, promised = site.call(schedules.preview, schedule.id, 8)
    times = [o.fire_time for o in promised if o.fire_time is not None and o.mark != "merged"]
    while (due := site.call(schedules.get, schedule.id).next_fire_time) <= times[-1]:
        site.clock.set(due)
        works.tick()
    assert [f.fire_time for f in works.fires(schedule.id)] == times


def test_every_schedule_of_a_batch_has_its_own_row(works):
    published = works.site.publish()
    made = {waiting(works, pipeline_id=published.id).id for _ in range(5)}
    works.tick(minutes=1)
    with works.site.store.read() as tx:
        found = rows.get_many(tx, sorted(made))
    assert {s.next_fire_time for s in found.values()} == {NOW + 2 * MINUTE}
