"""Schedules: the triggers, what they submit, and what they fire next."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from penstock.core.due import CatchUp, Overlap
from penstock.core.model import DataChange, Schedule, Status
from penstock.core.recurrence import Recurrence
from penstock.errors import NotFound
from penstock.store import pages
from penstock.store.database import (
    Transaction,
    at,
    chunks,
    dumps,
    instant,
    loads,
    micros,
    micros_or_none,
)
from penstock.store.pages import Page
from penstock.store.statements import Bulk
from penstock.store.tables import schedules
from penstock.wire import DATA_CHANGE, RECURRENCE

_THIS = schedules.c.id == sa.bindparam("this_id")

_INSERT = sa.insert(schedules)
_ONE = sa.select(schedules).where(_THIS, schedules.c.workspace_id == sa.bindparam("this_workspace"))
_MANY = sa.select(schedules).where(schedules.c.id.in_(sa.bindparam("ids", expanding=True)))
_ACTIVE_FOR_PIPELINE = (
    sa.select(schedules)
    .where(schedules.c.pipeline_id == sa.bindparam("this_pipeline"))
    .where(schedules.c.status == Status.ACTIVE.value)
    .order_by(schedules.c.created_at, schedules.c.id)
)
_UPDATE = (
    sa.update(schedules)
    .where(_THIS)
    .values(
        {
            column: sa.bindparam(column.name)
            for column in schedules.c
            if column.name not in ("id", "workspace_id", "created_at", "created_by")
        }
    )
)
_SET_FIRE_STATE = Bulk(
    sa.update(schedules)
    .where(_THIS)
    .values(next_fire_time=sa.bindparam("next_fire_time"), failures=sa.bindparam("failures"))
)
_QUARANTINE = (
    sa.update(schedules)
    .where(_THIS)
    .values(
        status=Status.DISABLED.value,
        next_fire_time=sa.null(),
        quarantined_reason=sa.bindparam("quarantined_reason"),
        updated_at=sa.bindparam("updated_at"),
    )
)


def insert(tx: Transaction, schedule: Schedule) -> None:
    """Store a new schedule."""
    fixed = {
        "id": schedule.id,
        "workspace_id": schedule.workspace_id,
        "created_at": micros(schedule.created_at),
        "created_by": schedule.created_by,
    }
    tx.connection.execute(_INSERT, fixed | _changeable(schedule))


def update(tx: Transaction, schedule: Schedule) -> None:
    """Store everything about a schedule that can change."""
    tx.connection.execute(_UPDATE, {"this_id": schedule.id} | _changeable(schedule))


def find(tx: Transaction, workspace_id: str, id: str) -> Schedule | None:
    """Return the schedule of that id, or None if the workspace has none."""
    row = tx.connection.execute(_ONE, {"this_id": id, "this_workspace": workspace_id}).first()
    return None if row is None else _schedule(row)


def get(tx: Transaction, workspace_id: str, id: str) -> Schedule:
    """Return the schedule of that id; raise NotFound if the workspace has none."""
    schedule = find(tx, workspace_id, id)
    if schedule is None:
        raise NotFound(kind="schedule", id=id)
    return schedule


def get_many(tx: Transaction, ids: Sequence[str]) -> dict[str, Schedule]:
    """Return the schedules of those ids, in any workspace, by id; what is not there is left out."""
    return {
        row[0]: _schedule(row)
        for some in chunks(ids)
        for row in tx.connection.execute(_MANY, {"ids": some}).all()
    }


def list(
    tx: Transaction,
    workspace_id: str,
    *,
    statuses: Sequence[Status] | None = None,
    pipeline_id: str | None = None,
    pipeline_endpoint_id: str | None = None,
    name: str | None = None,
    after: str | None = None,
    limit: int = 100,
) -> Page[Schedule]:
    """Return a page of schedules, newest first; a filter that is None lets everything through."""
    query = sa.select(schedules).where(schedules.c.workspace_id == workspace_id)
    if statuses is not None:
        query = query.where(schedules.c.status.in_([status.value for status in statuses]))
    for column, value in (
        (schedules.c.pipeline_id, pipeline_id),
        (schedules.c.pipeline_endpoint_id, pipeline_endpoint_id),
        (schedules.c.name, name),
    ):
        if value is not None:
            query = query.where(column == value)
    newest = (schedules.c.created_at, schedules.c.id)
    return pages.fetch(tx, query, newest, make=_schedule, after=after, limit=limit)


def active_for_pipeline(tx: Transaction, pipeline_id: str) -> builtins.list[Schedule]:
    """Return the active schedules that start a published pipeline, oldest first."""
    rows = tx.connection.execute(_ACTIVE_FOR_PIPELINE, {"this_pipeline": pipeline_id})
    return [_schedule(row) for row in rows]


def set_fire_state_many(tx: Transaction, rows: Sequence[tuple[str, datetime | None, int]]) -> None:
    """Store what a batch of fires left behind: (schedule id, next fire time, failures) of each."""
    states = [
        {"this_id": id, "next_fire_time": micros_or_none(time), "failures": failures}
        for id, time, failures in sorted(rows, key=lambda row: row[0])
    ]
    _SET_FIRE_STATE.run(tx, states)


def quarantine(tx: Transaction, id: str, reason: str, now: datetime) -> None:
    """Disable a schedule that cannot be fired, and say why. Its timer is not touched."""
    values = {"this_id": id, "quarantined_reason": reason, "updated_at": micros(now)}
    tx.connection.execute(_QUARANTINE, values)


# ---- rows ----------------------------------------------------------------------------------------


def _changeable(schedule: Schedule) -> dict[str, Any]:
    rule, change = schedule.recurrence, schedule.data_change
    return {
        "name": schedule.name,
        "description": schedule.description,
        "pipeline_id": schedule.pipeline_id,
        "pipeline_endpoint_id": schedule.pipeline_endpoint_id,
        "experiment": schedule.experiment,
        "parameters": dumps(schedule.parameters),
        "status": schedule.status.value,
        "recurrence": None if rule is None else RECURRENCE.dump_json(rule).decode(),
        "data_change": None if change is None else DATA_CHANGE.dump_json(change).decode(),
        "continue_on_step_failure": schedule.continue_on_step_failure,
        "catch_up": schedule.catch_up.value,
        "catch_up_window_seconds": schedule.catch_up_window_seconds,
        "overlap": schedule.overlap.value,
        "run_on_create": schedule.run_on_create,
        "next_fire_time": micros_or_none(schedule.next_fire_time),
        "failures": schedule.failures,
        "quarantined_reason": schedule.quarantined_reason,
        "updated_at": micros(schedule.updated_at),
    }


_STATUS = {status.value: status for status in Status}
_CATCH_UP = {catch_up.value: catch_up for catch_up in CatchUp}
_OVERLAP = {overlap.value: overlap for overlap in Overlap}


def _schedule(row: Sequence[Any]) -> Schedule:
    # By position, in the order of the table: this is the hot path, and looking the columns up by
    # name takes longer than the database takes to find the row.
    (
        id,
        workspace_id,
        name,
        description,
        pipeline_id,
        pipeline_endpoint_id,
        experiment,
        parameters,
        status,
        recurrence,
        data_change,
        continue_on_step_failure,
        catch_up,
        catch_up_window_seconds,
        overlap,
        run_on_create,
        next_fire_time,
        failures,
        quarantined_reason,
        created_at,
        updated_at,
        created_by,
    ) = row
    return Schedule(
        id=id,
        workspace_id=workspace_id,
        name=name,
        description=description,
        pipeline_id=pipeline_id,
        pipeline_endpoint_id=pipeline_endpoint_id,
        experiment=experiment,
        parameters=loads(parameters),
        status=_STATUS[status],
        recurrence=None if recurrence is None else _recurrence(recurrence),
        data_change=None if data_change is None else _data_change(data_change),
        continue_on_step_failure=continue_on_step_failure,
        catch_up=_CATCH_UP[catch_up],
        catch_up_window_seconds=catch_up_window_seconds,
        overlap=_OVERLAP[overlap],
        run_on_create=run_on_create,
        next_fire_time=instant(next_fire_time),
        failures=failures,
        quarantined_reason=quarantined_reason,
        created_at=at(created_at),
        updated_at=at(updated_at),
        created_by=created_by,
    )


# A due schedule is loaded at each of its fires, and its rule seldom changes.
@lru_cache(maxsize=32_768)
def _recurrence(text: str) -> Recurrence:
    return RECURRENCE.validate_json(text)


@lru_cache(maxsize=4_096)
def _data_change(text: str) -> DataChange:
    return DATA_CHANGE.validate_json(text)
