"""Runs: submitting, cancelling, annotating, metrics and outputs, and what of it is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.builders import a_step_run

from penstock import wire
from penstock.core.model import Status
from penstock.core.pipeline import Input, Output, Parameter, ParameterKind, SourceKind
from penstock.core.states import RunState, StepState
from penstock.errors import Conflict, Invalid, InvalidParameters, NotFound
from penstock.service import pipelines, runs
from penstock.store import runs as rows
from penstock.store import steps as step_rows
from penstock.store.database import new_id

RATE = Parameter(name="rate", kind=ParameterKind.FLOAT, default=0.1)
FOLDER = Parameter(
    name="folder",
    kind=ParameterKind.DATA_PATH,
    default={"datastore": "workspaceblobstore", "path": None},
)


def submit(site, *, submission_key=None, **fields):
    request = wire.SubmitRequest(**{"experiment": "training"} | fields)
    return site.call(runs.submit, request, submission_key=submission_key)


def started(site, run, *steps):
    """Give a run its step runs, as the daemon would."""
    made = [a_step_run(run_id=run.id, step_id=step_id, name=step_id) for step_id in steps]
    with site.store.begin() as tx:
        step_rows.insert_many(tx, made)
    return made


# ---- submitting ----------------------------------------------------------------------------------


def test_a_submitted_graph_waits_for_the_daemon(site):
    run = site.submit(parameters=[RATE], tags={"who": "me"}, properties={"a": "1"}, description="d")
    assert (run.state, run.pipeline_id, run.parameters) == (
        RunState.NOT_STARTED,
        None,
        {"rate": 0.1},
    )
    assert (run.tags, run.properties, run.description) == ({"who": "me"}, {"a": "1"}, "d")
    assert run.cause == "submitted by admin (SDK)"
    assert site.due_at("run", run.id) == site.now
    assert site.call(runs.get, run.id) == run
    assert site.call(runs.steps, run.id) == []
    assert {e[2] for e in site.contents()["experiments"]} == {"training"}


def test_a_published_pipeline_is_submitted_with_its_policy_unless_told_otherwise(site):
    published = site.publish(parameters=[RATE], continue_on_step_failure=True)
    run = submit(site, pipeline_id=published.id, parameters={"rate": "2"})
    assert (run.pipeline_id, run.graph_id) == (published.id, published.graph_id)
    assert run.parameters == {"rate": 2.0}
    assert run.continue_on_step_failure
    assert not submit(
        site, pipeline_id=published.id, continue_on_step_failure=False
    ).continue_on_step_failure


def test_a_run_may_have_a_parent(site):
    parent = site.submit()
    child = site.submit(parent_run_id=parent.id)
    assert site.call(runs.list_page, parent_run_id=parent.id)[0] == [child]


def test_a_submission_that_comes_again_answers_the_first_run(any_site):
    graph = any_site.graph()
    first = submit(any_site, graph=graph, submission_key="k")
    before = any_site.contents()
    any_site.later(seconds=5)
    assert submit(any_site, graph=graph, submission_key="k") == first
    assert submit(any_site, graph=graph, submission_key="k", experiment="another") == first
    assert any_site.contents() == before
    assert submit(any_site, graph=graph, submission_key="l").id != first.id


@pytest.mark.parametrize(
    ("fields", "error", "match"),
    [
        ({"pipeline_id": None}, Invalid, "either a graph or a published pipeline"),
        ({"pipeline_id": "no-such"}, NotFound, "no-such"),
        ({"experiment": ""}, Invalid, "experiment"),
        ({"experiment": "x" * 256}, Invalid, "experiment"),
        ({"experiment": "a b"}, Invalid, "experiment"),
        ({"experiment": "a\0"}, Invalid, "experiment"),
        ({"parent_run_id": "no-such"}, NotFound, "no-such"),
        ({"parameters": {"speed": 1}}, InvalidParameters, "'speed'.*rate"),
        ({"parameters": {"rate": "fast"}}, InvalidParameters, "'rate'"),
        ({"parameters": {"rate": "\0"}}, Invalid, r"parameters\.rate"),
        ({"parameters": {"a\0": 1}}, Invalid, "parameters"),
        ({"parameters": {"folder": {"datastore": "away", "path": "x"}}}, InvalidParameters, "away"),
        ({"parameters": {"folder": "workspaceblobstore/x"}}, InvalidParameters, "folder"),
        ({"parameters": {str(i): "x" * 100_000 for i in range(11)}}, Invalid, "at most 1,048,576"),
        ({"tags": {"a": "b\0"}}, Invalid, r"tags\.a"),
        ({"tags": {"a": "x" * 1001}}, Invalid, r"tags\.a.*1,000 characters"),
        ({"tags": {"x" * 257: "a"}}, Invalid, "256 characters"),
        ({"tags": {str(i): "" for i in range(51)}}, Invalid, "51 entries"),
        ({"properties": {"a": "\ud83d"}}, Invalid, r"properties\.a"),
        ({"properties": {str(i): "" for i in range(51)}}, Invalid, "51 entries"),
        ({"description": "x" * 5001}, Invalid, "description"),
        ({"source": "x" * 256}, Invalid, "source"),
    ],
)
def test_what_is_wrong_is_refused_and_nothing_is_stored(site, fields, error, match):
    published = site.publish(parameters=[RATE, FOLDER])
    with site.refuses(error, match):
        submit(site, **{"pipeline_id": published.id} | fields)


def test_all_wrong_parameters_are_told_at_once(site):
    published = site.publish(parameters=[RATE, FOLDER])
    with site.refuses(InvalidParameters) as error:
        submit(site, pipeline_id=published.id, parameters={"rate": "x", "speed": 1, "folder": 2})
    assert {e["field"] for e in error.value.details["errors"]} == {
        "parameters.rate",
        "parameters.speed",
        "parameters.folder",
    }


def test_both_a_graph_and_a_pipeline_are_refused(site):
    published = site.publish()
    with site.refuses(Invalid, "either"):
        submit(site, pipeline_id=published.id, graph=site.graph())


def test_a_disabled_pipeline_cannot_be_run(site):
    published = site.publish()
    site.call(pipelines.change_status, published.id, Status.DISABLED)
    with site.refuses(Conflict, published.id):
        submit(site, pipeline_id=published.id)


def test_the_longest_text_that_is_allowed_is_kept(site):
    run = site.submit(
        tags={"n" * 256: "é" * 1000} | {str(i): "" for i in range(49)},
        description="ü" * 5000,
        experiment="e" * 255,
        parameters=[Parameter(name="text", kind=ParameterKind.STRING, default="x" * 131_071)],
    )
    assert site.call(runs.get, run.id) == run


# ---- reading -------------------------------------------------------------------------------------


def test_step_runs_come_in_the_order_of_the_graph(site):
    run = site.submit(site.step("z"), site.step("m", run_after=("z",)), site.step("a"))
    started(site, run, "a", "m", "z")
    assert [s.step_id for s in site.call(runs.steps, run.id)] == ["z", "m", "a"]


def test_outputs_are_told_before_they_are_written(site):
    outputs = (
        Output(name="model"),
        Output(name="kept", datastore="workspaceblobstore", path="kept/here"),
    )
    run = site.submit(site.step(outputs=outputs))
    (step,) = started(site, run, "train")
    found = {o.name: (o.datastore, o.path) for o in site.call(runs.outputs, step.id)}
    assert found == {
        "model": ("workspaceblobstore", f"azureml/{step.id}/model"),
        "kept": ("workspaceblobstore", "kept/here"),
    }


def test_a_page_of_runs_knows_filters(site):
    one = site.submit(tags={"a": "1"})
    two = site.submit(experiment="other", tags={"a": "2"})

    def ids(**filters):
        return {run.id for run in site.call(runs.list_page, **filters)[0]}

    assert ids() == {one.id, two.id}
    assert ids(experiment="other") == {two.id}
    assert ids(tags={"a": "1"}) == {one.id}
    assert ids(tags={"a": None}) == {one.id, two.id}
    assert ids(states=[RunState.FAILED]) == set()


UNKNOWN = [
    (runs.get, ()),
    (runs.steps, ()),
    (runs.cancel, ()),
    (runs.metrics, ()),
    (runs.get_step, ()),
    (runs.outputs, ()),
    (runs.change, (wire.RunChanges(tags={}),)),
    (runs.change_step, (wire.RunChanges(tags={}),)),
    (runs.log_metrics, (wire.MetricsRequest(metrics=[]),)),
]


@pytest.mark.parametrize(("verb", "arguments"), UNKNOWN, ids=lambda v: getattr(v, "__name__", ""))
def test_an_unknown_id_is_not_found(site, verb, arguments):
    with site.refuses(NotFound, "no-such"):
        site.call(verb, "no-such", *arguments)


@pytest.mark.parametrize(("verb", "arguments"), UNKNOWN, ids=lambda v: getattr(v, "__name__", ""))
def test_what_another_workspace_has_is_not_found(site, verb, arguments):
    run = site.submit()
    (step,) = started(site, run, "train")
    site.workspace = replace(site.workspace, id=new_id())
    for id in (run.id, step.id):
        with site.refuses(NotFound, id):
            site.call(verb, id, *arguments)


# ---- cancelling ----------------------------------------------------------------------------------


def test_a_run_is_asked_to_stop_once(any_site):
    site = any_site
    run = site.submit()
    at = site.later(seconds=1)
    canceled = site.call(runs.cancel, run.id)
    assert (canceled.cancel_requested_at, canceled.state) == (at, RunState.NOT_STARTED)
    site.later(seconds=1)
    assert site.call(runs.cancel, run.id).cancel_requested_at == at
    noted = [line for line in site.contents()["activity"] if "run.cancel" in line]
    assert len(noted) == 1
    assert site.due_at("run", run.id) is not None


def test_a_run_that_has_ended_stays_as_it_is(site):
    run = site.submit()
    with site.store.begin() as tx:
        rows.move(tx, run.id, expected=RunState.NOT_STARTED, state=RunState.FINISHED, at=site.now)
    before = site.contents()
    assert site.call(runs.cancel, run.id).cancel_requested_at is None
    assert site.contents() == before


# ---- tags and properties -------------------------------------------------------------------------


def test_tags_are_set_and_removed_and_properties_only_added(site):
    run = site.submit(tags={"a": "1", "b": "2"}, properties={"p": "1"})
    changes = wire.RunChanges(
        tags={"b": "3", "c": "4"}, removed_tags=["a", "z"], properties={"q": "2"}, description="d"
    )
    changed = site.call(runs.change, run.id, changes)
    assert changed.tags == {"b": "3", "c": "4"}
    assert changed.properties == {"p": "1", "q": "2"}
    assert changed.description == "d"
    unchanged = site.call(runs.change, run.id, wire.RunChanges(properties={"p": "1"}))
    assert unchanged == changed


def test_step_runs_have_tags_and_properties_too(site):
    run = site.submit()
    (step,) = started(site, run, "train")
    changes = wire.RunChanges(tags={"a": "1"}, properties={"p": "1"})
    changed = site.call(runs.change_step, step.id, changes)
    assert (changed.tags, changed.properties) == ({"a": "1"}, {"p": "1"})
    assert changed.state is StepState.NOT_STARTED


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"properties": {"p": "2"}}, Conflict, "'p' is '1' already"),
        ({"tags": {"t": "\0"}}, Invalid, r"tags\.t"),
        ({"tags": {str(i): "" for i in range(50)}}, Invalid, "51 entries"),
        ({"properties": {str(i): "" for i in range(50)}}, Invalid, "51 entries"),
        ({"removed_tags": ["\0"]}, Invalid, r"removed_tags\.0"),
        ({"description": "x" * 5001}, Invalid, "description"),
    ],
)
def test_a_wrong_change_is_refused_and_nothing_is_stored(site, changes, error, match):
    run = site.submit(properties={"p": "1"}, tags={"first": "1"})
    with site.refuses(error, match):
        site.call(runs.change, run.id, wire.RunChanges(**changes))


# ---- metrics -------------------------------------------------------------------------------------


def metric(name, value, **fields):
    return wire.MetricDraft(name=name, value=value, **fields)


def test_a_metric_logged_again_becomes_a_series(any_site):
    site = any_site
    run = site.submit()
    first = wire.MetricsRequest(metrics=[metric("loss", 3, step=0), metric("loss", 2, step=1)])
    site.call(runs.log_metrics, run.id, first)
    site.call(runs.log_metrics, run.id, wire.MetricsRequest(metrics=[metric("loss", 1)]))
    found = site.call(runs.metrics, run.id)
    assert [(m.sequence, m.value, m.step) for m in found] == [(0, 3, 0), (1, 2, 1), (2, 1, None)]


def test_metrics_of_steps_are_found_with_those_of_the_run(site):
    run = site.submit()
    (step,) = started(site, run, "train")
    for id in (run.id, step.id):
        site.call(runs.log_metrics, id, wire.MetricsRequest(metrics=[metric("loss", 1)]))
    site.call(runs.log_metrics, step.id, wire.MetricsRequest(metrics=[metric("other", [1, {}])]))
    assert {m.run_id for m in site.call(runs.metrics, run.id)} == {run.id}
    assert {m.run_id for m in site.call(runs.metrics, run.id, recursive=True)} == {run.id, step.id}
    assert [m.value for m in site.call(runs.metrics, step.id, name="other")] == [[1, {}]]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": "a\0"}, "metrics.0.name"),
        ({"kind": "\0"}, "metrics.0.kind"),
        ({"kind": "x" * 256}, "metrics.0.kind"),
        ({"value": ["x", {"y": "\0"}]}, "metrics.0.value.1.y"),
        ({"value": {"\0": 1}}, "metrics.0.value.\0"),
    ],
)
def test_a_wrong_metric_is_refused_and_none_of_them_is_stored(site, fields, field):
    run = site.submit()
    good = metric("loss", 1)
    wrong = metric(**{"name": "x", "value": 1} | fields)
    with site.refuses(Invalid) as error:
        site.call(runs.log_metrics, run.id, wire.MetricsRequest(metrics=[wrong, good]))
    assert error.value.details["field"] == field


def test_the_input_of_a_step_may_come_from_a_parameter(site):
    data = Input(name="data", source=SourceKind.PARAMETER, parameter="folder")
    run = site.submit(site.step(inputs=(data,)), parameters=[FOLDER])
    assert run.parameters["folder"] == {"datastore": "workspaceblobstore", "path": None}
