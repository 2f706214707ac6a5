"""Workspaces, their experiments and their datastores."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from penstock import wire
from penstock.core.access import Actor
from penstock.core.model import Datastore, Experiment, Workspace
from penstock.errors import Conflict, Invalid
from penstock.service import limits
from penstock.service.access import require
from penstock.store import activity
from penstock.store import workspaces as rows
from penstock.store.database import AlreadyThere, Transaction, new_id

DEFAULT_WORKSPACE = "default"
DEFAULT_DATASTORE = "workspaceblobstore"
DEFAULT_RESOURCE_GROUP = "penstock"

_WORKSPACE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{1,63}")
_EXPERIMENT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,254}")


def create(
    tx: Transaction, actor: Actor, draft: wire.WorkspaceDraft, *, home: Path, now: datetime
) -> Workspace:
    """Create a workspace with its default datastore, an empty local directory.

    Args:
        tx: the transaction.
        actor: who asks.
        draft: its name, and the subscription and resource group that scripts may print; both are
            made up when absent.
        home: the server's data folder; the datastore's directory is made below it.
        now: the present instant.

    Raises:
        Invalid: the name has other characters than letters, digits, `_` and `-`, or is not 2–64
            long.
        Conflict: there is a workspace of that name.
    """
    require(actor, "workspace.create")
    limits.check(draft)
    if not _WORKSPACE_NAME.fullmatch(draft.name):
        raise Invalid(
            field="name",
            value=draft.name,
            expected="2 to 64 letters, digits, '_' or '-', the first a letter or digit",
        )
    if rows.find(tx, draft.name) is not None:
        raise _taken(draft.name)
    workspace = Workspace(
        id=new_id(),
        name=draft.name,
        subscription_id=draft.subscription_id or str(uuid.uuid5(uuid.NAMESPACE_URL, draft.name)),
        resource_group=draft.resource_group or DEFAULT_RESOURCE_GROUP,
        default_datastore=DEFAULT_DATASTORE,
        created_at=now,
    )
    try:
        with tx.savepoint():
            rows.insert(tx, workspace)
    except AlreadyThere as error:  # somebody else has just made it
        raise _taken(draft.name) from error
    directory = home / "datastores" / workspace.id / DEFAULT_DATASTORE
    directory.mkdir(parents=True, exist_ok=True)
    rows.insert_datastore(
        tx,
        Datastore(
            id=new_id(),
            workspace_id=workspace.id,
            name=DEFAULT_DATASTORE,
            kind="local_directory",
            config={"path": str(directory)},
            created_at=now,
        ),
    )
    activity.record(
        tx,
        workspace_id=workspace.id,
        at=now,
        actor=actor.name,
        action="workspace.create",
        subject_kind="workspace",
        subject_id=workspace.id,
        detail={"name": workspace.name},
    )
    return workspace


def _taken(name: str) -> Conflict:
    return Conflict(f"There is a workspace {name!r} already.", name=name)


def get(tx: Transaction, actor: Actor, name: str) -> Workspace:
    """Return the workspace `name`; raise NotFound if there is none."""
    workspace = rows.get(tx, name)
    require(actor, "workspace.read", workspace_id=workspace.id)
    return workspace


def list_all(tx: Transaction, actor: Actor) -> list[Workspace]:
    """Return the workspaces that `actor` may read, by name."""
    found = rows.list(tx)
    return [w for w in found if actor.workspace_id is None or w.id == actor.workspace_id]


# ---- experiments ---------------------------------------------------------------------------------


def ensure_experiment(
    tx: Transaction, actor: Actor, workspace: Workspace, name: str, now: datetime
) -> Experiment:
    """Return the experiment `name`, created if it is new.

    Raises:
        Invalid: the name is not 1–255 letters, digits, `_` or `-`, the first a letter or digit.
    """
    require(actor, "run.submit", workspace_id=workspace.id)
    found = rows.find_experiment(tx, workspace.id, name)
    return found if found is not None else rows.ensure(tx, _new_experiment(workspace, name, now))


def _new_experiment(workspace: Workspace, name: str, now: datetime) -> Experiment:
    return Experiment(
        id=new_id(), workspace_id=workspace.id, name=checked_experiment_name(name), created_at=now
    )


def checked_experiment_name(name: str) -> str:
    """Return `name` if an experiment may be called so; raise Invalid if not."""
    if not _EXPERIMENT_NAME.fullmatch(name):
        raise Invalid(
            field="experiment",
            value=name,
            expected="1 to 255 letters, digits, '_' or '-', the first a letter or digit",
        )
    return name


def get_experiment(tx: Transaction, actor: Actor, workspace: Workspace, name: str) -> Experiment:
    """Return the experiment `name`; raise NotFound if there is none."""
    require(actor, "experiment.read", workspace_id=workspace.id)
    return rows.get_experiment(tx, workspace.id, name)


def list_experiments(
    tx: Transaction,
    actor: Actor,
    workspace: Workspace,
    *,
    include_archived: bool = False,
    after: str | None = None,
    limit: int = 100,
) -> tuple[Sequence[Experiment], str | None]:
    """Return a page of experiments, by name."""
    require(actor, "experiment.read", workspace_id=workspace.id)
    return rows.list_experiments(
        tx, workspace.id, include_archived=include_archived, after=after, limit=limit
    )


def change_experiment(
    tx: Transaction,
    actor: Actor,
    workspace: Workspace,
    name: str,
    changes: wire.ExperimentChanges,
    now: datetime,
) -> Experiment:
    """Set an experiment's tags, or archive it or bring it back; what is None stays.

    Raises:
        NotFound: there is no such experiment.
        Invalid: text that cannot be stored, or too many tags.
    """
    require(actor, "experiment.write", workspace_id=workspace.id)
    limits.check(changes)
    tx.lock(f"experiment/{workspace.id}/{name}")
    experiment = rows.get_experiment(tx, workspace.id, name)
    if changes.tags is not None:
        experiment = replace(experiment, tags=changes.tags)
    if changes.is_archived is not None:
        experiment = replace(experiment, archived_at=now if changes.is_archived else None)
    rows.update_experiment(tx, experiment)
    return experiment


# ---- datastores ----------------------------------------------------------------------------------


def list_datastores(tx: Transaction, actor: Actor, workspace: Workspace) -> Sequence[Datastore]:
    """Return the workspace's datastores, by name."""
    require(actor, "datastore.read", workspace_id=workspace.id)
    return rows.list_datastores(tx, workspace.id)


def get_datastore(
    tx: Transaction,
    actor: Actor,
    workspace: Workspace,
    name: str,
    *,
    action: str = "datastore.read",
) -> Datastore:
    """Return the datastore `name`, to be used for `action`; raise NotFound if there is none."""
    require(actor, action, workspace_id=workspace.id)
    return rows.get_datastore(tx, workspace.id, name)
