"""Routes: workspaces and the experiments in them."""

from __future__ import annotations

from fastapi import APIRouter

from penstock import wire
from penstock.api.bodies import JsonRoute
from penstock.api.context import Caller
from penstock.api.paging import After, Limit
from penstock.service import workspaces
from penstock.service.access import require
from penstock.store import activity

router = APIRouter(prefix="/workspaces", route_class=JsonRoute)


@router.get("", tags=["workspaces"])
def list_workspaces(call: Caller) -> list[wire.WorkspaceDocument]:
    """List the workspaces, by name."""
    with call.read() as tx:
        found = workspaces.list_all(tx, call.actor)
    return [wire.WorkspaceDocument.of(workspace) for workspace in found]


@router.post("", status_code=201, tags=["workspaces"])
def create_workspace(call: Caller, draft: wire.WorkspaceDraft) -> wire.WorkspaceDocument:
    """Create a workspace with an empty default datastore."""
    home = call.context.settings.home
    with call.write() as tx:
        workspace = workspaces.create(tx, call.actor, draft, home=home, now=call.now)
    return wire.WorkspaceDocument.of(workspace)


@router.get("/{workspace}", tags=["workspaces"])
def get_workspace(call: Caller, workspace: str) -> wire.WorkspaceDocument:
    """Show a workspace, found by its name."""
    with call.read() as tx:
        return wire.WorkspaceDocument.of(workspaces.get(tx, call.actor, workspace))


@router.get("/{workspace}/experiments", tags=["experiments"])
def list_experiments(
    call: Caller,
    workspace: str,
    include_archived: bool = False,
    after: After = None,
    limit: Limit = 100,
) -> wire.Page[wire.ExperimentDocument]:
    """List experiments, by name."""
    with call.read() as tx:
        place = workspaces.get(tx, call.actor, workspace)
        found, following = workspaces.list_experiments(
            tx, call.actor, place, include_archived=include_archived, after=after, limit=limit
        )
    return wire.Page(items=[wire.ExperimentDocument.of(e) for e in found], next=following)


@router.put("/{workspace}/experiments/{name}", tags=["experiments"])
def ensure_experiment(call: Caller, workspace: str, name: str) -> wire.ExperimentDocument:
    """Return an experiment, created if it is new."""
    with call.write() as tx:
        place = workspaces.get(tx, call.actor, workspace)
        found = workspaces.ensure_experiment(tx, call.actor, place, name, call.now)
    return wire.ExperimentDocument.of(found)


@router.get("/{workspace}/experiments/{name}", tags=["experiments"])
def get_experiment(call: Caller, workspace: str, name: str) -> wire.ExperimentDocument:
    """Show an experiment."""
    with call.read() as tx:
        place = workspaces.get(tx, call.actor, workspace)
        found = workspaces.get_experiment(tx, call.actor, place, name)
    return wire.ExperimentDocument.of(found)


@router.patch("/{workspace}/experiments/{name}", tags=["experiments"])
def change_experiment(
    call: Caller, workspace: str, name: str, changes: wire.ExperimentChanges
) -> wire.ExperimentDocument:
    """Set an experiment's tags, archive it or bring it back; what is not given stays."""
    with call.write() as tx:
        place = workspaces.get(tx, call.actor, workspace)
        changed = workspaces.change_experiment(tx, call.actor, place, name, changes, call.now)
    return wire.ExperimentDocument.of(changed)


@router.get("/{workspace}/compute-targets", tags=["workspaces"])
def list_compute_targets(call: Caller, workspace: str) -> list[wire.ComputeTargetDocument]:
    """List the compute targets with what runs and waits on each."""
    with call.read() as tx:
        workspaces.get(tx, call.actor, workspace)
    return call.context.server_status().compute_targets


@router.get("/{workspace}/activity", tags=["workspaces"])
def list_activity(
    call: Caller,
    workspace: str,
    subject_id: str | None = None,
    after: After = None,
    limit: Limit = 100,
) -> wire.Page[wire.ActivityDocument]:
    """List who did what, newest first, to everything or to the one thing `subject_id`."""
    with call.read() as tx:
        place = workspaces.get(tx, call.actor, workspace)
        require(call.actor, "activity.read", workspace_id=place.id)
        found, following = activity.list(
            tx, place.id, subject_id=subject_id, after=after, limit=limit
        )
    items = [
        wire.ActivityDocument(
            at=line.at,
            actor=line.actor,
            action=line.action,
            subject_kind=line.subject_kind,
            subject_id=line.subject_id,
            detail=dict(line.detail),
        )
        for line in found
    ]
    return wire.Page(items=items, next=following)
