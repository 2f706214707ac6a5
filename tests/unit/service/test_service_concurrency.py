"""Two who do the same at the same time: both get a proper answer, and nothing is lost.

On PostgreSQL their transactions really overlap; on SQLite one waits for the other. The answers are
the same.
"""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from tests.unit.service.site import Site, minutes

from penstock import wire
from penstock.core.model import Status
from penstock.core.states import RunState
from penstock.daemon import scheduling
from penstock.errors import Conflict, InUse
from penstock.service import pipelines, runs, schedules, workspaces
from penstock.store import runs as run_rows
from penstock.store import schedules as rows
from penstock.store import timers


def overlapping(site: Site, first, second):
    """Do `first(tx)`, then start `second()` in another thread, then commit the first.

    Returns:
        What the first answered, and the future of the second.
    """
    with ThreadPoolExecutor(1) as pool:
        with site.store.begin() as tx:
            one = first(tx)
            future: Future = pool.submit(second)
            # The second is to be waiting in the database when the first commits, and nothing tells
            # when it is.
            time.sleep(0.3)
        future.exception(timeout=20)
    return one, future


def calls(site: Site, verb, *args, **named):
    """Return the two forms of a call: in a given transaction, and in one of its own."""

    def within(tx):
        return site.within(tx, verb, *args, actor=site.admin, **named)

    def alone():
        return site.call(verb, *args, **named)

    return within, alone


def test_a_submission_sent_twice_at_once_makes_one_run(any_site):
    request = wire.SubmitRequest(experiment="training", graph=any_site.graph())
    within, alone = calls(any_site, runs.submit, request, submission_key="k")
    one, two = overlapping(any_site, within, alone)
    assert two.result() == one
    stored = any_site.contents()
    assert len(stored["runs"]) == len(stored["timers"]) == 1


def test_a_submission_that_is_taken_back_leaves_the_key_to_the_other(any_site):
    request = wire.SubmitRequest(experiment="training", graph=any_site.graph())
    within, alone = calls(any_site, runs.submit, request, submission_key="k")

    def taken_back():
        with any_site.store.begin() as tx:
            within(tx)
            other.append(pool.submit(alone))
            time.sleep(0.3)  # it is to be waiting
            raise ZeroDivisionError

    other: list[Future] = []
    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(ZeroDivisionError):
            taken_back()
        run = other[0].result(timeout=20)
    assert any_site.call(runs.get, run.id) == run


def test_one_workspace_created_by_two_is_created_once(any_site):
    draft = wire.WorkspaceDraft(name="lab")

    def create(tx, home: Path = any_site.home):
        return workspaces.create(tx, any_site.admin, draft, home=home, now=any_site.now)

    def alone():
        with any_site.store.begin() as tx:
            return create(tx)

    one, two = overlapping(any_site, create, alone)
    assert isinstance(two.exception(), Conflict)
    assert "'lab' already" in str(two.exception())
    with any_site.store.read() as tx:
        assert workspaces.get(tx, any_site.admin, "lab") == one
    assert len(list((any_site.home / "datastores").iterdir())) == 2  # of home and of lab


def test_one_experiment_used_first_by_two_is_the_same_for_both(any_site):
    one, two = overlapping(any_site, *calls(any_site, workspaces.ensure_experiment, "new"))
    assert two.result() == one


def test_one_pipeline_published_by_two_has_one_graph(any_site):
    request = wire.PublishRequest(graph=any_site.graph())
    one, two = overlapping(any_site, *calls(any_site, pipelines.publish, request))
    assert two.result().graph_id == one.graph_id
    assert two.result().id != one.id


def test_tags_that_two_add_are_both_kept(any_site):
    run = any_site.submit()
    within, _ = calls(any_site, runs.change, run.id, wire.RunChanges(tags={"a": "1"}))
    _, alone = calls(any_site, runs.change, run.id, wire.RunChanges(tags={"b": "2"}))
    _, two = overlapping(any_site, within, alone)
    assert two.result().tags == {"a": "1", "b": "2"}


def test_an_experiment_tagged_and_archived_at_once_is_both(any_site):
    any_site.call(workspaces.ensure_experiment, "training")
    tags, archive = (
        wire.ExperimentChanges(tags={"a": "1"}),
        wire.ExperimentChanges(is_archived=True),
    )
    within, _ = calls(any_site, workspaces.change_experiment, "training", tags)
    _, alone = calls(any_site, workspaces.change_experiment, "training", archive)
    _, two = overlapping(any_site, within, alone)
    assert two.result().tags == {"a": "1"}
    assert two.result().archived_at == any_site.now


def test_metrics_that_two_log_are_one_series(any_site):
    run = any_site.submit()
    request = wire.MetricsRequest(metrics=[wire.MetricDraft(name="loss", value=1)] * 3)
    _, two = overlapping(any_site, *calls(any_site, runs.log_metrics, run.id, request))
    two.result()
    assert [m.sequence for m in any_site.call(runs.metrics, run.id)] == list(range(6))


