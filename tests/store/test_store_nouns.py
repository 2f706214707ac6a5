"""Every noun comes back from the store as it went in."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.builders import (
    GRAPH_ID,
    NOW,
    PIPELINE_ID,
    WORKSPACE_ID,
    a_data_change,
    a_datastore,
    a_fire,
    a_pipeline,
    a_run,
    a_schedule,
    a_snapshot,
    a_step_run,
    a_workspace,
    an_experiment,
    stored,
)

from penstock.core.due import CatchUp, Outcome, Overlap
from penstock.core.model import Metric, Schedule, SnapshotFile, Status
from penstock.core.recurrence import (
    FoldPolicy,
    Frequency,
    GapPolicy,
    MonthEndPolicy,
    Recurrence,
)
from penstock.core.states import RunState, StepState
from penstock.errors import NotFound
from penstock.store import activity, fires, metrics, pipelines, runs, schedules, steps, workspaces
from penstock.store.database import Store, Transaction, new_id

# Anything JSON can carry; the keys in no order.
DOCUMENT = {"z": 1, "a": [None, True, 1.5, "ü\n\0"], "": {"deep": {"er": []}}, "big": 2**60}
TEXTS = {"owner": "Zoë", "empty": "", "quote": "a'b\"c", "%(name)s": ":name ?"}
MOMENTS = [
    datetime(2024, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC) + timedelta(microseconds=n)
    for n in range(8)
]


def test_workspaces(store: Store) -> None:
    first, second = a_workspace(), a_workspace(id=new_id(), name="another", created_at=MOMENTS[0])
    with store.begin() as tx:
        workspaces.insert(tx, first)
        workspaces.insert(tx, second)
    with store.read() as tx:
        assert workspaces.get(tx, "home") == first
        assert workspaces.get_by_id(tx, second.id) == second
        assert workspaces.list(tx) == [second, first]
        assert workspaces.find(tx, "Home") is None


def test_experiments(store: Store) -> None:
    experiment = an_experiment(tags=TEXTS, archived_at=MOMENTS[1])
    with store.begin() as tx:
        stored(tx)
        assert workspaces.ensure(tx, experiment) == experiment
        assert workspaces.ensure(tx, an_experiment()) == experiment
        assert workspaces.get_experiment(tx, WORKSPACE_ID, "training") == experiment
        changed = replace(experiment, tags={}, archived_at=None)
        workspaces.update_experiment(tx, changed)
        assert workspaces.find_experiment(tx, WORKSPACE_ID, "training") == changed


def test_datastores(store: Store) -> None:
    first = a_datastore(config=DOCUMENT)
    second = a_datastore(name="archive", kind="another", created_at=MOMENTS[0])
    with store.begin() as tx:
        stored(tx)
        workspaces.insert_datastore(tx, first)
        workspaces.insert_datastore(tx, second)
        assert workspaces.get_datastore(tx, WORKSPACE_ID, first.name) == first
        assert workspaces.list_datastores(tx, WORKSPACE_ID) == [second, first]
        assert workspaces.list_datastores(tx, "another workspace") == []


def test_snapshots(store: Store) -> None:
    files = (
        SnapshotFile(path="ü/run.sh", sha256="0" * 64, size=2**40, is_executable=True),
        SnapshotFile(path="a.py", sha256="1" * 64, size=0),
    )
    snapshot = a_snapshot(files=files)
    with store.begin() as tx:
        stored(tx)
        pipelines.put_snapshot(tx, snapshot)
        pipelines.put_snapshot(tx, replace(snapshot, created_at=MOMENTS[0]))
        assert pipelines.get_snapshot(tx, WORKSPACE_ID, snapshot.id) == snapshot
        assert pipelines.find_snapshot(tx, "another workspace", snapshot.id) is None


def test_graphs(store: Store) -> None:
    with store.begin() as tx:
        stored(tx)
        pipelines.put_graph(tx, "g", WORKSPACE_ID, '{"first": 1}', NOW)
        pipelines.put_graph(tx, "g", WORKSPACE_ID, '{"second": 2}', NOW)
        assert pipelines.get_graph_text(tx, WORKSPACE_ID, "g") == '{"first": 1}'


def test_published_pipelines(store: Store) -> None:
    pipeline = a_pipeline(
        id=new_id(),
        name="ü",
        description="long\ntext",
        version="1.0",
        status=Status.DEPRECATED,
        continue_on_step_failure=True,
        created_at=MOMENTS[0],
        updated_at=MOMENTS[1],
        created_by="someone",
        step_count=7,
    )
    with store.begin() as tx:
        stored(tx)
        pipelines.insert(tx, pipeline)
        assert pipelines.get(tx, WORKSPACE_ID, pipeline.id) == pipeline
        assert pipelines.get(tx, WORKSPACE_ID, PIPELINE_ID) == a_pipeline()
        pipelines.set_status(tx, pipeline.id, Status.DISABLED, MOMENTS[2])
        changed = replace(pipeline, status=Status.DISABLED, updated_at=MOMENTS[2])
        assert pipelines.find(tx, WORKSPACE_ID, pipeline.id) == changed


RULE = Recurrence(
    frequency=Frequency.WEEK,
    interval=3,
    start_time=datetime(2024, 1, 1, 8, 30),  # noqa: DTZ001 - wall time
    time_zone="W. Europe Standard Time",
    hours=(1, 23),
    minutes=(0, 59),
    week_days=("Monday", "Sunday"),
    gap=GapPolicy.SKIP,
    fold=FoldPolicy.BOTH,
    month_end=MonthEndPolicy.SKIP,
    anchor=datetime(2024, 1, 1, 8, 30),  # noqa: DTZ001 - wall time
)
SCHEDULES = [
    a_schedule(),
    a_schedule(
        name="ü",
        description="every\nthing",
        experiment="other",
        parameters=DOCUMENT,
        status=Status.DISABLED,
        recurrence=RULE,
        continue_on_step_failure=True,
        catch_up=CatchUp.ALL,
        catch_up_window_seconds=0.25,
        overlap=Overlap.CANCEL_PREVIOUS,
        run_on_create=False,
        next_fire_time=None,
        failures=4,
        quarantined_reason="it failed",
        created_at=MOMENTS[0],
        updated_at=MOMENTS[1],
        created_by="someone",
    ),
    a_schedule(data_change=a_data_change(path=None), next_fire_time=MOMENTS[2]),
    a_schedule(
        pipeline_id=None,
        pipeline_endpoint_id="endpoint",
        data_change=a_data_change(data_path_parameter="input"),
        continue_on_step_failure=False,
    ),
]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules(store: Store, schedule: Schedule) -> None:
    with store.begin() as tx:
        stored(tx)
        schedules.insert(tx, schedule)
        assert schedules.get(tx, WORKSPACE_ID, schedule.id) == schedule
        for other in SCHEDULES:
            changed = replace(
                other,
                id=schedule.id,
                created_at=schedule.created_at,
                created_by=schedule.created_by,
            )
            schedules.update(tx, changed)
            assert schedules.get_many(tx, [schedule.id]) == {schedule.id: changed}


def test_fires(store: Store) -> None:
    plain = a_fire()
    full = a_fire(
        fire_key="another",
        fire_time=MOMENTS[0],
        fired_at=MOMENTS[1],
        outcome=Outcome.MISSED,
        reason="the server\nwas down",
        run_id=new_id(),
        count=2**40,
        through_time=MOMENTS[2],
    )
    poll = a_fire(fire_time=None, outcome=Outcome.SKIPPED)
    with store.begin() as tx:
        assert fires.insert(tx, plain)
        fires.insert_many(tx, [full, poll])
        for fire in (plain, full, poll):
            assert fires.find(tx, fire.source_id, fire.fire_key) == fire
        assert fires.find(tx, plain.source_id, "another") is None


def test_runs(store: Store) -> None:
    plain = a_run()
    full = a_run(
        experiment="ü",
        pipeline_id=PIPELINE_ID,
        state=RunState.FAILED,
        source="Schedule",
        schedule_id=new_id(),
        fire_time=MOMENTS[0],
        cause="schedule 'x'",
        is_queued=True,
        parent_run_id=plain.id,
        description="long\ntext",
        parameters=DOCUMENT,
        continue_on_step_failure=True,
        regenerate_outputs=True,
        tags=TEXTS,
        properties={"only": "one"},
        cancel_requested_at=MOMENTS[1],
        error="it broke",
        created_at=MOMENTS[2],
        created_by="someone",
        started_at=MOMENTS[3],
        ended_at=MOMENTS[4],
    )
    with store.begin() as tx:
        stored(tx)
        runs.insert(tx, plain, "key")
        runs.insert_many(tx, [full])
        assert runs.get(tx, WORKSPACE_ID, full.id) == full
        assert runs.find(tx, plain.id) == plain
        assert runs.get_many(tx, [full.id, plain.id, "none"]) == {full.id: full, plain.id: plain}
        assert runs.find_by_submission_key(tx, WORKSPACE_ID, "key") == plain
        assert runs.find_by_submission_key(tx, "another workspace", "key") is None
        assert runs.find_by_submission_key(tx, WORKSPACE_ID, "another key") is None


def test_step_runs(store: Store) -> None:
    run = a_run()
    plain = a_step_run(run_id=run.id)
    full = a_step_run(
        run_id=run.id,
        step_id="score",
        name="ü",
        state=StepState.FAILED,
        attempt=3,
        attempts_lost=0,
        compute="cluster",
        available_at=MOMENTS[0],
        queued_at=MOMENTS[1],
        started_at=MOMENTS[2],
        ended_at=MOMENTS[3],
        exit_code=-9,
        error="killed",
        tags=TEXTS,
        properties={"only": "one"},
    )
    with store.begin() as tx:
        stored(tx)
        runs.insert(tx, run)
        steps.insert_many(tx, [plain, full])
        assert steps.get(tx, full.id) == full
        assert steps.find(tx, plain.id) == plain
        assert steps.get_many(tx, [plain.id, full.id, "none"]) == {plain.id: plain, full.id: full}
        assert steps.for_runs(tx, [run.id, "none"]) == {run.id: [full, plain], "none": []}


@pytest.mark.parametrize("value", [1, 0.1, "text", None, [1, 2], DOCUMENT, {}, True, -(2**60)])
def test_metrics(store: Store, value: Any) -> None:
    with store.begin() as tx:
        metrics.append(tx, "run", [("loss", "scalar", value, 2**40)], MOMENTS[0])
        assert metrics.list(tx, ["run"]) == [
            Metric(
                run_id="run",
                name="loss",
                sequence=0,
                kind="scalar",
                value=value,
                step=2**40,
                logged_at=MOMENTS[0],
            )
        ]


def test_activity(store: Store) -> None:
    with store.begin() as tx:
        activity.record(
            tx,
            workspace_id=WORKSPACE_ID,
            at=MOMENTS[0],
            actor="someone",
            action="run.cancel",
            subject_kind="run",
            subject_id="r",
            detail=DOCUMENT,
        )
        ((line,), following) = activity.list(tx, WORKSPACE_ID)
    assert following is None
    assert (line.at, line.actor, line.action) == (MOMENTS[0], "someone", "run.cancel")
    assert (line.subject_kind, line.subject_id, line.detail) == ("run", "r", DOCUMENT)


def get_another(tx: Transaction, kind: str) -> object:
    match kind:
        case "workspace":
            return workspaces.get(tx, "none")
        case "workspace id":
            return workspaces.get_by_id(tx, "none")
        case "experiment":
            return workspaces.get_experiment(tx, WORKSPACE_ID, "none")
        case "datastore":
            return workspaces.get_datastore(tx, WORKSPACE_ID, "none")
        case "published pipeline":
            return pipelines.get(tx, "another workspace", PIPELINE_ID)
        case "graph":
            return pipelines.get_graph_text(tx, "another workspace", GRAPH_ID)
        case "snapshot":
            return pipelines.get_snapshot(tx, WORKSPACE_ID, "none")
        case "schedule":
            return schedules.get(tx, WORKSPACE_ID, "none")
        case "run":
            return runs.get(tx, WORKSPACE_ID, "none")
        case _:
            return steps.get(tx, "none")


@pytest.mark.parametrize(
    "kind",
    [
        "workspace",
        "workspace id",
        "experiment",
        "datastore",
        "published pipeline",
        "graph",
        "snapshot",
        "schedule",
        "run",
        "step run",
    ],
)
def test_what_is_not_there_is_not_found(store: Store, kind: str) -> None:
    with store.begin() as tx:
        stored(tx)
    with store.read() as tx, pytest.raises(NotFound) as caught:
        get_another(tx, kind)
    assert caught.value.details["kind"] == kind.removesuffix(" id")


def test_nothing_is_found_in_another_workspace(store: Store) -> None:
    schedule, run = a_schedule(), a_run()
    with store.begin() as tx:
        stored(tx)
        schedules.insert(tx, schedule)
        runs.insert(tx, run)
        assert schedules.find(tx, "another workspace", schedule.id) is None
        assert runs.list(tx, "another workspace") == ([], None)
        with pytest.raises(NotFound):
            runs.get(tx, "another workspace", run.id)
