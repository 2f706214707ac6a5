"""Valid values for tests: every field has one that does not matter, and any of them can be given.

Values that refer to each other fit by default: `a_schedule()` belongs to `a_workspace()` and starts
`a_pipeline()`, whose graph is GRAPH_ID. `stored` puts those three into a store.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from penstock import wire
from penstock.core.due import CatchUp, Outcome, Overlap
from penstock.core.model import (
    Activity,
    DataChange,
    Datastore,
    Experiment,
    Fire,
    PublishedPipeline,
    Run,
    Schedule,
    Snapshot,
    SnapshotFile,
    Status,
    StepRun,
    Timer,
    Workspace,
)
from penstock.core.pipeline import Graph, Step
from penstock.core.recurrence import Frequency, Recurrence
from penstock.core.states import RunState, StepState
from penstock.store import pipelines, workspaces
from penstock.store.database import Transaction, new_id

NOW = datetime(2024, 3, 1, 12, 0, tzinfo=UTC)
WORKSPACE_ID = "11111111-1111-4111-8111-111111111111"
PIPELINE_ID = "22222222-2222-4222-8222-222222222222"
GRAPH_ID = "33333333-3333-4333-8333-333333333333"


def a_workspace(**fields: Any) -> Workspace:
    """Return a workspace named `home`."""
    workspace = Workspace(
        id=WORKSPACE_ID,
        name="home",
        subscription_id="sub",
        resource_group="group",
        default_datastore="workspaceblobstore",
        created_at=NOW,
    )
    return replace(workspace, **fields)


def an_experiment(**fields: Any) -> Experiment:
    """Return an experiment named `training`."""
    experiment = Experiment(id=new_id(), workspace_id=WORKSPACE_ID, name="training", created_at=NOW)
    return replace(experiment, **fields)


def a_datastore(**fields: Any) -> Datastore:
    """Return a datastore that is a directory."""
    datastore = Datastore(
        id=new_id(),
        workspace_id=WORKSPACE_ID,
        name="workspaceblobstore",
        kind="local_directory",
        config={"path": "/data"},
        created_at=NOW,
    )
    return replace(datastore, **fields)


def a_snapshot(**fields: Any) -> Snapshot:
    """Return a snapshot of one file, train.py."""
    snapshot = Snapshot(
        id=new_id(),
        workspace_id=WORKSPACE_ID,
        files=(SnapshotFile(path="train.py", sha256="ab" * 32, size=10),),
        created_at=NOW,
    )
    return replace(snapshot, **fields)


def a_step(**fields: Any) -> Step:
    """Return a step that runs train.py."""
    step = Step(id="train", name="train", script="train.py", snapshot_id=new_id())
    return replace(step, **fields)


def a_graph(**fields: Any) -> Graph:
    """Return a graph of one step."""
    return replace(Graph(steps=(a_step(),)), **fields)


def a_pipeline(**fields: Any) -> PublishedPipeline:
    """Return an active published pipeline."""
    pipeline = PublishedPipeline(
        id=PIPELINE_ID,
        workspace_id=WORKSPACE_ID,
        name="nightly",
        description="",
        version=None,
        graph_id=GRAPH_ID,
        status=Status.ACTIVE,
        continue_on_step_failure=False,
        created_at=NOW,
        updated_at=NOW,
        created_by="admin",
        step_count=1,
    )
    return replace(pipeline, **fields)


def a_recurrence(**fields: Any) -> Recurrence:
    """Return a valid recurrence: every five minutes from NOW on."""
    wall = NOW.replace(tzinfo=None)
    rule = Recurrence(frequency=Frequency.MINUTE, interval=5, start_time=wall, anchor=wall)
    return replace(rule, **fields)


def a_data_change(**fields: Any) -> DataChange:
    """Return a data change that watches the folder `incoming`."""
    change = DataChange(
        datastore="workspaceblobstore",
        path="incoming",
        polling_minutes=5,
        data_path_parameter=None,
    )
    return replace(change, **fields)


def a_schedule(**fields: Any) -> Schedule:
    """Return an active schedule with a recurrence; with `data_change`, one without."""
    schedule = Schedule(
        id=new_id(),
        workspace_id=WORKSPACE_ID,
        name="every five minutes",
        description="",
        pipeline_id=PIPELINE_ID,
        pipeline_endpoint_id=None,
        experiment="training",
        parameters={},
        status=Status.ACTIVE,
        recurrence=None if fields.get("data_change") else a_recurrence(),
        data_change=None,
        continue_on_step_failure=None,
        catch_up=CatchUp.SKIP,
        catch_up_window_seconds=86_400.0,
        overlap=Overlap.ALLOW,
        run_on_create=True,
        next_fire_time=NOW,
        failures=0,
        quarantined_reason=None,
        created_at=NOW,
        updated_at=NOW,
        created_by="admin",
    )
    return replace(schedule, **fields)


def a_fire(**fields: Any) -> Fire:
    """Return the record of a fire at NOW."""
    fire = Fire(
        source_id=new_id(),
        fire_key="2024-03-01T12:00:00.000000Z",
        fire_time=NOW,
        fired_at=NOW,
        outcome=Outcome.FIRED,
        reason="it was due",
    )
    return replace(fire, **fields)


def a_run(**fields: Any) -> Run:
    """Return a run that has not started."""
    run = Run(
        id=new_id(),
        workspace_id=WORKSPACE_ID,
        experiment="training",
        graph_id=GRAPH_ID,
        pipeline_id=None,
        state=RunState.NOT_STARTED,
        source="SDK",
        schedule_id=None,
        fire_time=None,
        cause="submitted by admin",
        is_queued=False,
        parent_run_id=None,
        description="",
        parameters={},
        continue_on_step_failure=False,
        regenerate_outputs=False,
        tags={},
        properties={},
        cancel_requested_at=None,
        error=None,
        created_at=NOW,
        created_by="admin",
    )
    return replace(run, **fields)


def a_step_run(**fields: Any) -> StepRun:
    """Return a step run that has not started."""
    step_run = StepRun(
        id=new_id(),
        run_id=new_id(),
        step_id="train",
        name="train",
        state=StepState.NOT_STARTED,
        attempt=0,
        attempts_lost=0,
        compute="local",
        available_at=None,
        queued_at=None,
        started_at=None,
        ended_at=None,
        exit_code=None,
        error=None,
        tags={},
        properties={},
    )
    return replace(step_run, **fields)


def a_timer(**fields: Any) -> Timer:
    """Return a schedule's timer, due at NOW."""
    timer = Timer(kind="schedule", subject_id=new_id(), due_at=NOW, token=1, attempts=0)
    return replace(timer, **fields)


def an_activity(**fields: Any) -> Activity:
    """Return the line about the creation of a schedule."""
    line = Activity(
        id=new_id(),
        workspace_id=WORKSPACE_ID,
        at=NOW,
        actor="admin",
        action="schedule.create",
        subject_kind="schedule",
        subject_id=new_id(),
        detail={},
    )
    return replace(line, **fields)


def stored(tx: Transaction) -> None:
    """Store what most rows refer to: the workspace, the graph and the published pipeline."""
    workspaces.insert(tx, a_workspace())
    pipelines.put_graph(tx, GRAPH_ID, WORKSPACE_ID, wire.GRAPH.dump_json(a_graph()).decode(), NOW)
    pipelines.insert(tx, a_pipeline())