def test_a_pipeline_being_disabled_takes_no_new_schedule(any_site):
    published = any_site.publish()
    draft = any_site.draft(pipeline_id=published.id)
    within, _ = calls(any_site, pipelines.change_status, published.id, Status.DISABLED)
    _, alone = calls(any_site, schedules.create, draft)
    _, two = overlapping(any_site, within, alone)
    assert isinstance(two.exception(), Conflict)
    assert any_site.contents()["schedules"] == set()


def test_a_pipeline_being_scheduled_is_not_disabled(any_site):
    published = any_site.publish()
    draft = any_site.draft(pipeline_id=published.id)
    within, _ = calls(any_site, schedules.create, draft)
    _, alone = calls(any_site, pipelines.change_status, published.id, Status.DISABLED)
    _, two = overlapping(any_site, within, alone)
    assert isinstance(two.exception(), InUse)
    assert any_site.call(pipelines.get, published.id).status is Status.ACTIVE


def test_a_pipeline_being_disabled_keeps_its_schedule_from_being_enabled(any_site):
    schedule = any_site.schedule(status=Status.DISABLED)
    within, _ = calls(any_site, pipelines.change_status, schedule.pipeline_id, Status.DISABLED)
    changes = wire.ScheduleChanges(status=Status.ACTIVE)
    _, alone = calls(any_site, schedules.update, schedule.id, changes)
    _, two = overlapping(any_site, within, alone)
    assert isinstance(two.exception(), Conflict)


def test_two_changes_of_one_schedule_are_both_kept(any_site):
    schedule = any_site.schedule()
    within, _ = calls(any_site, schedules.update, schedule.id, wire.ScheduleChanges(name="n"))
    _, alone = calls(any_site, schedules.update, schedule.id, wire.ScheduleChanges(description="d"))
    _, two = overlapping(any_site, within, alone)
    assert (two.result().name, two.result().description) == ("n", "d")


def test_a_schedule_is_not_fired_while_it_is_being_disabled(any_site):
    schedule = any_site.schedule(run_on_create=False)
    at = any_site.later(minutes=1)
    changes = wire.ScheduleChanges(status=Status.DISABLED)
    within, _ = calls(any_site, schedules.update, schedule.id, changes)

    def fire():
        return scheduling.fire_due(any_site.store, at, late_seconds_max=60)

    _, counts = overlapping(any_site, within, fire)
    assert counts.result().fired == 0
    assert any_site.contents()["fires"] == set()


def test_a_change_waits_for_the_fire_that_is_under_way_and_goes_on_from_there(any_site):
    schedule = any_site.schedule(run_on_create=False)
    at = any_site.later(minutes=1)
    following = at + timedelta(minutes=1)

    _, alone = calls(any_site, schedules.update, schedule.id, wire.ScheduleChanges(name="new"))
    with ThreadPoolExecutor(1) as pool:
        with any_site.store.begin() as tx:
            (timer,) = timers.due(tx, "schedule", at, 10)
            future = pool.submit(alone)
            time.sleep(0.3)  # it is to be waiting
            rows.set_fire_state_many(tx, [(schedule.id, following, 0)])
            timers.rearm(tx, timer, following)
        changed = future.result(timeout=20)
    assert (changed.name, changed.next_fire_time) == ("new", following)
    assert any_site.due_at("schedule", schedule.id) == following


def test_cancelling_waits_for_the_daemon_and_is_not_forgotten(any_site):
    run = any_site.submit()
    _, alone = calls(any_site, runs.cancel, run.id)
    with ThreadPoolExecutor(1) as pool:
        with any_site.store.begin() as tx:
            (timer,) = timers.due(tx, "run", any_site.now, 10)
            future = pool.submit(alone)
            time.sleep(0.3)  # it is to be waiting
            run_rows.move(
                tx,
                run.id,
                expected=RunState.NOT_STARTED,
                state=RunState.RUNNING,
                at=any_site.now,
            )
            timers.finish(tx, timer)
        canceled = future.result(timeout=20)
    assert (canceled.state, canceled.cancel_requested_at) == (RunState.RUNNING, any_site.now)
    assert any_site.due_at("run", run.id) == any_site.now


def test_a_schedule_of_another_minute_is_not_in_the_way(any_site):
    one = any_site.schedule(run_on_create=False)
    two = any_site.schedule(recurrence=minutes(2), run_on_create=False)
    at = any_site.later(minutes=2)
    within, _ = calls(any_site, schedules.update, one.id, wire.ScheduleChanges(name="n"))

    def fire():
        return scheduling.fire_due(any_site.store, at, late_seconds_max=60)

    _, counts = overlapping(any_site, within, fire)
    assert counts.result().fired >= 1
    assert two.id in {fire[0] for fire in any_site.contents()["fires"]}
