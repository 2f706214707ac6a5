"""Published pipelines, the graphs they run, and the snapshots of code that the graphs name."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from penstock.core.model import PublishedPipeline, Snapshot, Status
from penstock.errors import NotFound
from penstock.store import pages
from penstock.store.database import (
    Transaction,
    at,
    micros,
)
from penstock.store.pages import Page
from penstock.store.statements import INSERT
from penstock.store.tables import graphs, published_pipelines, snapshots
from penstock.wire import SNAPSHOT_FILES

_ID: sa.BindParameter[str] = sa.bindparam("this_id")
_WORKSPACE: sa.BindParameter[str] = sa.bindparam("this_workspace")

# ---- graphs --------------------------------------------------------------------------------------

_PUT_GRAPH = {
    kind: insert_into(graphs).on_conflict_do_nothing(index_elements=(graphs.c.id,))
    for kind, insert_into in INSERT.items()
}
_GRAPH = sa.select(graphs.c.document).where(graphs.c.id == _ID, graphs.c.workspace_id == _WORKSPACE)


def put_graph(tx: Transaction, graph_id: str, workspace_id: str, text: str, now: datetime) -> None:
    """Store a graph's document under an id derived from it; nothing happens if it is there."""
    values = {
        "id": graph_id,
        "workspace_id": workspace_id,
        "document": text,
        "created_at": micros(now),
    }
    tx.connection.execute(_PUT_GRAPH[tx.kind], values)


def get_graph_text(tx: Transaction, workspace_id: str, graph_id: str) -> str:
    """Return a graph's document; raise NotFound if there is none of that id in the workspace."""
    key = {"this_id": graph_id, "this_workspace": workspace_id}
    text: str | None = tx.connection.execute(_GRAPH, key).scalar()
    if text is None:
        raise NotFound(kind="graph", id=graph_id)
    return text


# ---- published pipelines -------------------------------------------------------------------------

_INSERT = sa.insert(published_pipelines)
_ONE = sa.select(published_pipelines).where(
    published_pipelines.c.id == _ID, published_pipelines.c.workspace_id == _WORKSPACE
)
_SET_STATUS = (
    sa.update(published_pipelines)
    .where(published_pipelines.c.id == _ID)
    .values(status=sa.bindparam("status"), updated_at=sa.bindparam("updated_at"))
)
_NEWEST = (published_pipelines.c.created_at, published_pipelines.c.id)


def insert(tx: Transaction, pipeline: PublishedPipeline) -> None:
    """Store a new published pipeline."""
    values = {
        "id": pipeline.id,
        "workspace_id": pipeline.workspace_id,
        "name": pipeline.name,
        "description": pipeline.description,
        "version": pipeline.version,
        "graph_id": pipeline.graph_id,
        "status": pipeline.status.value,
        "continue_on_step_failure": pipeline.continue_on_step_failure,
        "step_count": pipeline.step_count,
        "created_at": micros(pipeline.created_at),
        "updated_at": micros(pipeline.updated_at),
        "created_by": pipeline.created_by,
    }
    tx.connection.execute(_INSERT, values)


def find(tx: Transaction, workspace_id: str, id: str) -> PublishedPipeline | None:
    """Return the published pipeline of that id, or None if the workspace has none."""
    row = tx.connection.execute(_ONE, {"this_id": id, "this_workspace": workspace_id}).first()
    return None if row is None else _pipeline(row)


def get(tx: Transaction, workspace_id: str, id: str) -> PublishedPipeline:
    """Return the published pipeline of that id; raise NotFound if the workspace has none."""
    pipeline = find(tx, workspace_id, id)
    if pipeline is None:
        raise NotFound(kind="published pipeline", id=id)
    return pipeline


def set_status(tx: Transaction, id: str, status: Status, now: datetime) -> None:
    """Change the status, the only thing about a published pipeline that ever changes."""
    values = {"this_id": id, "status": status.value, "updated_at": micros(now)}
    tx.connection.execute(_SET_STATUS, values)


def list(
    tx: Transaction,
    workspace_id: str,
    *,
    statuses: Sequence[Status] | None = None,
    name: str | None = None,
    after: str | None = None,
    limit: int = 100,
) -> Page[PublishedPipeline]:
    """Return a page of published pipelines, newest first; a filter that is None is not asked."""
    query = sa.select(published_pipelines).where(published_pipelines.c.workspace_id == workspace_id)
    if statuses is not None:
        query = query.where(published_pipelines.c.status.in_([s.value for s in statuses]))
    if name is not None:
        query = query.where(published_pipelines.c.name == name)
    return pages.fetch(tx, query, _NEWEST, make=_pipeline, after=after, limit=limit)


def _pipeline(row: sa.Row[Any]) -> PublishedPipeline:
    return PublishedPipeline(
        id=row.id,
        workspace_id=row.workspace_id,
        name=row.name,
        description=row.description,
        version=row.version,
        graph_id=row.graph_id,
        status=Status(row.status),
        continue_on_step_failure=row.continue_on_step_failure,
        created_at=at(row.created_at),
        updated_at=at(row.updated_at),
        created_by=row.created_by,
        step_count=row.step_count,
    )


# ---- snapshots -----------------------------------------------------------------------------------

_PUT_SNAPSHOT = {
    kind: insert_into(snapshots).on_conflict_do_nothing(
        index_elements=(snapshots.c.id, snapshots.c.workspace_id)
    )
    for kind, insert_into in INSERT.items()
}
_SNAPSHOT = sa.select(snapshots).where(
    snapshots.c.id == _ID, snapshots.c.workspace_id == _WORKSPACE
)


def put_snapshot(tx: Transaction, snapshot: Snapshot) -> None:
    """Store a snapshot under an id derived from its files; nothing happens if it is there."""
    values = {
        "id": snapshot.id,
        "workspace_id": snapshot.workspace_id,
        "files": SNAPSHOT_FILES.dump_json(snapshot.files).decode(),
        "created_at": micros(snapshot.created_at),
    }
    tx.connection.execute(_PUT_SNAPSHOT[tx.kind], values)


def find_snapshot(tx: Transaction, workspace_id: str, id: str) -> Snapshot | None:
    """Return the snapshot of that id, or None if the workspace has none."""
    row = tx.connection.execute(_SNAPSHOT, {"this_id": id, "this_workspace": workspace_id}).first()
    if row is None:
        return None
    return Snapshot(
        id=row.id,
        workspace_id=row.workspace_id,
        files=SNAPSHOT_FILES.validate_json(row.files),
        created_at=at(row.created_at),
    )


def get_snapshot(tx: Transaction, workspace_id: str, id: str) -> Snapshot:
    """Return the snapshot of that id; raise NotFound if the workspace has none."""
    snapshot = find_snapshot(tx, workspace_id, id)
    if snapshot is None:
        raise NotFound(kind="snapshot", id=id)
    return snapshot
