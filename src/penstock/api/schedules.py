"""Routes: schedules, what they will do, and what they did."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from penstock import wire
from penstock.api.bodies import JsonRoute
from penstock.api.context import Caller
from penstock.api.paging import After, Limit
from penstock.core import creation, zones
from penstock.core.due import Outcome
from penstock.core.recurrence import Occurrence, Recurrence
from penstock.core.wording import describe
from penstock.service import schedules, workspaces
from penstock.service.access import require

router = APIRouter(
    prefix="/workspaces/{workspace}/schedules", route_class=JsonRoute, tags=["schedules"]
)


@router.post("", status_code=201)
def create_schedule(
    call: Caller, workspace: str, draft: wire.ScheduleDraft
) -> wire.ScheduleDocument:
    """Create a schedule: a recurrence or a data change, and what it submits."""
    with call.write() as tx:
        place = workspaces.get(tx, call.actor, workspace)
        schedule = schedules.create(tx, call.actor, place, draft, call.now)
    return wire.ScheduleDocument.of(schedule)


@router.get("")
def list_schedules(
    call: Caller,
    workspace: str,
    active_only: bool = True,
    pipeline_id: str | None = None,
    pipeline_endpoint_id: str | None = None,
    name: str | None = None,
    after: After = None,
    limit: Limit = 100,
) -> wire.Page[wire.ScheduleDocument]:
    """List schedules, newest first."""
    with call.read() as tx:
        place = workspaces.get(tx, call.actor, workspace)
        found, following = schedules.list_page(
            tx,
            call.actor,
            place,
            active_only=active_only,
            pipeline_id=pipeline_id,
            pipeline_endpoint_id=pipeline_endpoint_id,
            name=name,
            after=after,
            limit=limit,
        )
    return wire.Page(items=[wire.ScheduleDocument.of(s) for s in found], next=following)


@router.post("/preview")
def preview_recurrence(
    call: Caller, workspace: str, request: wire.PreviewRequest
) -> wire.PreviewDocument:
    """Show when a recurrence would fire, before it is saved."""
    with call.read() as tx:
        place = workspaces.get(tx, call.actor, workspace)
    require(call.actor, "schedule.read", workspace_id=place.id)
    rule, occurrences = creation.preview(
        request.recurrence,
        run_on_create=request.run_on_create,
        after=request.after,
        count=request.count,
        now=call.now,
    )
    return _preview(rule, occurrences)


@router.get("/{schedule_id}")
def get_schedule(call: Caller, workspace: str, schedule_id: str) -> wire.ScheduleDocument:
    """Show a schedule."""
    with call.read() as tx:
        place = workspaces.get(tx, call.actor, workspace)
        return wire.ScheduleDocument.of(schedules.get(tx, call.actor, place, schedule_id))


@router.patch("/{schedule_id}")
def change_schedule(
    call: Caller, workspace: str, schedule_id: str, changes: wire.ScheduleChanges
) -> wire.ScheduleDocument:
    """Change a schedule, enable or disable it; what is not given stays."""
    with call.write() as tx:
        place = workspaces.get(tx, call.actor, workspace)
        changed = schedules.update(tx, call.actor, place, schedule_id, changes, call.now)
    return wire.ScheduleDocument.of(changed)


@router.get("/{schedule_id}/preview")
def preview_schedule(
    call: Caller,
    workspace: str,
    schedule_id: str,
    count: Annotated[int, Query(ge=1, le=1000, description="How many fires.")] = 10,
) -> wire.PreviewDocument:
    """Show when a schedule fires next; for a disabled one, when it would."""
    with call.read() as tx:
        place = workspaces.get(tx, call.actor, workspace)
        schedule, occurrences = schedules.preview(
            tx, call.actor, place, schedule_id, count, call.now
        )
    assert schedule.recurrence is not None
    return _preview(schedule.recurrence, occurrences)


@router.get("/{schedule_id}/fires")
def list_fires(
    call: Caller,
    workspace: str,
    schedule_id: str,
    outcome: Annotated[list[Outcome] | None, Query(description="May be repeated.")] = None,
    after: After = None,
    limit: Limit = 100,
) -> wire.Page[wire.FireDocument]:
    """List a schedule's evaluations, newest first: what fired, what did not, and why."""
    with call.read() as tx:
        place = workspaces.get(tx, call.actor, workspace)
        found, following = schedules.fires_page(
            tx, call.actor, place, schedule_id, outcomes=outcome, after=after, limit=limit
        )
    return wire.Page(items=[wire.FireDocument.of(fire) for fire in found], next=following)


@router.post("/{schedule_id}/fire", status_code=201)
def fire_schedule(
    call: Caller, workspace: str, schedule_id: str, request: wire.FireRequest | None = None
) -> wire.RunDocument:
    """Start a run of a schedule now, disabled or not; its fire times stay as they are."""
    parameters = request.parameters if request else {}
    with call.write() as tx:
        place = workspaces.get(tx, call.actor, workspace)
        run = schedules.fire(tx, call.actor, place, schedule_id, parameters, call.now)
    return wire.RunDocument.of(run)


def _preview(rule: Recurrence, occurrences: list[Occurrence]) -> wire.PreviewDocument:
    return wire.PreviewDocument(
        description=describe(rule),
        time_zone=zones.resolve(rule.time_zone or "UTC"),
        occurrences=[wire.OccurrenceDocument.of(occurrence) for occurrence in occurrences],
    )
