"""Workspaces, and what has a name in one: experiments and datastores."""

from __future__ import annotations

import builtins
from typing import Any

import sqlalchemy as sa

from penstock.core.model import Datastore, Experiment, Workspace
from penstock.errors import NotFound
from penstock.store import pages
from penstock.store.database import (
    Transaction,
    at,
    dumps,
    instant,
    loads,
    micros,
    micros_or_none,
)
from penstock.store.pages import Page
from penstock.store.statements import INSERT
from penstock.store.tables import datastores, experiments, workspaces

_ID: sa.BindParameter[str] = sa.bindparam("this_id")
_WORKSPACE: sa.BindParameter[str] = sa.bindparam("this_workspace")
_NAME: sa.BindParameter[str] = sa.bindparam("this_name")

# ---- workspaces ----------------------------------------------------------------------------------

_INSERT = sa.insert(workspaces)
_BY_ID = sa.select(workspaces).where(workspaces.c.id == _ID)
_BY_NAME = sa.select(workspaces).where(workspaces.c.name == _NAME)
_ALL = sa.select(workspaces).order_by(workspaces.c.name)


def insert(tx: Transaction, workspace: Workspace) -> None:
    """Store a new workspace; raise AlreadyThere if its name is taken."""
    values = {
        "id": workspace.id,
        "name": workspace.name,
        "subscription_id": workspace.subscription_id,
        "resource_group": workspace.resource_group,
        "default_datastore": workspace.default_datastore,
        "created_at": micros(workspace.created_at),
    }
    tx.connection.execute(_INSERT, values)


def find(tx: Transaction, name: str) -> Workspace | None:
    """Return the workspace of that name, or None."""
    row = tx.connection.execute(_BY_NAME, {"this_name": name}).first()
    return None if row is None else _workspace(row)


def get(tx: Transaction, name: str) -> Workspace:
    """Return the workspace of that name; raise NotFound if there is none."""
    workspace = find(tx, name)
    if workspace is None:
        raise NotFound(kind="workspace", id=name)
    return workspace


def get_by_id(tx: Transaction, id: str) -> Workspace:
    """Return the workspace of that id; raise NotFound if there is none."""
    row = tx.connection.execute(_BY_ID, {"this_id": id}).first()
    if row is None:
        raise NotFound(kind="workspace", id=id)
    return _workspace(row)


def list(tx: Transaction) -> builtins.list[Workspace]:
    """Return every workspace, by name."""
    return [_workspace(row) for row in tx.connection.execute(_ALL)]


def _workspace(row: sa.Row[Any]) -> Workspace:
    return Workspace(
        id=row.id,
        name=row.name,
        subscription_id=row.subscription_id,
        resource_group=row.resource_group,
        default_datastore=row.default_datastore,
        created_at=at(row.created_at),
    )


# ---- experiments ---------------------------------------------------------------------------------

_NEW_EXPERIMENT = {
    kind: insert_into(experiments).on_conflict_do_nothing(
        index_elements=(experiments.c.workspace_id, experiments.c.name)
    )
    for kind, insert_into in INSERT.items()
}
_EXPERIMENT = sa.select(experiments).where(
    experiments.c.workspace_id == _WORKSPACE, experiments.c.name == _NAME
)
_CHANGE_EXPERIMENT = (
    sa.update(experiments)
    .where(experiments.c.id == _ID)
    .values(archived_at=sa.bindparam("archived_at"), tags=sa.bindparam("tags"))
)


def ensure(tx: Transaction, experiment: Experiment) -> Experiment:
    """Return the experiment of that workspace and name; store `experiment` if there is none yet."""
    found = find_experiment(tx, experiment.workspace_id, experiment.name)
    if found is not None:
        return found
    values = {
        "id": experiment.id,
        "workspace_id": experiment.workspace_id,
        "name": experiment.name,
        "created_at": micros(experiment.created_at),
        "archived_at": micros_or_none(experiment.archived_at),
        "tags": dumps(experiment.tags),
    }
    tx.connection.execute(_NEW_EXPERIMENT[tx.kind], values)
    return get_experiment(tx, experiment.workspace_id, experiment.name)


