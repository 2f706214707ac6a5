"""Routes: graphs and published pipelines."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body

from penstock import wire
from penstock.api.bodies import JsonRoute
from penstock.api.context import Call, Caller
from penstock.api.paging import After, Limit
from penstock.core.model import PublishedPipeline, Workspace
from penstock.core.pipeline import Graph
from penstock.service import pipelines, workspaces

router = APIRouter(prefix="/workspaces/{workspace}", route_class=JsonRoute, tags=["pipelines"])


@router.post("/graphs/validate")
def validate_graph(
    call: Caller, workspace: str, graph: Annotated[Graph, Body(embed=True)]
) -> wire.ValidationDocument:
    """List every reason why a graph could not run here; an empty list when it could."""
    with call.read() as tx:
        place = workspaces.get(tx, call.actor, workspace)
        errors = pipelines.check(tx, call.actor, place, graph)
    return wire.ValidationDocument(errors=errors)


@router.get("/graphs/{graph_id}")
def get_graph(call: Caller, workspace: str, graph_id: str) -> Graph:
    """Show the graph of a published pipeline or a run."""
    with call.read() as tx:
        place = workspaces.get(tx, call.actor, workspace)
        return pipelines.graph_of(tx, call.actor, place, graph_id)


@router.post("/pipelines", status_code=201)
def publish_pipeline(
    call: Caller, workspace: str, request: wire.PublishRequest
) -> wire.PublishedPipelineDocument:
    """Publish a graph, or the graph of a run. Every call makes a new published pipeline."""
    with call.write() as tx:
        place = workspaces.get(tx, call.actor, workspace)
        published = pipelines.publish(tx, call.actor, place, request, call.now)
    return _document(call, place, published)


@router.get("/pipelines")
def list_pipelines(
    call: Caller,
    workspace: str,
    active_only: bool = True,
    name: str | None = None,
    after: After = None,
    limit: Limit = 100,
) -> wire.Page[wire.PublishedPipelineDocument]:
    """List published pipelines, newest first."""
    with call.read() as tx:
        place = workspaces.get(tx, call.actor, workspace)
        found, following = pipelines.list_page(
            tx, call.actor, place, active_only=active_only, name=name, after=after, limit=limit
        )
    return wire.Page(items=[_document(call, place, p) for p in found], next=following)


@router.get("/pipelines/{pipeline_id}")
def get_pipeline(call: Caller, workspace: str, pipeline_id: str) -> wire.PublishedPipelineDocument:
    """Show a published pipeline."""
    with call.read() as tx:
        place = workspaces.get(tx, call.actor, workspace)
        return _document(call, place, pipelines.get(tx, call.actor, place, pipeline_id))


@router.patch("/pipelines/{pipeline_id}")
def change_pipeline(
    call: Caller, workspace: str, pipeline_id: str, changes: wire.PipelineChanges
) -> wire.PublishedPipelineDocument:
    """Enable or disable a published pipeline; refused while active schedules start it."""
    with call.write() as tx:
        place = workspaces.get(tx, call.actor, workspace)
        changed = pipelines.change_status(
            tx, call.actor, place, pipeline_id, changes.status, call.now
        )
    return _document(call, place, changed)


def _document(
    call: Call, workspace: Workspace, published: PublishedPipeline
) -> wire.PublishedPipelineDocument:
    # The shape of the old service's addresses, which scripts take apart.
    endpoint = (
        f"{call.context.base_url()}/pipelines/v1.0/subscriptions/{workspace.subscription_id}"
        f"/resourceGroups/{workspace.resource_group}/providers/Microsoft.MachineLearningServices"
        f"/workspaces/{workspace.name}/PipelineRuns/PipelineSubmit/{published.id}"
    )
    return wire.PublishedPipelineDocument.of(published, endpoint=endpoint)
