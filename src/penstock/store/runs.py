"""Runs of pipelines: what was asked for, where it stands, and how it ended."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from penstock.core.model import Run
from penstock.core.states import RUN_ENDS, RunState
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
from penstock.store.tables import UNFINISHED_RUN, runs

_THIS = runs.c.id == sa.bindparam("this_id")
_WORKSPACE = runs.c.workspace_id == sa.bindparam("this_workspace")
_NEWEST = (runs.c.created_at, runs.c.id)

_INSERT = sa.insert(runs)
_INSERT_MANY = Bulk(_INSERT)
_ONE = sa.select(runs).where(_THIS)
_ONE_OF_WORKSPACE = _ONE.where(_WORKSPACE)
_MANY = sa.select(runs).where(runs.c.id.in_(sa.bindparam("ids", expanding=True)))
_SUBMITTED = sa.select(runs).where(_WORKSPACE, runs.c.submission_key == sa.bindparam("this_key"))
_ACTIVE = (
    sa.select(runs)
    .where(runs.c.schedule_id == sa.bindparam("this_schedule"), UNFINISHED_RUN)
    .order_by(*_NEWEST)
)
_ACTIVE_COUNTS = (
    sa.select(runs.c.schedule_id, sa.func.count())
    .where(runs.c.schedule_id.in_(sa.bindparam("ids", expanding=True)), UNFINISHED_RUN)
    .group_by(runs.c.schedule_id)
)


# ---- storing -------------------------------------------------------------------------------------


def insert(tx: Transaction, run: Run, submission_key: str | None = None) -> None:
    """Store a new run.

    Args:
        tx: the transaction.
        run: the run.
        submission_key: what the caller chose to recognise a repeated submission by.

    Raises:
        AlreadyThere: a run of that workspace has that submission key.
    """
    tx.connection.execute(_INSERT, _values(run, submission_key))


def insert_many(tx: Transaction, many: Sequence[Run]) -> None:
    """Store new runs."""
    _INSERT_MANY.run(tx, [_values(run, None) for run in many])


def move(
    tx: Transaction,
    run_id: str,
    *,
    expected: RunState,
    state: RunState,
    at: datetime,
    error: str | None = None,
) -> bool:
    """Move a run from `expected` to `state`; False, and nothing written, if it is elsewhere.

    Entering Running sets `started_at`, entering a terminal state sets `ended_at`.

    Args:
        tx: the transaction.
        run_id: the run.
        expected: the state it was seen in.
        state: the state it enters. Whether that move exists is for core.states to say.
        at: when.
        error: why it failed; None leaves what is there.
    """
    columns: dict[str, Any] = {"state": state.value}
    if state is RunState.RUNNING:
        columns["started_at"] = micros(at)
    if state in RUN_ENDS:
        columns["ended_at"] = micros(at)
    if error is not None:
        columns["error"] = error
    statement = (
        sa.update(runs).where(runs.c.id == run_id, runs.c.state == expected.value).values(columns)
    )
    return tx.connection.execute(statement).rowcount == 1


_REQUEST_CANCEL = (
    sa.update(runs)
    .where(_THIS, runs.c.cancel_requested_at.is_(None), UNFINISHED_RUN)
    .values(cancel_requested_at=sa.bindparam("requested_at"))
)


def request_cancel(tx: Transaction, run_id: str, now: datetime) -> bool:
    """Note that a run shall be cancelled; False if it has ended or that was asked for before."""
    values = {"this_id": run_id, "requested_at": micros(now)}
    return tx.connection.execute(_REQUEST_CANCEL, values).rowcount == 1


def set_notes(
    tx: Transaction,
    run_id: str,
    *,
    tags: Mapping[str, str] | None = None,
    properties: Mapping[str, str] | None = None,
    description: str | None = None,
) -> None:
    """Replace the tags, properties or description of a run; what is None stays as it is."""
    columns: dict[str, Any] = {}
    if tags is not None:
        columns["tags"] = dumps(tags)
    if properties is not None:
        columns["properties"] = dumps(properties)
    if description is not None:
        columns["description"] = description
    if columns:
        tx.connection.execute(sa.update(runs).where(runs.c.id == run_id).values(columns))


# ---- finding -------------------------------------------------------------------------------------


def find(tx: Transaction, id: str) -> Run | None:
    """Return the run of that id, in any workspace, or None."""
    row = tx.connection.execute(_ONE, {"this_id": id}).first()
    return None if row is None else _run(row)


def get(tx: Transaction, workspace_id: str, id: str) -> Run:
    """Return the run of that id; raise NotFound if the workspace has none."""
    key = {"this_id": id, "this_workspace": workspace_id}
    row = tx.connection.execute(_ONE_OF_WORKSPACE, key).first()
    if row is None:
        raise NotFound(kind="run", id=id)
    return _run(row)


def get_many(tx: Transaction, ids: Sequence[str]) -> dict[str, Run]:
    """Return the runs of those ids, in any workspace, by id; what is not there is left out."""
    return {
        row[0]: _run(row)
        for some in chunks(ids)
        for row in tx.connection.execute(_MANY, {"ids": some}).all()
    }


def find_by_submission_key(tx: Transaction, workspace_id: str, key: str) -> Run | None:
    """Return the run that was submitted to the workspace with that key, or None."""
    wanted = {"this_workspace": workspace_id, "this_key": key}
    row = tx.connection.execute(_SUBMITTED, wanted).first()
    return None if row is None else _run(row)


def active_for_schedule(tx: Transaction, schedule_id: str) -> builtins.list[Run]:
    """Return the runs of a schedule that have not ended, oldest first."""
    rows = tx.connection.execute(_ACTIVE, {"this_schedule": schedule_id})
    return [_run(row) for row in rows]


_UNFINISHED_IDS = sa.select(runs.c.id).where(UNFINISHED_RUN)


def unfinished_ids(tx: Transaction) -> builtins.list[str]:
    """Return the ids of all runs that have not ended, in any workspace."""
    return builtins.list(tx.connection.execute(_UNFINISHED_IDS).scalars())


def active_counts(tx: Transaction, schedule_ids: Sequence[str]) -> dict[str, int]:
    """Return, for each of the schedules, how many of its runs have not ended."""
    counts = dict.fromkeys(schedule_ids, 0)
    for some in chunks(schedule_ids):
        rows = tx.connection.execute(_ACTIVE_COUNTS, {"ids": some})
        counts.update((row[0], row[1]) for row in rows)
    return counts


def list(
    tx: Transaction,
    workspace_id: str,
    *,
    experiment: str | None = None,
    pipeline_id: str | None = None,
    schedule_id: str | None = None,
    states: Sequence[RunState] | None = None,
    parent_run_id: str | None = None,
    tags: Mapping[str, str | None] | None = None,
    after: str | None = None,
    limit: int = 100,
) -> Page[Run]:
    """Return a page of runs, newest first; a filter that is None lets everything through.

    Args:
        tx: the transaction. workspace_id: where. experiment: only runs of this experiment.
        pipeline_id: only runs of this published pipeline. schedule_id: only runs that this schedule
        started. states: only runs in one of these states. parent_run_id: only runs that this run
        submitted. tags: only runs that have each of these tags, with that value, or any value where
        it is None. after: `next` of the page before. limit: the most runs on a page.

    Raises:
        Invalid: `after` is not a cursor.
    """
    query = sa.select(runs).where(runs.c.workspace_id == workspace_id)
    for column, value in (
        (runs.c.experiment, experiment),
        (runs.c.pipeline_id, pipeline_id),
        (runs.c.schedule_id, schedule_id),
        (runs.c.parent_run_id, parent_run_id),
    ):
        if value is not None:
            query = query.where(column == value)
    if states is not None:
        query = query.where(runs.c.state.in_([state.value for state in states]))
    for name, wanted in (tags or {}).items():
        query = query.where(_has_tag(tx.kind, name, wanted))
    return pages.fetch(tx, query, _NEWEST, make=_run, after=after, limit=limit)


def _has_tag(kind: str, name: str, value: str | None) -> sa.ColumnElement[bool]:
    if kind == "postgresql":
        each = sa.func.json_each_text(sa.cast(runs.c.tags, sa.JSON))
    else:
        each = sa.func.json_each(runs.c.tags)
    pairs = each.table_valued("key", "value", name="tag")
    query = sa.select(sa.literal(1)).select_from(pairs).where(pairs.c.key == name)
    if value is not None:
        query = query.where(pairs.c.value == value)
    return query.exists()


# ---- rows ----------------------------------------------------------------------------------------


def _values(run: Run, submission_key: str | None) -> dict[str, Any]:
    return {
        "id": run.id,
        "workspace_id": run.workspace_id,
        "experiment": run.experiment,
        "graph_id": run.graph_id,
        "pipeline_id": run.pipeline_id,
        "state": run.state.value,
        "source": run.source,
        "schedule_id": run.schedule_id,
        "fire_time": micros_or_none(run.fire_time),
        "cause": run.cause,
        "is_queued": run.is_queued,
        "parent_run_id": run.parent_run_id,
        "description": run.description,
        "parameters": dumps(run.parameters),
        "continue_on_step_failure": run.continue_on_step_failure,
        "regenerate_outputs": run.regenerate_outputs,
        "tags": dumps(run.tags),
        "properties": dumps(run.properties),
        "cancel_requested_at": micros_or_none(run.cancel_requested_at),
        "error": run.error,
        "submission_key": submission_key,
        "created_at": micros(run.created_at),
        "created_by": run.created_by,
        "started_at": micros_or_none(run.started_at),
        "ended_at": micros_or_none(run.ended_at),
    }


_STATES = {state.value: state for state in RunState}


def _run(row: Sequence[Any]) -> Run:
    # By position, in the order of the table; see schedules.
    (
        id,
        workspace_id,
        experiment,
        graph_id,
        pipeline_id,
        state,
        source,
        schedule_id,
        fire_time,
        cause,
        is_queued,
        parent_run_id,
        description,
        parameters,
        continue_on_step_failure,
        regenerate_outputs,
        tags,
        properties,
        cancel_requested_at,
        error,
        _submission_key,
        created_at,
        created_by,
        started_at,
        ended_at,
    ) = row
    return Run(
        id=id,
        workspace_id=workspace_id,
        experiment=experiment,
        graph_id=graph_id,
        pipeline_id=pipeline_id,
        state=_STATES[state],
        source=source,
        schedule_id=schedule_id,
        fire_time=instant(fire_time),
        cause=cause,
        is_queued=is_queued,
        parent_run_id=parent_run_id,
        description=description,
        parameters=loads(parameters),
        continue_on_step_failure=continue_on_step_failure,
        regenerate_outputs=regenerate_outputs,
        tags=loads(tags),
        properties=loads(properties),
        cancel_requested_at=instant(cancel_requested_at),
        error=error,
        created_at=at(created_at),
        created_by=created_by,
        started_at=instant(started_at),
        ended_at=instant(ended_at),
    )