def find_experiment(tx: Transaction, workspace_id: str, name: str) -> Experiment | None:
    """Return the experiment of that name, or None."""
    key = {"this_workspace": workspace_id, "this_name": name}
    row = tx.connection.execute(_EXPERIMENT, key).first()
    return None if row is None else _experiment(row)


def get_experiment(tx: Transaction, workspace_id: str, name: str) -> Experiment:
    """Return the experiment of that name; raise NotFound if there is none."""
    experiment = find_experiment(tx, workspace_id, name)
    if experiment is None:
        raise NotFound(kind="experiment", id=name)
    return experiment


def list_experiments(
    tx: Transaction,
    workspace_id: str,
    *,
    include_archived: bool = False,
    after: str | None = None,
    limit: int = 100,
) -> Page[Experiment]:
    """Return a page of the experiments of a workspace, by name."""
    query = sa.select(experiments).where(experiments.c.workspace_id == workspace_id)
    if not include_archived:
        query = query.where(experiments.c.archived_at.is_(None))
    return pages.fetch(
        tx,
        query,
        [experiments.c.name],
        make=_experiment,
        after=after,
        limit=limit,
        is_ascending=True,
    )


def update_experiment(tx: Transaction, experiment: Experiment) -> None:
    """Store the tags of an experiment and whether it is archived."""
    values = {
        "this_id": experiment.id,
        "archived_at": micros_or_none(experiment.archived_at),
        "tags": dumps(experiment.tags),
    }
    tx.connection.execute(_CHANGE_EXPERIMENT, values)


def _experiment(row: sa.Row[Any]) -> Experiment:
    return Experiment(
        id=row.id,
        workspace_id=row.workspace_id,
        name=row.name,
        created_at=at(row.created_at),
        archived_at=instant(row.archived_at),
        tags=loads(row.tags),
    )


# ---- datastores ----------------------------------------------------------------------------------

_NEW_DATASTORE = sa.insert(datastores)
_DATASTORE = sa.select(datastores).where(
    datastores.c.workspace_id == _WORKSPACE, datastores.c.name == _NAME
)
_DATASTORES = (
    sa.select(datastores).where(datastores.c.workspace_id == _WORKSPACE).order_by(datastores.c.name)
)


def insert_datastore(tx: Transaction, datastore: Datastore) -> None:
    """Store a new datastore; raise AlreadyThere if its name is taken in the workspace."""
    values = {
        "id": datastore.id,
        "workspace_id": datastore.workspace_id,
        "name": datastore.name,
        "kind": datastore.kind,
        "config": dumps(datastore.config),
        "created_at": micros(datastore.created_at),
    }
    tx.connection.execute(_NEW_DATASTORE, values)


def find_datastore(tx: Transaction, workspace_id: str, name: str) -> Datastore | None:
    """Return the datastore of that name, or None."""
    key = {"this_workspace": workspace_id, "this_name": name}
    row = tx.connection.execute(_DATASTORE, key).first()
    return None if row is None else _datastore(row)


def get_datastore(tx: Transaction, workspace_id: str, name: str) -> Datastore:
    """Return the datastore of that name; raise NotFound if there is none."""
    datastore = find_datastore(tx, workspace_id, name)
    if datastore is None:
        raise NotFound(kind="datastore", id=name)
    return datastore


def list_datastores(tx: Transaction, workspace_id: str) -> builtins.list[Datastore]:
    """Return every datastore of a workspace, by name."""
    rows = tx.connection.execute(_DATASTORES, {"this_workspace": workspace_id})
    return [_datastore(row) for row in rows]


def _datastore(row: sa.Row[Any]) -> Datastore:
    return Datastore(
        id=row.id,
        workspace_id=row.workspace_id,
        name=row.name,
        kind=row.kind,
        config=loads(row.config),
        created_at=at(row.created_at),
    )
