"""Publishing pipelines and reading their graphs."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from datetime import datetime

from penstock import wire
from penstock.core import pipeline
from penstock.core.access import Actor
from penstock.core.model import PublishedPipeline, Status, Workspace
from penstock.core.pipeline import Graph, ParameterKind, SourceKind
from penstock.errors import InUse, Invalid, InvalidPipeline
from penstock.service import limits
from penstock.service.access import require
from penstock.store import activity, runs, schedules
from penstock.store import pipelines as rows
from penstock.store import workspaces as workspace_rows
from penstock.store.database import Transaction, new_id


def publish(
    tx: Transaction, actor: Actor, workspace: Workspace, request: wire.PublishRequest, now: datetime
) -> PublishedPipeline:
    """Publish a graph, or the graph of a run. Nothing is started; each call makes a new published
    pipeline.

    Raises:
        Invalid: neither or both of `graph` and `run_id` are given; text that cannot be stored, or
            too much of it.
        InvalidPipeline: the graph cannot run; every reason is listed.
        NotFound: there is no such run.
    """
    require(actor, "pipeline.publish", workspace_id=workspace.id)
    limits.check(request)
    if (request.graph is None) == (request.run_id is None):
        raise Invalid("Publish either a graph or the graph of a run.", field="graph")
    should_continue = request.continue_on_step_failure
    if request.graph is not None:
        graph = request.graph
        graph_id = keep_graph(tx, workspace, graph, now)
    else:
        run = runs.get(tx, workspace.id, request.run_id or "")
        graph_id = run.graph_id
        graph = load_graph(tx, workspace.id, graph_id)
        if should_continue is None:
            should_continue = run.continue_on_step_failure
    published = PublishedPipeline(
        id=new_id(),
        workspace_id=workspace.id,
        name=request.name or f"Pipeline-{graph_id[:8]}",
        description=request.description or "",
        version=request.version,
        graph_id=graph_id,
        status=Status.ACTIVE,
        continue_on_step_failure=bool(should_continue),
        created_at=now,
        updated_at=now,
        created_by=actor.name,
        step_count=len(graph.steps),
    )
    rows.insert(tx, published)
    _note(tx, actor, published, "pipeline.publish", now)
    return published


def get(tx: Transaction, actor: Actor, workspace: Workspace, id: str) -> PublishedPipeline:
    """Return a published pipeline; raise NotFound if there is none of that id."""
    require(actor, "pipeline.read", workspace_id=workspace.id)
    return rows.get(tx, workspace.id, id)


def list_page(
    tx: Transaction,
    actor: Actor,
    workspace: Workspace,
    *,
    active_only: bool = True,
    name: str | None = None,
    after: str | None = None,
    limit: int = 100,
) -> tuple[Sequence[PublishedPipeline], str | None]:
    """Return a page of published pipelines, newest first."""
    require(actor, "pipeline.read", workspace_id=workspace.id)
    statuses = [Status.ACTIVE] if active_only else None
    return rows.list(tx, workspace.id, statuses=statuses, name=name, after=after, limit=limit)


def change_status(
    tx: Transaction,
    actor: Actor,
    workspace: Workspace,
    id: str,
    status: Status,
    now: datetime,
) -> PublishedPipeline:
    """Enable or disable a published pipeline; asking for the status it has changes nothing.

    Raises:
        InUse: it is to be disabled while active schedules refer to it; they are named.
    """
    require(actor, "pipeline.write", workspace_id=workspace.id)
    hold(tx, id)
    published = rows.get(tx, workspace.id, id)
    if published.status is status:
        return published
    if status is not Status.ACTIVE:
        _refuse_if_scheduled(tx, published)
    rows.set_status(tx, id, status, now)
    _note(
        tx, actor, published, f"pipeline.{'enable' if status is Status.ACTIVE else 'disable'}", now
    )
    return rows.get(tx, workspace.id, id)


def hold(tx: Transaction, id: str) -> None:
    """Keep the status of a published pipeline as it is until the transaction ends.

    For whoever decides by it: a schedule must not become active while its pipeline is disabled.
    """
    tx.lock(f"pipeline/{id}")


def _refuse_if_scheduled(tx: Transaction, published: PublishedPipeline) -> None:
    using = schedules.active_for_pipeline(tx, published.id)
    if using:
        names = ", ".join(f"{schedule.name!r} ({schedule.id})" for schedule in using)
        raise InUse(
            f"The published pipeline {published.name!r} ({published.id}) cannot be disabled: "
            f"active schedules start it: {names}. Disable them first.",
            kind="pipeline",
            id=published.id,
            schedules=[{"id": schedule.id, "name": schedule.name} for schedule in using],
        )


def _note(
    tx: Transaction, actor: Actor, published: PublishedPipeline, action: str, now: datetime
) -> None:
    activity.record(
        tx,
        workspace_id=published.workspace_id,
        at=now,
        actor=actor.name,
        action=action,
        subject_kind="pipeline",
        subject_id=published.id,
        detail={"name": published.name, "version": published.version},
    )


# ---- graphs --------------------------------------------------------------------------------------


def graph_of(tx: Transaction, actor: Actor, workspace: Workspace, graph_id: str) -> Graph:
    """Return a stored graph; raise NotFound if there is none of that id."""
    require(actor, "pipeline.read", workspace_id=workspace.id)
    return load_graph(tx, workspace.id, graph_id)


def load_graph(tx: Transaction, workspace_id: str, graph_id: str) -> Graph:
    """Return a stored graph without asking for permission (for the verbs and the daemon).

    The newest few hundred are kept in memory: a graph never changes, and its id is made of its
    content.
    """
    graph = _recent.get((workspace_id, graph_id))
    if graph is None:
        graph = wire.GRAPH.validate_json(rows.get_graph_text(tx, workspace_id, graph_id))
        while len(_recent) >= _RECENT_MAX:
            _recent.pop(next(iter(_recent)), None)
        _recent[workspace_id, graph_id] = graph
    return graph


_recent: dict[tuple[str, str], Graph] = {}
_RECENT_MAX = 512


def keep_graph(tx: Transaction, workspace: Workspace, graph: Graph, now: datetime) -> str:
    """Store a graph that can run and return its id; the same graph is kept once.

    Raises:
        InvalidPipeline: it cannot run; every reason is listed.
    """
    found = _problems(tx, workspace, graph)
    if found:
        raise InvalidPipeline(" ".join(p["message"] for p in found), errors=found)
    text = wire.GRAPH.dump_json(graph).decode()
    digest = hashlib.sha256(f"{workspace.id}\n{text}".encode()).digest()
    graph_id = str(uuid.UUID(bytes=digest[:16]))
    rows.put_graph(tx, graph_id, workspace.id, text, now)
    return graph_id


def check(
    tx: Transaction, actor: Actor, workspace: Workspace, graph: Graph
) -> list[dict[str, str]]:
    """Return every reason why `graph` cannot run here, each with `field` and `message`."""
    require(actor, "pipeline.read", workspace_id=workspace.id)
    return _problems(tx, workspace, graph)


def _problems(tx: Transaction, workspace: Workspace, graph: Graph) -> list[dict[str, str]]:
    return pipeline.problems(graph) or [
        *_absent_files(tx, workspace, graph),
        *_absent_datastores(tx, workspace, graph),
    ]


def _absent_files(tx: Transaction, workspace: Workspace, graph: Graph) -> list[dict[str, str]]:
    found = []
    for step in graph.steps:
        where = f"steps[{step.name}]"
        snapshot = rows.find_snapshot(tx, workspace.id, step.snapshot_id or "")
        if snapshot is None:
            message = f"The source files of step {step.name!r} were not uploaded."
            found.append({"field": f"{where}.snapshot_id", "message": message})
        elif step.script not in {file.path for file in snapshot.files}:
            message = (
                f"Step {step.name!r}: there is no script {step.script!r} among its source files."
            )
            found.append({"field": f"{where}.script", "message": message})
    return found


def _absent_datastores(tx: Transaction, workspace: Workspace, graph: Graph) -> list[dict[str, str]]:
    known = {datastore.name for datastore in workspace_rows.list_datastores(tx, workspace.id)}
    used = [
        (f"parameters.{parameter.name}", parameter.default["datastore"])
        for parameter in graph.parameters
        if parameter.kind is ParameterKind.DATA_PATH
    ]
    for step in graph.steps:
        where = f"steps[{step.name}]"
        used += [
            (f"{where}.inputs[{item.name}]", item.datastore)
            for item in step.inputs
            if item.source is SourceKind.DATASTORE
        ]
        used += [(f"{where}.outputs[{o.name}]", o.datastore) for o in step.outputs if o.datastore]
    return [
        {
            "field": field,
            "message": f"There is no datastore {name!r} in workspace {workspace.name!r}.",
        }
        for field, name in used
        if name not in known
    ]
