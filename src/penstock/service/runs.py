"""Submitting runs, and reading, cancelling and annotating them.

`submit` is the one door: the SDK, the command line, REST and every trigger end here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from penstock import wire
from penstock.core.access import Actor
from penstock.core.model import (
    Metric,
    PublishedPipeline,
    Run,
    Status,
    StepRun,
    Workspace,
)
from penstock.core.pipeline import (
    Graph,
    Output,
    ParameterKind,
    resolve_parameters,
)
from penstock.core.states import RUN_ENDS, RunState
from penstock.errors import Conflict, Invalid, InvalidParameters, NotFound
from penstock.service import limits, pipelines, workspaces
from penstock.service.access import require
from penstock.store import activity, timers
from penstock.store import metrics as metric_rows
from penstock.store import pipelines as pipeline_rows
from penstock.store import runs as rows
from penstock.store import steps as step_rows
from penstock.store import workspaces as workspace_rows
from penstock.store.database import AlreadyThere, Transaction, new_id


def submit(
    tx: Transaction,
    actor: Actor,
    workspace: Workspace,
    request: wire.SubmitRequest,
    *,
    now: datetime,
    submission_key: str | None = None,
) -> Run:
    """Ask for a run; it starts as soon as a daemon sees it.

    A submission that repeats a `submission_key` answers the first run and starts nothing.

    Args:
        tx: the transaction.
        actor: who asks.
        workspace: where.
        request: a graph or a published pipeline, and its parameters.
        now: the present instant.
        submission_key: the caller's name for this submission.

    Raises:
        Invalid: neither or both of `graph` and `pipeline_id`; a bad experiment name; text that
            cannot be stored, or too much of it.
        InvalidPipeline: the graph cannot run.
        InvalidParameters: unknown parameters, wrong types, unknown datastores; all of them at once.
        NotFound: there is no such published pipeline or parent run.
        Conflict: the published pipeline is disabled.
    """
    require(actor, "run.submit", workspace_id=workspace.id)
    limits.check(request)
    if submission_key is not None:
        earlier = rows.find_by_submission_key(tx, workspace.id, submission_key)
        if earlier is not None:
            return earlier
    published, graph_id, graph = _target(tx, workspace, request, now)
    if request.parent_run_id is not None:
        rows.get(tx, workspace.id, request.parent_run_id)
    workspaces.ensure_experiment(tx, actor, workspace, request.experiment, now)
    values = resolve_parameters(graph, request.parameters)
    check_data_paths(tx, workspace, graph, values)
    run = compose(
        workspace_id=workspace.id,
        experiment=request.experiment,
        graph_id=graph_id,
        published=published,
        parameters=values,
        continue_on_step_failure=request.continue_on_step_failure,
        source=request.source,
        cause=f"submitted by {actor.name} ({request.source})",
        created_by=actor.name,
        now=now,
        regenerate_outputs=request.regenerate_outputs,
        parent_run_id=request.parent_run_id,
        description=request.description,
        tags=request.tags,
        properties=request.properties,
    )
    try:
        with tx.savepoint():
            rows.insert(tx, run, submission_key)
    except AlreadyThere:  # the same submission came twice at once, and the other was quicker
        return _submitted(tx, workspace, submission_key)
    timers.arm(tx, "run", run.id, now)
    _note(tx, actor, run, "run.submit", now)
    return run


def _submitted(tx: Transaction, workspace: Workspace, submission_key: str | None) -> Run:
    run = rows.find_by_submission_key(tx, workspace.id, submission_key or "")
    assert run is not None, "only the submission key can have been there"
    return run


def compose(
    *,
    workspace_id: str,
    experiment: str,
    graph_id: str,
    published: PublishedPipeline | None,
    parameters: Mapping[str, Any],
    continue_on_step_failure: bool | None,
    source: str,
    cause: str,
    created_by: str,
    now: datetime,
    schedule_id: str | None = None,
    fire_time: datetime | None = None,
    is_queued: bool = False,
    regenerate_outputs: bool = False,
    parent_run_id: str | None = None,
    description: str = "",
    tags: Mapping[str, str] | None = None,
    properties: Mapping[str, str] | None = None,
) -> Run:
    """Return a new run that has not started; the submitted `continue_on_step_failure` wins over
    the published one."""
    should_continue = continue_on_step_failure
    if should_continue is None:
        should_continue = published is not None and published.continue_on_step_failure
    return Run(
        id=new_id(),
        workspace_id=workspace_id,
        experiment=experiment,
        graph_id=graph_id,
        pipeline_id=published.id if published else None,
        state=RunState.NOT_STARTED,
        source=source,
        schedule_id=schedule_id,
        fire_time=fire_time,
        cause=cause,
        is_queued=is_queued,
        parent_run_id=parent_run_id,
        description=description,
        parameters=parameters,
        continue_on_step_failure=should_continue,
        regenerate_outputs=regenerate_outputs,
        tags=tags or {},
        properties=properties or {},
        cancel_requested_at=None,
        error=None,
        created_at=now,
        created_by=created_by,
    )


def checked_active(published: PublishedPipeline) -> PublishedPipeline:
    """Return `published` if it may be run; raise Conflict if it is disabled."""
    if published.status is Status.DISABLED:
        raise Conflict(
            f"The published pipeline {published.name!r} ({published.id}) is disabled. "
            "Enable it first.",
            kind="pipeline",
            id=published.id,
        )
    return published


def _target(
    tx: Transaction, workspace: Workspace, request: wire.SubmitRequest, now: datetime
) -> tuple[PublishedPipeline | None, str, Graph]:
    if (request.graph is None) == (request.pipeline_id is None):
        raise Invalid("Submit either a graph or a published pipeline.", field="pipeline_id")
    if request.graph is not None:
        return None, pipelines.keep_graph(tx, workspace, request.graph, now), request.graph
    published = pipeline_rows.get(tx, workspace.id, request.pipeline_id or "")
    checked_active(published)
    graph = pipelines.load_graph(tx, workspace.id, published.graph_id)
    return published, published.graph_id, graph


def check_data_paths(
    tx: Transaction, workspace: Workspace, graph: Graph, values: Mapping[str, Any]
) -> None:
    """Refuse parameters that hold a path on a datastore that is not in the workspace."""
    known: set[str] | None = None
    found = []
    for parameter in graph.parameters:
        if parameter.kind is not ParameterKind.DATA_PATH:
            continue
        if known is None:
            known = {d.name for d in workspace_rows.list_datastores(tx, workspace.id)}
        name = values[parameter.name]["datastore"]
        if name not in known:
            message = f"Parameter {parameter.name!r}: there is no datastore {name!r}."
            found.append({"field": f"parameters.{parameter.name}", "message": message})
    if found:
        raise InvalidParameters(" ".join(p["message"] for p in found), errors=found)


# ---- reading -------------------------------------------------------------------------------------


def get(tx: Transaction, actor: Actor, workspace: Workspace, id: str) -> Run:
    """Return a run; raise NotFound if there is none of that id."""
    require(actor, "run.read", workspace_id=workspace.id)
    return rows.get(tx, workspace.id, id)


def list_page(
    tx: Transaction,
    actor: Actor,
    workspace: Workspace,
    *,
    experiment: str | None = None,
    pipeline_id: str | None = None,
    schedule_id: str | None = None,
    states: Sequence[RunState] | None = None,
    parent_run_id: str | None = None,
    tags: Mapping[str, str | None] | None = None,
    after: str | None = None,
    limit: int = 100,
) -> tuple[Sequence[Run], str | None]:
    """Return a page of runs, newest first; each filter that is None lets everything through."""
    require(actor, "run.read", workspace_id=workspace.id)
    return rows.list(
        tx,
        workspace.id,
        experiment=experiment,
        pipeline_id=pipeline_id,
        schedule_id=schedule_id,
        states=states,
        parent_run_id=parent_run_id,
        tags=tags,
        after=after,
        limit=limit,
    )


def steps(tx: Transaction, actor: Actor, workspace: Workspace, run_id: str) -> list[StepRun]:
    """Return the step runs of a run in the order of its graph; [] before it has started."""
    run = get(tx, actor, workspace, run_id)
    order = {step.id: place for place, step in enumerate(_graph(tx, run).steps)}
    found = step_rows.for_runs(tx, [run.id]).get(run.id, [])
    return sorted(found, key=lambda step_run: order[step_run.step_id])


def get_step(tx: Transaction, actor: Actor, workspace: Workspace, step_run_id: str) -> StepRun:
    """Return a step run; raise NotFound if there is none of that id in the workspace."""
    return _step_and_run(tx, actor, workspace, step_run_id)[0]


def outputs(
    tx: Transaction, actor: Actor, workspace: Workspace, step_run_id: str
) -> list[wire.OutputDocument]:
    """Return where the outputs of a step run lie, whether or not they have been written yet."""
    step_run, run = _step_and_run(tx, actor, workspace, step_run_id)
    step = _graph(tx, run).by_id[step_run.step_id]
    return [
        wire.OutputDocument(
            name=output.name,
            datastore=output.datastore or workspace.default_datastore,
            path=output_path(output, step_run.id),
            pipeline_output_name=output.pipeline_output_name,
        )
        for output in step.outputs
    ]


def output_path(output: Output, step_run_id: str) -> str:
    """Return where an output lies on its datastore; one without a path of its own gets a fresh
    folder per run."""
    return output.path or f"azureml/{step_run_id}/{output.name}"


def _graph(tx: Transaction, run: Run) -> Graph:
    return pipelines.load_graph(tx, run.workspace_id, run.graph_id)


def _step_and_run(
    tx: Transaction, actor: Actor, workspace: Workspace, step_run_id: str
) -> tuple[StepRun, Run]:
    require(actor, "run.read", workspace_id=workspace.id)
    step_run = step_rows.find(tx, step_run_id)
    run = rows.find(tx, step_run.run_id) if step_run else None
    if step_run is None or run is None or run.workspace_id != workspace.id:
        raise NotFound(kind="step run", id=step_run_id)
    return step_run, run


# ---- changing ------------------------------------------------------------------------------------


def cancel(
    tx: Transaction,
    actor: Actor,
    workspace: Workspace,
    id: str,
    now: datetime,
) -> Run:
    """Ask for a run to be cancelled; a run that has ended stays as it is, and asking twice is
    asking once."""
    require(actor, "run.cancel", workspace_id=workspace.id)
    run = rows.get(tx, workspace.id, id)
    if run.state in RUN_ENDS:
        return run
    # First the timer, then the run, as the daemon does: so neither waits for the other.
    timers.arm(tx, "run", id, now)
    if rows.request_cancel(tx, id, now):
        _note(tx, actor, run, "run.cancel", now)
    return rows.get(tx, workspace.id, id)


def change(
    tx: Transaction,
    actor: Actor,
    workspace: Workspace,
    id: str,
    changes: wire.RunChanges,
    now: datetime,
) -> Run:
    """Set or remove tags, add properties, set the description of a run.

    Raises:
        Conflict: a property is already there with another value; properties are never changed.
        Invalid: text that cannot be stored, or too many tags or properties.
    """
    limits.check(changes)
    tx.lock(f"notes/{id}")  # two who add a tag each must not lose one
    run = get(tx, actor, workspace, id)
    require(actor, "run.write", workspace_id=workspace.id, run_id=id)
    rows.set_notes(
        tx,
        id,
        tags=_changed_tags(run.tags, changes),
        properties=_added_properties(run.properties, changes),
        description=changes.description,
    )
    return rows.get(tx, workspace.id, id)


def change_step(
    tx: Transaction,
    actor: Actor,
    workspace: Workspace,
    step_run_id: str,
    changes: wire.RunChanges,
    now: datetime,
) -> StepRun:
    """Set or remove tags and add properties of a step run; see `change`."""
    limits.check(changes)
    tx.lock(f"notes/{step_run_id}")
    step_run, run = _step_and_run(tx, actor, workspace, step_run_id)
    require(actor, "run.write", workspace_id=workspace.id, run_id=run.id)
    step_rows.set_notes(
        tx,
        step_run_id,
        tags=_changed_tags(step_run.tags, changes),
        properties=_added_properties(step_run.properties, changes),
    )
    return get_step(tx, actor, workspace, step_run_id)


def _changed_tags(tags: Mapping[str, str], changes: wire.RunChanges) -> dict[str, str] | None:
    if changes.tags is None and not changes.removed_tags:
        return None
    kept = {name: value for name, value in tags.items() if name not in changes.removed_tags}
    changed = kept | (changes.tags or {})
    limits.check_notes("tags", changed)
    return changed


def _added_properties(
    properties: Mapping[str, str], changes: wire.RunChanges
) -> dict[str, str] | None:
    if changes.properties is None:
        return None
    for name, value in changes.properties.items():
        if properties.get(name, value) != value:
            raise Conflict(
                f"The property {name!r} is {properties[name]!r} already; "
                "properties cannot be changed.",
                field=f"properties.{name}",
                value=value,
            )
    added = {**properties, **changes.properties}
    limits.check_notes("properties", added)
    return added


# ---- metrics -------------------------------------------------------------------------------------


def log_metrics(
    tx: Transaction,
    actor: Actor,
    workspace: Workspace,
    id: str,
    request: wire.MetricsRequest,
    now: datetime,
) -> None:
    """Append values to the metrics of a run or step run; a name logged again becomes a series."""
    pipeline_run_id = _owner(tx, actor, workspace, id)
    require(actor, "run.write", workspace_id=workspace.id, run_id=pipeline_run_id)
    limits.check(request)
    drafts = [(m.name, m.kind, m.value, m.step) for m in request.metrics]
    metric_rows.append(tx, id, drafts, now)


def metrics(
    tx: Transaction,
    actor: Actor,
    workspace: Workspace,
    id: str,
    *,
    recursive: bool = False,
    name: str | None = None,
) -> Sequence[Metric]:
    """Return what was logged to a run or step run, and with `recursive` to the steps of a run as
    well."""
    owner = _owner(tx, actor, workspace, id)
    ids = [id]
    if recursive and owner == id:
        ids += [step_run.id for step_run in step_rows.for_runs(tx, [id]).get(id, [])]
    return metric_rows.list(tx, ids, name=name)


def _owner(tx: Transaction, actor: Actor, workspace: Workspace, id: str) -> str:
    """Return the pipeline run that `id`, a run or a step run, belongs to."""
    require(actor, "run.read", workspace_id=workspace.id)
    run = rows.find(tx, id)
    if run is not None and run.workspace_id == workspace.id:
        return run.id
    return _step_and_run(tx, actor, workspace, id)[1].id


def _note(tx: Transaction, actor: Actor, run: Run, action: str, now: datetime) -> None:
    activity.record(
        tx,
        workspace_id=run.workspace_id,
        at=now,
        actor=actor.name,
        action=action,
        subject_kind="run",
        subject_id=run.id,
        detail={"experiment": run.experiment},
    )
