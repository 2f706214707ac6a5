"""Schedules: what is refused, when they fire first, what a change does, what a preview promises."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.builders import NOW, a_data_change
from tests.unit.service.site import Site, minutes

from penstock.core.due import CatchUp, Outcome, Overlap
from penstock.core.model import Status
from penstock.core.pipeline import Parameter, ParameterKind
from penstock.core.recurrence import FoldPolicy, Frequency, GapPolicy, Recurrence
from penstock.errors import Conflict, Invalid, InvalidParameters, InvalidRecurrence, NotFound
from penstock.service import pipelines, schedules
from penstock.store import runs as run_rows
from penstock.store import schedules as rows
from penstock.store.database import new_id

WALL = NOW.replace(tzinfo=None)
RATE = Parameter(name="rate", kind=ParameterKind.FLOAT, default=0.1)
FOLDER = Parameter(
    name="folder",
    kind=ParameterKind.DATA_PATH,
    default={"datastore": "workspaceblobstore", "path": None},
)


def fires(site: Site, id: str):
    return site.call(schedules.fires_page, id)[0]


def runs_of(site: Site, id: str):
    with site.store.read() as tx:
        return run_rows.list(tx, site.workspace.id, schedule_id=id)[0]


# ---- creating ------------------------------------------------------------------------------------


def test_a_recurrence_without_a_start_time_starts_a_run_at_once(site):
    schedule = site.schedule()
    (fire,) = fires(site, schedule.id)
    (run,) = runs_of(site, schedule.id)
    assert (fire.outcome, fire.fire_time, fire.run_id) == (Outcome.FIRED, NOW, run.id)
    assert "at creation" in fire.reason
    assert (run.source, run.created_by) == ("Schedule", f"schedule {schedule.id}")
    assert "at creation" in run.cause
    assert site.due_at("run", run.id) == NOW
    assert schedule.next_fire_time == NOW + timedelta(minutes=1)
    assert site.due_at("schedule", schedule.id) == schedule.next_fire_time


@pytest.mark.parametrize(
    "fields",
    [
        {"run_on_create": False},
        {"recurrence": minutes(start_time=WALL + timedelta(minutes=1))},
    ],
)
def test_other_recurrences_wait_for_their_first_fire_time(site, fields):
    schedule = site.schedule(**fields)
    assert fires(site, schedule.id) == []
    assert runs_of(site, schedule.id) == []
    assert schedule.next_fire_time == NOW + timedelta(minutes=1)


@pytest.mark.parametrize(
    ("start", "first"),
    [
        (timedelta(0), timedelta(0)),
        (timedelta(seconds=1), timedelta(seconds=1)),
        (timedelta(days=30), timedelta(days=30)),
        (timedelta(seconds=-1), timedelta(minutes=7) - timedelta(seconds=1)),
        (timedelta(minutes=-7), timedelta(0)),
        (timedelta(minutes=-7_000_001), timedelta(minutes=6)),
    ],
)
def test_a_start_time_now_ahead_or_past_decides_the_first_fire(site, start, first):
    schedule = site.schedule(recurrence=minutes(7, start_time=WALL + start))
    assert fires(site, schedule.id) == []
    assert schedule.next_fire_time == NOW + first


def test_created_disabled_it_does_not_run_and_has_no_fire_time(site):
    schedule = site.schedule(status=Status.DISABLED)
    assert schedule.next_fire_time is None
    assert site.due_at("schedule", schedule.id) is None
    assert fires(site, schedule.id) == []
    assert site.update(schedule.id, status=Status.ACTIVE).next_fire_time == NOW + timedelta(
        minutes=1
    )


def test_a_schedule_that_watches_data_has_no_fire_time(site):
    schedule = site.schedule(data_change=a_data_change())
    assert (schedule.recurrence, schedule.next_fire_time) == (None, None)
    assert site.due_at("schedule", schedule.id) is None


def test_two_schedules_may_share_a_name(site):
    assert site.schedule().id != site.schedule().id


def test_parameters_are_kept_as_given_and_reach_the_run(site):
    schedule = site.schedule(
        pipeline_id=site.publish(parameters=[RATE]).id, parameters={"rate": "0.5"}
    )
    assert schedule.parameters == {"rate": "0.5"}
    assert runs_of(site, schedule.id)[0].parameters == {"rate": 0.5}


def test_creation_is_noted(site):
    schedule = site.schedule()
    lines = site.contents()["activity"]
    assert any(schedule.id in line and "schedule.create" in line for line in lines)


DATA = {"recurrence": None, "data_change": a_data_change()}


@pytest.mark.parametrize(
    ("fields", "error", "match"),
    [
        ({"name": "  "}, Invalid, "name"),
        ({"name": "x" * 256}, Invalid, "name"),
        ({"name": "a\0b"}, Invalid, "name"),
        ({"description": "x" * 5001}, Invalid, "description"),
        ({"experiment": "-no"}, Invalid, "experiment"),
        ({"experiment": ""}, Invalid, "experiment"),
        ({"recurrence": None}, Invalid, "exactly one trigger"),
        ({"data_change": a_data_change(), "recurrence": minutes()}, Invalid, "exactly one trigger"),
        ({"recurrence": minutes(0)}, InvalidRecurrence, "interval"),
        ({"recurrence": minutes(hours=(1,))}, InvalidRecurrence, "hours"),
        ({"recurrence": minutes(time_zone="Mars/Olympus")}, InvalidRecurrence, "time_zone"),
        (
            {"recurrence": minutes(start_time=WALL + timedelta(days=60 * 366))},
            InvalidRecurrence,
            "49 years",
        ),
        ({"status": Status.DEPRECATED}, Invalid, "status"),
        ({"catch_up_window_seconds": 0}, Invalid, "catch_up_window_seconds"),
        ({"catch_up_window_seconds": float("nan")}, Invalid, "catch_up_window_seconds"),
        ({"catch_up_window_seconds": 366 * 86_400 + 1}, Invalid, "catch_up_window_seconds"),
        ({"pipeline_id": None}, Invalid, "pipeline_id"),
        ({"pipeline_endpoint_id": "e"}, Invalid, "no pipeline endpoint 'e'"),
        ({"pipeline_id": "no-such"}, NotFound, "no-such"),
        ({"parameters": {"speed": 1}}, InvalidParameters, "no parameter 'speed'"),
        ({"parameters": {"rate": "fast"}}, InvalidParameters, "rate"),
        ({"parameters": {"folder": {"datastore": "away", "path": "x"}}}, InvalidParameters, "away"),
        ({"parameters": {"rate": "1\0"}}, Invalid, "parameters.rate"),
        (DATA | {"data_change": a_data_change(datastore="away")}, NotFound, "away"),
        (DATA | {"data_change": a_data_change(polling_minutes=0)}, Invalid, "polling_interval"),
        (DATA | {"data_change": a_data_change(polling_minutes=10**6)}, Invalid, "polling_interval"),
        (DATA | {"data_change": a_data_change(path="../x")}, Invalid, "path_on_datastore"),
        (DATA | {"data_change": a_data_change(path="/x")}, Invalid, "path_on_datastore"),
        (DATA | {"data_change": a_data_change(path="a\\..\\x")}, Invalid, "path_on_datastore"),
        (
            DATA | {"data_change": a_data_change(data_path_parameter="rate")},
            Invalid,
            "data_path_parameter.*folder",
        ),
    ],
)
def test_what_is_wrong_is_refused_and_nothing_is_stored(site, fields, error, match):
    pipeline_id = site.publish(parameters=[RATE, FOLDER]).id
    draft = site.draft(**{"pipeline_id": pipeline_id} | fields)
    with site.refuses(error, match):
        site.call(schedules.create, draft)


def test_a_disabled_pipeline_cannot_be_scheduled(site):
    published = site.publish()
    site.call(pipelines.change_status, published.id, Status.DISABLED)
    with site.refuses(Conflict, published.id):
        site.call(schedules.create, site.draft(pipeline_id=published.id))


def test_a_pipeline_of_another_workspace_is_not_there(site):
    published = site.publish()
    draft = site.draft(pipeline_id=published.id)
    site.workspace = replace(site.workspace, id=new_id())
    with site.refuses(NotFound, published.id):
        site.call(schedules.create, draft)


# ---- changing ------------------------------------------------------------------------------------


def test_what_is_not_given_stays(site):
    before = site.schedule()
    site.later(seconds=5)
    after = site.update(before.id, description="new")
    assert after == replace(before, description="new", updated_at=site.now)
    assert site.due_at("schedule", before.id) == before.next_fire_time


def test_a_change_that_changes_nothing_is_none(site):
    before = site.schedule()
    site.later(seconds=5)
    assert site.update(before.id, name=before.name, status=Status.ACTIVE) == before


def test_the_same_recurrence_sent_back_keeps_its_anchor_and_times(site):
    before = site.schedule()
    site.later(seconds=5)
    after = site.update(before.id, recurrence=before.recurrence, name="new")
    assert after.recurrence == before.recurrence
    assert after.next_fire_time == before.next_fire_time


def test_another_recurrence_counts_from_now(site):
    before = site.schedule()
    at = site.later(seconds=10)
    after = site.update(before.id, recurrence=minutes(5))
    assert after.recurrence.anchor == at.replace(tzinfo=None)
    assert after.next_fire_time == at + timedelta(minutes=5)
    assert site.due_at("schedule", before.id) == after.next_fire_time
    assert len(fires(site, before.id)) == 1  # the one at creation


def test_parameters_are_replaced_as_a_whole(site):
    other = replace(RATE, name="other")
    schedule = site.schedule(
        pipeline_id=site.publish(parameters=[RATE, other]).id, parameters={"rate": 1.0}
    )
    assert site.update(schedule.id, parameters={"other": 2.0}).parameters == {"other": 2.0}
    assert site.update(schedule.id, parameters={}).parameters == {}


def test_disabling_takes_the_timer_and_enabling_does_not_fire_at_once(site):
    schedule = site.schedule()
    disabled = site.update(schedule.id, status=Status.DISABLED)
    assert disabled.next_fire_time is None
    assert site.due_at("schedule", schedule.id) is None
    at = site.later(days=3, seconds=20)
    enabled = site.update(schedule.id, status=Status.ACTIVE)
    assert enabled.next_fire_time == at + timedelta(seconds=40)
    assert enabled.recurrence == schedule.recurrence
    assert len(fires(site, schedule.id)) == 1


def test_enabling_ends_a_quarantine(site):
    schedule = site.schedule()
    with site.store.begin() as tx:
        rows.quarantine(tx, schedule.id, "too many failures", NOW)
        rows.set_fire_state_many(tx, [(schedule.id, None, 5)])
    enabled = site.update(schedule.id, status=Status.ACTIVE)
    assert (enabled.failures, enabled.quarantined_reason) == (0, None)
    assert enabled.status is Status.ACTIVE


def test_a_disabled_one_can_be_changed_and_stays_disabled(site):
    schedule = site.schedule(status=Status.DISABLED)
    changed = site.update(schedule.id, recurrence=minutes(9), overlap=Overlap.SKIP)
    assert (changed.recurrence.interval, changed.overlap) == (9, Overlap.SKIP)
    assert changed.next_fire_time is None
    assert site.due_at("schedule", schedule.id) is None


def test_the_folder_that_is_watched_can_change(site):
    schedule = site.schedule(data_change=a_data_change())
    changed = site.update(schedule.id, data_change=a_data_change(path="other"))
    assert changed.data_change == a_data_change(path="other")
    assert changed.next_fire_time is None


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"name": " "}, Invalid, "name"),
        ({"name": "x" * 256}, Invalid, "name"),
        ({"description": "\ud800"}, Invalid, "description"),
        ({"recurrence": minutes(-1)}, InvalidRecurrence, "interval"),
        ({"data_change": a_data_change()}, Invalid, "is a recurrence"),
        ({"catch_up_window_seconds": -1}, Invalid, "catch_up_window_seconds"),
        ({"status": Status.DEPRECATED}, Invalid, "status"),
        ({"parameters": {"speed": 1}}, InvalidParameters, "speed"),
        ({"parameters": {"folder": {"datastore": "away"}}}, InvalidParameters, "away"),
    ],
)
def test_a_wrong_change_is_refused_and_nothing_is_stored(site, changes, error, match):
    schedule = site.schedule(pipeline_id=site.publish(parameters=[RATE, FOLDER]).id)
    with site.refuses(error, match):
        site.update(schedule.id, **changes)


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"recurrence": minutes()}, Invalid, "cannot get a recurrence"),
        ({"data_change": a_data_change(polling_minutes=0)}, Invalid, "polling_interval"),
        ({"data_change": a_data_change(datastore="away")}, NotFound, "away"),
        ({"data_change": a_data_change(data_path_parameter="x")}, Invalid, "data_path_parameter"),
    ],
)
def test_a_wrong_change_of_what_is_watched_is_refused(site, changes, error, match):
    schedule = site.schedule(data_change=a_data_change())
    with site.refuses(error, match):
        site.update(schedule.id, **changes)


def test_it_cannot_be_enabled_while_its_pipeline_is_disabled(site):
    schedule = site.schedule(status=Status.DISABLED)
    site.call(pipelines.change_status, schedule.pipeline_id, Status.DISABLED)
    with site.refuses(Conflict, "is disabled"):
        site.update(schedule.id, status=Status.ACTIVE)


@pytest.mark.parametrize("verb", [schedules.get, schedules.fires_page])
def test_an_unknown_id_is_not_found(site, verb):
    with site.refuses(NotFound, "no-such"):
        site.call(verb, "no-such")


def test_an_unknown_id_cannot_be_changed_fired_or_previewed(site):
    with site.refuses(NotFound, "no-such"):
        site.update("no-such", name="x")
    with site.refuses(NotFound, "no-such"):
        site.call(schedules.fire, "no-such", {})
    with site.refuses(NotFound, "no-such"):
        site.call(schedules.preview, "no-such", 3)


# ---- reading -------------------------------------------------------------------------------------


def test_a_page_of_schedules_knows_filters(site):
    off = site.schedule(status=Status.DISABLED, name="off")
    on = site.schedule(name="on")

    def ids(**filters):
        return {s.id for s in site.call(schedules.list_page, **filters)[0]}

    assert ids() == {on.id}
    assert ids(active_only=False) == {on.id, off.id}
    assert ids(active_only=False, pipeline_id=off.pipeline_id) == {off.id}
    assert ids(active_only=False, name="off") == {off.id}
    assert ids(pipeline_endpoint_id="none") == set()


# ---- by hand -------------------------------------------------------------------------------------


def test_firing_by_hand_starts_a_run_and_leaves_the_times_alone(site):
    schedule = site.schedule(
        pipeline_id=site.publish(parameters=[RATE]).id,
        parameters={"rate": 0.2},
        run_on_create=False,
    )
    run = site.call(schedules.fire, schedule.id, {"rate": 0.9})
    assert run.parameters == {"rate": 0.9}
    assert "by hand by admin" in run.cause
    assert site.call(schedules.get, schedule.id).next_fire_time == schedule.next_fire_time
    (fire,) = fires(site, schedule.id)
    assert (fire.run_id, fire.outcome) == (run.id, Outcome.FIRED)


def test_a_disabled_schedule_can_be_fired_by_hand(site):
    schedule = site.schedule(status=Status.DISABLED)
    assert site.call(schedules.fire, schedule.id, {}).schedule_id == schedule.id
    assert site.due_at("schedule", schedule.id) is None


@pytest.mark.parametrize(
    ("parameters", "error", "match"),
    [
        ({"speed": 1}, InvalidParameters, "speed"),
        ({"rate": "x"}, InvalidParameters, "rate"),
        ({"folder": {"datastore": "away", "path": None}}, InvalidParameters, "away"),
        ({"rate": "\0"}, Invalid, "parameters.rate"),
        ({"rate": "1" * 140_000}, Invalid, "parameters.rate"),
    ],
)
def test_firing_with_wrong_parameters_is_refused(site, parameters, error, match):
    schedule = site.schedule(pipeline_id=site.publish(parameters=[RATE, FOLDER]).id)
    with site.refuses(error, match):
        site.call(schedules.fire, schedule.id, parameters, now=NOW + timedelta(seconds=1))


def test_firing_is_refused_while_the_pipeline_is_disabled(site):
    schedule = site.schedule(status=Status.DISABLED)
    site.call(pipelines.change_status, schedule.pipeline_id, Status.DISABLED)
    with site.refuses(Conflict, "is disabled"):
        site.call(schedules.fire, schedule.id, {})


def test_twice_at_the_very_same_instant_is_once(site):
    schedule = site.schedule(run_on_create=False)
    site.call(schedules.fire, schedule.id, {})
    with site.refuses(Conflict, "at this very instant"):
        site.call(schedules.fire, schedule.id, {})


# ---- preview -------------------------------------------------------------------------------------


def test_a_disabled_schedule_shows_what_it_would_do(site):
    schedule = site.schedule(status=Status.DISABLED)
    _, found = site.call(schedules.preview, schedule.id, 2)
    assert [o.fire_time for o in found] == [NOW + timedelta(minutes=i) for i in (1, 2)]


def test_what_data_will_do_cannot_be_foretold(site):
    schedule = site.schedule(data_change=a_data_change())
    with site.refuses(Invalid, "cannot be foretold"):
        site.call(schedules.preview, schedule.id, 2)


def test_policies_are_kept(site):
    schedule = site.schedule(
        recurrence=Recurrence(
            frequency=Frequency.DAY,
            interval=1,
            hours=(2,),
            time_zone="W. Europe Standard Time",
            gap=GapPolicy.SKIP,
            fold=FoldPolicy.BOTH,
        ),
        catch_up=CatchUp.ALL,
        overlap=Overlap.QUEUE,
        catch_up_window_seconds=60,
        continue_on_step_failure=True,
    )
    kept = site.call(schedules.get, schedule.id)
    assert kept == schedule
    assert kept.recurrence.gap is GapPolicy.SKIP
    assert kept.next_fire_time == datetime(2024, 3, 2, 1, 0, tzinfo=UTC)
