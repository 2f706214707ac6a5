"""What the token of a running step opens: its own workspace to read, its own run to write."""

from __future__ import annotations

import inspect
from dataclasses import replace

import pytest
from tests.builders import a_step_run
from tests.unit.service.test_service_snapshots import SomeBlobs

from penstock import wire
from penstock.core.access import Actor
from penstock.core.model import Status
from penstock.errors import NotAllowed
from penstock.service import pipelines, runs, schedules, snapshots, workspaces
from penstock.store import steps as step_rows
from penstock.store.database import new_id

METRICS = wire.MetricsRequest(metrics=[wire.MetricDraft(name="loss", value=1)])
NOTES = wire.RunChanges(tags={"a": "b"})


class Busy:
    """A site where one step of one run is at work, and another run stands beside it."""

    def __init__(self, site):
        self.site = site
        self.run, self.other = site.submit(), site.submit()
        self.published = site.publish()
        self.schedule = site.schedule(pipeline_id=self.published.id)
        self.step = a_step_run(run_id=self.run.id)
        self.sibling = a_step_run(run_id=self.run.id, step_id="b", name="b")
        self.stranger = a_step_run(run_id=self.other.id)
        with site.store.begin() as tx:
            step_rows.insert_many(tx, [self.step, self.sibling, self.stranger])
        self.actor = Actor(
            name=f"step {self.step.id}",
            run_id=self.run.id,
            step_run_id=self.step.id,
            workspace_id=site.workspace.id,
        )


@pytest.fixture
def busy(site):
    return Busy(site)


def graph_request(busy):
    return wire.SubmitRequest(experiment="nested", graph=busy.site.graph())


# Each verb with its arguments, and whether a step may call it.
VERBS = [
    (workspaces.ensure_experiment, lambda b: ("new",), True),
    (workspaces.get_experiment, lambda b: ("training",), True),
    (workspaces.list_experiments, lambda b: (), True),
    (workspaces.change_experiment, lambda b: ("training", wire.ExperimentChanges()), False),
    (workspaces.list_datastores, lambda b: (), True),
    (workspaces.get_datastore, lambda b: ("workspaceblobstore",), True),
    (pipelines.publish, lambda b: (wire.PublishRequest(run_id=b.run.id),), False),
    (pipelines.get, lambda b: (b.published.id,), True),
    (pipelines.list_page, lambda b: (), True),
    (pipelines.change_status, lambda b: (b.published.id, Status.DISABLED), False),
    (pipelines.graph_of, lambda b: (b.run.graph_id,), True),
    (pipelines.check, lambda b: (b.site.graph(),), True),
    (snapshots.create, lambda b: (wire.SnapshotDraft(files=[]), SomeBlobs()), True),
    (runs.submit, lambda b: (graph_request(b),), True),
    (runs.get, lambda b: (b.other.id,), True),
    (runs.list_page, lambda b: (), True),
    (runs.steps, lambda b: (b.other.id,), True),
    (runs.get_step, lambda b: (b.stranger.id,), True),
    (runs.outputs, lambda b: (b.stranger.id,), True),
    (runs.metrics, lambda b: (b.other.id,), True),
    (runs.cancel, lambda b: (b.run.id,), False),
    (runs.change, lambda b: (b.run.id, NOTES), True),
    (runs.change, lambda b: (b.other.id, NOTES), False),
    (runs.change_step, lambda b: (b.step.id, NOTES), True),
    (runs.change_step, lambda b: (b.sibling.id, NOTES), True),
    (runs.change_step, lambda b: (b.stranger.id, NOTES), False),
    (runs.log_metrics, lambda b: (b.run.id, METRICS), True),
    (runs.log_metrics, lambda b: (b.step.id, METRICS), True),
    (runs.log_metrics, lambda b: (b.other.id, METRICS), False),
    (runs.log_metrics, lambda b: (b.stranger.id, METRICS), False),
    (schedules.create, lambda b: (b.site.draft(pipeline_id=b.published.id),), False),
    (schedules.get, lambda b: (b.schedule.id,), False),
    (schedules.list_page, lambda b: (), False),
    (schedules.fires_page, lambda b: (b.schedule.id,), False),
    (schedules.preview, lambda b: (b.schedule.id, 3), False),
    (schedules.update, lambda b: (b.schedule.id, wire.ScheduleChanges(name="x")), False),
    (schedules.fire, lambda b: (b.schedule.id, {}), False),
]


@pytest.mark.parametrize(
    ("verb", "arguments", "is_allowed"), VERBS, ids=[v[0].__name__ for v in VERBS]
)
def test_what_a_step_may_do_in_its_own_workspace(busy, verb, arguments, is_allowed):
    given = arguments(busy)
    if is_allowed:
        busy.site.call(verb, *given, actor=busy.actor)
        return
    with busy.site.refuses(NotAllowed, busy.actor.name):
        busy.site.call(verb, *given, actor=busy.actor)


@pytest.mark.parametrize(("verb", "arguments", "_"), VERBS, ids=[v[0].__name__ for v in VERBS])
def test_a_step_may_do_nothing_in_another_workspace(busy, verb, arguments, _):
    given = arguments(busy)
    stranger = replace(busy.actor, workspace_id=new_id())
    with busy.site.refuses(NotAllowed):
        busy.site.call(verb, *given, actor=stranger)


def test_a_step_makes_no_workspace(busy):
    with busy.site.refuses(NotAllowed), busy.site.store.begin() as tx:
        workspaces.create(
            tx,
            busy.actor,
            wire.WorkspaceDraft(name="mine"),
            home=busy.site.home,
            now=busy.site.now,
        )


def test_every_verb_is_in_the_table():
    verbs = {
        function
        for room in (workspaces, pipelines, snapshots, runs, schedules)
        for name, function in inspect.getmembers(room, inspect.isfunction)
        if "actor" in inspect.signature(function).parameters
        and function.__module__ == room.__name__
        and not name.startswith("_")
    }
    elsewhere = {workspaces.create, workspaces.get, workspaces.list_all}
    assert verbs - elsewhere == {verb for verb, *_ in VERBS}


def test_the_administrator_may_do_all_of_it(busy):
    for verb, arguments, _ in VERBS:
        busy.site.later(seconds=1)
        if verb is pipelines.change_status:
            continue  # an active schedule keeps the pipeline
        busy.site.call(verb, *arguments(busy))
