"""The documents on the wire: what they refuse, what they ignore, and that they carry the values."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from inspect import getmembers, isclass

import pytest
from pydantic import ValidationError

from penstock import wire
from penstock.core.due import CatchUp, Outcome, Overlap
from penstock.core.model import (
    DataChange,
    Experiment,
    Fire,
    Metric,
    PublishedPipeline,
    Run,
    Schedule,
    Status,
    StepRun,
    Workspace,
)
from penstock.core.recurrence import Frequency, Occurrence, Recurrence
from penstock.core.states import RunState, StepState

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DAILY = Recurrence(frequency=Frequency.DAY, interval=1, hours=(7,))

VALUES = {
    wire.WorkspaceDocument: Workspace(
        id="w",
        name="main",
        subscription_id="s",
        resource_group="g",
        default_datastore="workspaceblobstore",
        created_at=AT,
    ),
    wire.ExperimentDocument: Experiment(
        id="e", workspace_id="w", name="exp", created_at=AT, tags={"a": "b"}
    ),
    wire.PublishedPipelineDocument: PublishedPipeline(
        id="p",
        workspace_id="w",
        name="score",
        description="",
        version=None,
        graph_id="g",
        status=Status.ACTIVE,
        continue_on_step_failure=False,
        created_at=AT,
        updated_at=AT,
        created_by="admin",
        step_count=2,
    ),
    wire.ScheduleDocument: Schedule(
        id="s",
        workspace_id="w",
        name="daily",
        description="",
        pipeline_id="p",
        pipeline_endpoint_id=None,
        experiment="exp",
        parameters={"rate": 0.1},
        status=Status.DISABLED,
        recurrence=DAILY,
        data_change=None,
        continue_on_step_failure=None,
        catch_up=CatchUp.LATEST,
        catch_up_window_seconds=60.0,
        overlap=Overlap.QUEUE,
        run_on_create=True,
        next_fire_time=None,
        failures=5,
        quarantined_reason="five failures",
        created_at=AT,
        updated_at=AT,
        created_by="admin",
    ),
    wire.FireDocument: Fire(
        source_id="s",
        fire_key="2026",
        fire_time=AT,
        fired_at=AT,
        outcome=Outcome.MISSED,
        reason="the server was down",
        count=3,
        through_time=AT,
    ),
    wire.OccurrenceDocument: Occurrence(
        fire_time=None, nominal_time=AT.replace(tzinfo=None), local_time=None, mark="dropped"
    ),
    wire.RunDocument: Run(
        id="r",
        workspace_id="w",
        experiment="exp",
        graph_id="g",
        pipeline_id=None,
        state=RunState.RUNNING,
        source="SDK",
        schedule_id=None,
        fire_time=None,
        cause="submitted by admin",
        is_queued=False,
        parent_run_id=None,
        description="",
        parameters={"path": {"datastore": "d", "path": None}},
        continue_on_step_failure=True,
        regenerate_outputs=False,
        tags={"a": "b"},
        properties={},
        cancel_requested_at=None,
        error=None,
        created_at=AT,
        created_by="admin",
        started_at=AT,
    ),
    wire.StepRunDocument: StepRun(
        id="t",
        run_id="r",
        step_id="a",
        name="train",
        state=StepState.BYPASSED,
        attempt=1,
        attempts_lost=0,
        compute="local",
        available_at=None,
        queued_at=AT,
        started_at=None,
        ended_at=AT,
        exit_code=None,
        error=None,
        tags={},
        properties={},
    ),
    wire.MetricDocument: Metric(
        run_id="r", name="loss", sequence=0, kind="scalar", value=0.5, step=None, logged_at=AT
    ),
}
EXTRA = {wire.PublishedPipelineDocument: {"endpoint": "http://127.0.0.1:8710/p"}}


@pytest.mark.parametrize("document", VALUES, ids=lambda d: d.__name__)
class TestADocumentOfAValue:
    def test_carries_its_fields(self, document):
        value = VALUES[document]
        made = document.of(value, **EXTRA.get(document, {}))
        for field in fields(value):
            if field.name in document.model_fields:
                assert getattr(made, field.name) == getattr(value, field.name)

    def test_leaves_out_only_the_workspace(self, document):
        missing = {f.name for f in fields(VALUES[document])} - set(document.model_fields)
        assert missing <= {"workspace_id"}

    def test_comes_out_of_json_as_it_went_in(self, document):
        made = document.of(VALUES[document], **EXTRA.get(document, {}))
        assert document.model_validate_json(made.model_dump_json()) == made


def of_kind(kind):
    found = [c for _, c in getmembers(wire, isclass) if issubclass(c, kind) and c is not kind]
    return [c for c in found if c.__module__ == "penstock.wire"]


def test_every_document_of_a_value_has_an_example_above():
    assert {d for d in of_kind(wire.Document) if hasattr(d, "of")} == set(VALUES)


@pytest.mark.parametrize("request_class", of_kind(wire.Request), ids=lambda c: c.__name__)
def test_a_request_refuses_an_unknown_key(request_class):
    with pytest.raises(ValidationError) as caught:
        request_class.model_validate({"mispelled": 1})
    wrong = {error["loc"]: error["type"] for error in caught.value.errors()}
    assert wrong[("mispelled",)] == "extra_forbidden"


@pytest.mark.parametrize("document", of_kind(wire.Document), ids=lambda c: c.__name__)
def test_a_document_ignores_an_unknown_key(document):
    assert document.model_config["extra"] == "ignore"


STEP = {"id": "a", "name": "a", "script": "a.py"}


@pytest.mark.parametrize(
    ("request_class", "body", "where"),
    [
        (
            wire.PreviewRequest,
            {"recurrence": {"frequency": "Day", "interval": 1, "hour": [7]}},
            ("recurrence", "hour"),
        ),
        (
            wire.ScheduleDraft,
            {"name": "n", "experiment": "e", "data_change": {"datastore": "d", "folder": "f"}},
            ("data_change", "folder"),
        ),
        (
            wire.SubmitRequest,
            {"experiment": "e", "graph": {"steps": [STEP], "params": []}},
            ("graph", "params"),
        ),
        (
            wire.SubmitRequest,
            {"experiment": "e", "graph": {"steps": [{**STEP, "retry": 3}]}},
            ("graph", "steps", 0, "retry"),
        ),
        (
            wire.SnapshotDraft,
            {"files": [{"path": "a", "sha256": "0", "size": 1, "mode": 7}]},
            ("files", 0, "mode"),
        ),
    ],
)
def test_a_request_refuses_an_unknown_key_deep_inside(request_class, body, where):
    with pytest.raises(ValidationError) as caught:
        request_class.model_validate(body)
    assert where in [error["loc"] for error in caught.value.errors()]


def test_an_older_client_reads_the_recurrence_of_a_newer_server():
    document = wire.ScheduleDocument.of(VALUES[wire.ScheduleDocument]).model_dump(mode="json")
    document["recurrence"]["calendar"] = "bank holidays"
    assert wire.ScheduleDocument.model_validate(document).recurrence == DAILY


@pytest.mark.parametrize("word", ["Hourly", "day", "", None])
def test_a_frequency_is_one_of_five_words(word):
    with pytest.raises(ValidationError, match="'Minute', 'Hour', 'Day', 'Week' or 'Month'"):
        wire.RECURRENCE.validate_python({"frequency": word, "interval": 1})


def test_a_schedule_draft_is_active_and_takes_its_parts_as_they_are():
    change = DataChange(datastore="d", path=None, polling_minutes=5, data_path_parameter=None)
    draft = wire.ScheduleDraft(name="n", experiment="e", recurrence=DAILY, data_change=change)
    assert draft.status is Status.ACTIVE
    assert draft.recurrence is DAILY
    assert draft.data_change is change


@pytest.mark.parametrize(
    ("state", "cancel_requested_at", "word"),
    [
        (RunState.RUNNING, None, "Running"),
        (RunState.RUNNING, AT, "CancelRequested"),
        (RunState.CANCELED, AT, "Canceled"),
        (RunState.FINISHED, None, "Completed"),
    ],
)
def test_a_run_document_has_both_words_for_its_state(state, cancel_requested_at, word):
    run = {f.name: getattr(VALUES[wire.RunDocument], f.name) for f in fields(Run)}
    document = wire.RunDocument.of(
        Run(**{**run, "state": state, "cancel_requested_at": cancel_requested_at})
    )
    assert (document.state, document.history_status) == (state, word)


def test_the_last_page_has_no_next():
    page = wire.Page[wire.FileDocument].model_validate({"items": [{"path": "a", "size": 1}]})
    assert page.next is None
    assert page.items == [wire.FileDocument(path="a", size=1)]
