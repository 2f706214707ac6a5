"""Schedules: creating, changing, previewing and firing them by hand, and why they did or did not
fire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from penstock import wire
from penstock.core import checking, creation, recurrence
from penstock.core.access import Actor
from penstock.core.due import Outcome, PlannedFire
from penstock.core.model import DataChange, Fire, Run, Schedule, Status, Workspace
from penstock.core.pipeline import Graph, ParameterKind, resolve_parameters
from penstock.core.recurrence import Occurrence
from penstock.errors import Conflict, Invalid
from penstock.service import firing, limits, pipelines, runs, workspaces
from penstock.service.access import require
from penstock.store import activity, fires, timers
from penstock.store import pipelines as pipeline_rows
from penstock.store import runs as run_rows
from penstock.store import schedules as rows
from penstock.store import workspaces as workspace_rows
from penstock.store.database import Transaction, new_id

TIMER = "schedule"
POLLING_MINUTES_MAX = 525_600  # a year
_JUST_BEFORE = timedelta(microseconds=1)


def create(
    tx: Transaction, actor: Actor, workspace: Workspace, draft: wire.ScheduleDraft, now: datetime
) -> Schedule:
    """Create a schedule; everything is checked before anything is stored.

    A recurrence without a start time starts its first run at once, as the old service did, unless
    `run_on_create` is off or the schedule is created disabled. From then on, and with a start
    time from the beginning, it fires at the times that `preview` shows.

    Args:
        tx: the transaction.
        actor: who asks.
        workspace: where.
        draft: the schedule.
        now: the present instant; the origin of a recurrence without a start time.

    Raises:
        Invalid: not exactly one trigger, not exactly one pipeline, a bad name, path or interval;
            text that cannot be stored, or too much of it.
        InvalidRecurrence: the recurrence names no times.
        InvalidParameters: the parameters do not fit the pipeline.
        NotFound: there is no such published pipeline or datastore.
        Conflict: the published pipeline is disabled.
    """
    require(actor, "schedule.create", workspace_id=workspace.id)
    limits.check(draft)
    _check_draft(tx, workspace, draft)
    rule = checking.validated(draft.recurrence, now=now) if draft.recurrence else None
    workspaces.ensure_experiment(tx, actor, workspace, draft.experiment, now)
    is_active = draft.status is Status.ACTIVE
    schedule = Schedule(
        id=new_id(),
        workspace_id=workspace.id,
        name=draft.name,
        description=draft.description,
        pipeline_id=draft.pipeline_id,
        pipeline_endpoint_id=draft.pipeline_endpoint_id,
        experiment=draft.experiment,
        parameters=draft.parameters,
        status=draft.status,
        recurrence=rule,
        data_change=draft.data_change,
        continue_on_step_failure=draft.continue_on_step_failure,
        catch_up=draft.catch_up,
        catch_up_window_seconds=draft.catch_up_window_seconds,
        overlap=draft.overlap,
        run_on_create=draft.run_on_create,
        next_fire_time=creation.first_fire_time(rule, now) if rule and is_active else None,
        failures=0,
        quarantined_reason=None,
        created_at=now,
        updated_at=now,
        created_by=actor.name,
    )
    rows.insert(tx, schedule)
    _set_timer(tx, schedule)
    _note(tx, actor, schedule, "schedule.create", now)
    if rule and is_active and draft.run_on_create and rule.start_time is None:
        _fire_now(
            tx, schedule, now, reason="first run, at creation: the recurrence has no start time"
        )
    return schedule


def _check_draft(tx: Transaction, workspace: Workspace, draft: wire.ScheduleDraft) -> None:
    if not draft.name.strip():
        raise Invalid(field="name", value=draft.name, expected="a name")
    if (draft.recurrence is None) == (draft.data_change is None):
        raise Invalid(
            "A schedule needs exactly one trigger: a recurrence, or a datastore to watch.",
            field="recurrence",
        )
    _check_status(draft.status)
    _check_window(draft.catch_up_window_seconds)
    graph = _target_graph(tx, workspace, draft.pipeline_id, draft.pipeline_endpoint_id)
    _check_parameters(tx, workspace, graph, draft.parameters, draft.data_change)
    if draft.data_change is not None:
        _check_data_change(tx, workspace, draft.data_change)
    workspaces.checked_experiment_name(draft.experiment)


def _check_status(status: Status) -> None:
    if status is Status.DEPRECATED:
        raise Invalid(field="status", value=status, expected="Active or Disabled")


def _check_window(seconds: float) -> None:
    if not 0 < seconds <= 366 * 86_400:
        raise Invalid(
            field="catch_up_window_seconds", value=seconds, expected="more than 0, at most a year"
        )


def _target_graph(
    tx: Transaction, workspace: Workspace, pipeline_id: str | None, endpoint_id: str | None
) -> Graph:
    if endpoint_id is not None:
        raise Invalid(
            f"There is no pipeline endpoint {endpoint_id!r}.",
            field="pipeline_endpoint_id",
            hint="Give the id of a published pipeline as pipeline_id.",
        )
    if pipeline_id is None:
        raise Invalid(field="pipeline_id", value=None, expected="the id of a published pipeline")
    pipelines.hold(tx, pipeline_id)
    published = runs.checked_active(pipeline_rows.get(tx, workspace.id, pipeline_id))
    return pipelines.load_graph(tx, workspace.id, published.graph_id)


def _check_parameters(
    tx: Transaction,
    workspace: Workspace,
    graph: Graph,
    parameters: Mapping[str, Any],
    data_change: DataChange | None,
) -> None:
    runs.check_data_paths(tx, workspace, graph, resolve_parameters(graph, parameters))
    name = data_change.data_path_parameter if data_change else None
    data_paths = [p.name for p in graph.parameters if p.kind is ParameterKind.DATA_PATH]
    known = ", ".join(data_paths) or "none"
    if name is not None and name not in data_paths:
        raise Invalid(
            field="data_path_parameter",
            value=name,
            expected=f"a parameter that holds a data path (the pipeline has: {known})",
        )


def _check_data_change(tx: Transaction, workspace: Workspace, change: DataChange) -> None:
    workspace_rows.get_datastore(tx, workspace.id, change.datastore)
    if not 1 <= change.polling_minutes <= POLLING_MINUTES_MAX:
        raise Invalid(
            field="polling_interval",
            value=change.polling_minutes,
            expected=f"1 to {POLLING_MINUTES_MAX} minutes",
        )
    parts = (change.path or "").replace("\\", "/").split("/")
    if ".." in parts or (change.path or "").startswith("/"):
        raise Invalid(
            field="path_on_datastore", value=change.path, expected="a folder inside the datastore"
        )


# ---- reading -------------------------------------------------------------------------------------


def get(tx: Transaction, actor: Actor, workspace: Workspace, id: str) -> Schedule:
    """Return a schedule; raise NotFound if there is none of that id."""
    require(actor, "schedule.read", workspace_id=workspace.id)
    return rows.get(tx, workspace.id, id)


def list_page(
    tx: Transaction,
    actor: Actor,
    workspace: Workspace,
    *,
    active_only: bool = True,
    pipeline_id: str | None = None,
    pipeline_endpoint_id: str | None = None,
    name: str | None = None,
    after: str | None = None,
    limit: int = 100,
) -> tuple[Sequence[Schedule], str | None]:
    """Return a page of schedules, newest first."""
    require(actor, "schedule.read", workspace_id=workspace.id)
    return rows.list(
        tx,
        workspace.id,
        statuses=[Status.ACTIVE] if active_only else None,
        pipeline_id=pipeline_id,
        pipeline_endpoint_id=pipeline_endpoint_id,
        name=name,
        after=after,
        limit=limit,
    )


def fires_page(
    tx: Transaction,
    actor: Actor,
    workspace: Workspace,
    id: str,
    *,
    outcomes: Sequence[Outcome] | None = None,
    after: str | None = None,
    limit: int = 100,
) -> tuple[Sequence[Fire], str | None]:
    """Return a page of a schedule's evaluations, newest first: what fired, what did not, and
    why."""
    schedule = get(tx, actor, workspace, id)
    return fires.list(tx, schedule.id, outcomes=outcomes, after=after, limit=limit)


def preview(
    tx: Transaction,
    actor: Actor,
    workspace: Workspace,
    id: str,
    count: int,
    now: datetime,
) -> tuple[Schedule, list[Occurrence]]:
    """Return a schedule and its next `count` fires, also when it is disabled (then: if it were
    enabled).

    Raises:
        Invalid: it watches a datastore, so that nobody knows when it will fire.
    """
    schedule = get(tx, actor, workspace, id)
    if schedule.recurrence is None:
        raise Invalid(
            f"The schedule {schedule.name!r} fires when data changes; its fires cannot be "
            "foretold.",
            field="id",
            value=id,
        )
    since = schedule.next_fire_time - _JUST_BEFORE if schedule.next_fire_time else now
    return schedule, recurrence.preview(schedule.recurrence, since, count)


# ---- changing ------------------------------------------------------------------------------------


def update(
    tx: Transaction,
    actor: Actor,
    workspace: Workspace,
    id: str,
    changes: wire.ScheduleChanges,
    now: datetime,
) -> Schedule:
    """Change a schedule; what is None stays, and `parameters` replaces the whole set.

    A schedule that is enabled, or gets another recurrence, goes on at the next fire time after
    `now`: nothing fires at once, and nothing is made up for. Enabling clears a quarantine.

    Raises:
        Invalid: the change would turn a recurrence into a data change or the other way round; a
        bad value. InvalidRecurrence, InvalidParameters, NotFound: as for `create`.
        Conflict: it is enabled while its published pipeline is disabled.
    """
    require(actor, "schedule.write", workspace_id=workspace.id)
    limits.check(changes)
    # The timer first, as the daemon does: while it is held, nobody else fires the schedule, and
    # what is read here is what will be changed.
    tx.lock(f"schedule/{id}")
    timers.hold(tx, TIMER, id)
    before = rows.get(tx, workspace.id, id)
    after = _changed(tx, workspace, before, changes, now)
    if after == before:
        return before
    after = replace(after, updated_at=now)
    rows.update(tx, after)
    _set_timer(tx, after)
    _note(tx, actor, after, "schedule.update", now)
    return after


def _changed(
    tx: Transaction,
    workspace: Workspace,
    schedule: Schedule,
    changes: wire.ScheduleChanges,
    now: datetime,
) -> Schedule:
    _refuse_other_trigger(schedule, changes)
    if changes.name is not None and not changes.name.strip():
        raise Invalid(field="name", value=changes.name, expected="a name")
    if changes.status is not None:
        _check_status(changes.status)
    if changes.catch_up_window_seconds is not None:
        _check_window(changes.catch_up_window_seconds)
    if changes.data_change is not None:
        _check_data_change(tx, workspace, changes.data_change)
    given = {
        name: getattr(changes, name)
        for name in changes.model_fields_set
        if getattr(changes, name) is not None and name != "recurrence"
    }
    changed = replace(schedule, **given)
    if changes.parameters is not None or changes.data_change is not None:
        published = pipeline_rows.get(tx, workspace.id, schedule.pipeline_id or "")
        graph = pipelines.load_graph(tx, workspace.id, published.graph_id)
        _check_parameters(tx, workspace, graph, changed.parameters, changed.data_change)
    if changes.recurrence is not None:
        changed = replace(changed, recurrence=checking.validated(changes.recurrence, now=now))
    return _rescheduled(tx, workspace, schedule, changed, now)


def _refuse_other_trigger(schedule: Schedule, changes: wire.ScheduleChanges) -> None:
    if changes.recurrence is not None and schedule.recurrence is None:
        raise Invalid(
            f"The schedule {schedule.name!r} fires when data changes; it cannot get a recurrence.",
            field="recurrence",
            hint="Create another schedule.",
        )
    if changes.data_change is not None and schedule.data_change is None:
        raise Invalid(
            f"The schedule {schedule.name!r} is a recurrence; it cannot watch a datastore.",
            field="datastore",
            hint="Create another schedule.",
        )


def _rescheduled(
    tx: Transaction, workspace: Workspace, before: Schedule, after: Schedule, now: datetime
) -> Schedule:
    """Return `after` with the fire time that its status and recurrence call for."""
    if after.status is not Status.ACTIVE:
        return replace(after, next_fire_time=None)
    is_enabled = before.status is not Status.ACTIVE
    if is_enabled:
        if after.pipeline_id is not None:
            pipelines.hold(tx, after.pipeline_id)
            runs.checked_active(pipeline_rows.get(tx, workspace.id, after.pipeline_id))
        after = replace(after, failures=0, quarantined_reason=None)
    if after.recurrence is not None and (is_enabled or after.recurrence != before.recurrence):
        return replace(after, next_fire_time=creation.first_fire_time(after.recurrence, now))
    return after


def _set_timer(tx: Transaction, schedule: Schedule) -> None:
    if schedule.next_fire_time is None:
        timers.disarm(tx, TIMER, schedule.id)
    else:
        timers.put(tx, TIMER, schedule.id, schedule.next_fire_time)


# ---- by hand -------------------------------------------------------------------------------------


def fire(
    tx: Transaction,
    actor: Actor,
    workspace: Workspace,
    id: str,
    parameters: Mapping[str, Any],
    now: datetime,
) -> Run:
    """Start a run of a schedule now, disabled or not; its fire times stay as they are.

    Args:
        tx: the transaction.
        actor: who asks.
        workspace: where.
        id: the schedule.
        parameters: values that go before the schedule's own.
        now: the present instant.

    Raises:
        NotFound: there is no such schedule.
        Conflict: its published pipeline is disabled.
        InvalidParameters: the parameters do not fit the pipeline.
    """
    require(actor, "schedule.fire", workspace_id=workspace.id)
    limits.check_parameters(parameters)
    schedule = rows.get(tx, workspace.id, id)
    if parameters:
        graph = _target_graph(tx, workspace, schedule.pipeline_id, schedule.pipeline_endpoint_id)
        _check_parameters(tx, workspace, graph, {**schedule.parameters, **parameters}, None)
    _note(tx, actor, schedule, "schedule.fire", now)
    return _fire_now(
        tx, schedule, now, reason=f"fired by hand by {actor.name}", parameters=parameters
    )


def _fire_now(
    tx: Transaction,
    schedule: Schedule,
    now: datetime,
    *,
    reason: str,
    parameters: Mapping[str, Any] | None = None,
) -> Run:
    planned = PlannedFire(fire_time=now, outcome=Outcome.FIRED, reason=reason)
    run = firing.scheduled_run(
        firing.Targets(tx),
        schedule,
        planned,
        now,
        cause=f"schedule {schedule.name!r}: {reason}",
        assignments=parameters,
    )
    # Not the key of a fire time: a due time at this very instant is a fire of its own.
    key = f"at-once/{firing.fire_key(now)}"
    if not fires.insert(tx, firing.record(schedule, planned, now, run, key=key)):
        raise Conflict(f"The schedule {schedule.name!r} was fired at this very instant already.")
    run_rows.insert(tx, run)
    timers.arm(tx, "run", run.id, now)
    return run


def _note(tx: Transaction, actor: Actor, schedule: Schedule, action: str, now: datetime) -> None:
    activity.record(
        tx,
        workspace_id=schedule.workspace_id,
        at=now,
        actor=actor.name,
        action=action,
        subject_kind="schedule",
        subject_id=schedule.id,
        detail={"name": schedule.name, "status": str(schedule.status)},
    )
