"""Publishing: what is refused, what is kept once, and what keeps a pipeline from being disabled."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock import wire
from penstock.core.model import Status
from penstock.core.pipeline import (
    Argument,
    ArgumentKind,
    Graph,
    Input,
    Output,
    Parameter,
    ParameterKind,
    SourceKind,
)
from penstock.errors import InUse, Invalid, InvalidPipeline, NotFound
from penstock.service import pipelines, runs
from penstock.store.database import new_id

RATE = Parameter(name="rate", kind=ParameterKind.FLOAT, default=0.1)


def publish(site, **fields):
    return site.call(pipelines.publish, wire.PublishRequest(**fields))


# ---- publishing ----------------------------------------------------------------------------------


def test_a_graph_is_published_and_nothing_is_started(site):
    graph = site.graph(site.step("a"), site.step("b", run_after=("a",)), parameters=(RATE,))
    published = publish(site, graph=graph, name="both", version="7", continue_on_step_failure=True)
    assert (published.name, published.version, published.step_count) == ("both", "7", 2)
    assert (published.status, published.continue_on_step_failure) == (Status.ACTIVE, True)
    assert published.created_by == "admin"
    assert site.call(pipelines.get, published.id) == published
    assert site.call(pipelines.graph_of, published.graph_id) == graph
    stored = site.contents()
    assert stored["runs"] == stored["timers"] == set()
    assert any("pipeline.publish" in line for line in stored["activity"])


def test_the_same_graph_is_kept_once_and_published_twice(site):
    one, two = publish(site, graph=site.graph()), publish(site, graph=site.graph())
    assert one.id != two.id
    assert one.graph_id == two.graph_id
    assert len(site.contents()["graphs"]) == 1
    assert one.name == two.name == f"Pipeline-{one.graph_id[:8]}"


def test_the_graph_of_a_run_is_published_with_its_policy(site):
    run = site.submit(continue_on_step_failure=True)
    published = publish(site, run_id=run.id)
    assert (published.graph_id, published.continue_on_step_failure) == (run.graph_id, True)
    assert not publish(site, run_id=run.id, continue_on_step_failure=False).continue_on_step_failure


@pytest.mark.parametrize("fields", [{}, {"graph": Graph(steps=()), "run_id": "x"}])
def test_neither_and_both_are_refused(site, fields):
    with site.refuses(Invalid, "either a graph or the graph of a run"):
        publish(site, **fields)


def test_an_unknown_run_is_not_found(site):
    with site.refuses(NotFound, "no-such"):
        publish(site, run_id="no-such")


def wrong_graphs(step):
    """Graphs that cannot run, each with the words that say why."""
    away = Input(name="in", source=SourceKind.DATASTORE, datastore="away", path="x")
    folder = Parameter(
        name="folder", kind=ParameterKind.DATA_PATH, default={"datastore": "away", "path": None}
    )
    word = Argument(kind=ArgumentKind.PARAMETER, value="speed")
    return {
        "has no steps": Graph(steps=()),
        "circle": Graph(steps=(step("a", run_after=("b",)), step("b", run_after=("a",)))),
        "itself|circle": Graph(steps=(step("a", run_after=("a",)),)),
        "two step ids": Graph(steps=(step("a"), step("a"))),
        "two parameters of the name 'rate'": Graph(
            steps=(step("a"),), parameters=(RATE, replace(RATE, default=0.2))
        ),
        "no parameter of the pipeline": Graph(steps=(step("a", arguments=(word,)),)),
        "no script 'other.py'": Graph(steps=(step("a", script="other.py"),)),
        "names no script": Graph(steps=(step("a", script=None),)),
        "were not uploaded": Graph(steps=(step("a", snapshot_id="no-such"),)),
        "unknown step 'z'": Graph(steps=(step("a", run_after=("z",)),)),
        "no datastore 'away' in": Graph(steps=(step("a", inputs=(away,)),)),
        "datastore 'away'": Graph(
            steps=(step("a", outputs=(Output(name="out", datastore="away"),)),)
        ),
        "there is no datastore 'away'|no datastore 'away'": Graph(
            steps=(step("a"),), parameters=(folder,)
        ),
        "retries = -1": Graph(steps=(step("a", retries=-1),)),
        "timeout_seconds = 0": Graph(steps=(step("a", timeout_seconds=0),)),
    }


def test_a_graph_that_cannot_run_is_refused_by_every_door(site):
    for match, graph in wrong_graphs(site.step).items():
        with site.refuses(InvalidPipeline, match) as error:
            publish(site, graph=graph)
        assert error.value.details["errors"]
        with site.refuses(InvalidPipeline, match):
            site.call(runs.submit, wire.SubmitRequest(experiment="e", graph=graph))
        found = site.call(pipelines.check, graph)
        assert found == error.value.details["errors"]


def test_every_reason_is_told_at_once(site):
    graph = site.graph(site.step("a", script="x.py"), site.step("b", snapshot_id="gone"))
    with site.refuses(InvalidPipeline) as error:
        publish(site, graph=graph)
    assert [e["field"] for e in error.value.details["errors"]] == [
        "steps[a].script",
        "steps[b].snapshot_id",
    ]


def test_a_graph_that_can_run_has_no_problems(site):
    before = site.contents()
    assert site.call(pipelines.check, site.graph()) == []
    assert site.contents() == before


LONG = "x" * 256


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": LONG}, "name"),
        ({"name": "a\0"}, "name"),
        ({"description": "x" * 5001}, "description"),
        ({"version": LONG}, "version"),
    ],
)
def test_text_that_cannot_be_kept_is_refused(site, fields, field):
    with site.refuses(Invalid, field) as error:
        publish(site, graph=site.graph(), **fields)
    assert error.value.details["field"] == field


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": LONG}, "graph.steps.0.name"),
        ({"name": "a\0"}, "graph.steps.0.name"),
        ({"script": "train\0.py"}, "graph.steps.0.script"),
        (
            {"arguments": (Argument(kind=ArgumentKind.LITERAL, value="a\0b"),)},
            "graph.steps.0.arguments.0.value",
        ),
        (
            {"arguments": (Argument(kind=ArgumentKind.LITERAL, value="é" * 70_000),)},
            "graph.steps.0.arguments.0.value",
        ),
        ({"environment_variables": {"A": "\0"}}, "graph.steps.0.environment_variables.A"),
        (
            {"outputs": (Output(name="o", path="\udfff"),)},
            "graph.steps.0.outputs.0.path",
        ),
    ],
)
def test_text_deep_in_a_graph_is_refused_with_its_place(site, fields, field):
    with site.refuses(Invalid) as error:
        publish(site, graph=site.graph(site.step(**fields)))
    assert error.value.details["field"] == field


# ---- enabling and disabling ----------------------------------------------------------------------


def test_it_can_be_disabled_and_enabled_again(site):
    published = site.publish()
    at = site.later(seconds=1)
    disabled = site.call(pipelines.change_status, published.id, Status.DISABLED)
    assert disabled == replace(published, status=Status.DISABLED, updated_at=at)
    assert site.call(pipelines.change_status, published.id, Status.DISABLED) == disabled
    site.later(seconds=1)
    again = site.call(pipelines.change_status, published.id, Status.ACTIVE)
    assert again.status is Status.ACTIVE
    actions = [line for line in site.contents()["activity"] if published.id in line]
    assert len(actions) == 3


def test_an_active_schedule_keeps_it_and_is_named(site):
    published = site.publish()
    one = site.schedule(pipeline_id=published.id, name="one")
    site.later(seconds=1)
    two = site.schedule(pipeline_id=published.id, name="two")
    off = site.schedule(pipeline_id=published.id, name="off", status=Status.DISABLED)
    for status in (Status.DISABLED, Status.DEPRECATED):
        with site.refuses(InUse, f"'one' \\({one.id}\\), 'two' \\({two.id}\\)") as error:
            site.call(pipelines.change_status, published.id, status)
        assert error.value.details["schedules"] == [
            {"id": one.id, "name": "one"},
            {"id": two.id, "name": "two"},
        ]
        assert off.id not in error.value.message
    for schedule in (one, two):
        site.update(schedule.id, status=Status.DISABLED)
    assert site.call(pipelines.change_status, published.id, Status.DISABLED).status == "Disabled"


# ---- reading -------------------------------------------------------------------------------------


def test_an_unknown_id_is_not_found(site):
    for verb, arguments in (
        (pipelines.get, ("no-such",)),
        (pipelines.change_status, ("no-such", Status.DISABLED)),
        (pipelines.graph_of, ("no-such",)),
    ):
        with site.refuses(NotFound, "no-such"):
            site.call(verb, *arguments)


def test_a_page_shows_the_active_ones_unless_told_otherwise(site):
    on, off = site.publish(name="on"), site.publish(name="off")
    site.call(pipelines.change_status, off.id, Status.DISABLED)

    def ids(**filters):
        return {p.id for p in site.call(pipelines.list_page, **filters)[0]}

    assert ids() == {on.id}
    assert ids(active_only=False) == {on.id, off.id}
    assert ids(active_only=False, name="off") == {off.id}


def test_another_workspace_sees_nothing(site):
    published = site.publish()
    site.workspace = replace(site.workspace, id=new_id())
    assert site.call(pipelines.list_page) == ([], None)
    with site.refuses(NotFound):
        site.call(pipelines.get, published.id)
    with site.refuses(NotFound):
        site.call(pipelines.graph_of, published.graph_id)
