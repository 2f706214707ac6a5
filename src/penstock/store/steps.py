"""Step runs: where each step of a run stands, and the waiting line of each compute target.

A step run is written by whoever holds its newest attempt: each move names the attempt and the
state that the writer saw, and is refused if either is another one by now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from penstock.core.model import StepPlace, StepRun
from penstock.core.states import StepState
from penstock.errors import NotFound
from penstock.store.database import (
    Transaction,
    chunks,
    dumps,
    instant,
    loads,
    micros,
    micros_or_none,
)
from penstock.store.statements import Bulk, Query
from penstock.store.tables import STEP_IN_LINE, step_runs

_THIS = step_runs.c.id == sa.bindparam("this_id")
_COMPUTE = step_runs.c.compute == sa.bindparam("this_compute")

_INSERT = Bulk(sa.insert(step_runs))
_ONE = Query(sa.select(step_runs).where(_THIS))
_MANY = sa.select(step_runs).where(step_runs.c.id.in_(sa.bindparam("ids", expanding=True)))
_FOR_RUNS = (
    sa.select(step_runs)
    .where(step_runs.c.run_id.in_(sa.bindparam("ids", expanding=True)))
    .order_by(step_runs.c.run_id, step_runs.c.step_id)
)


# ---- storing -------------------------------------------------------------------------------------


def insert_many(tx: Transaction, many: Sequence[StepRun]) -> None:
    """Store new step runs; raise AlreadyThere if a run has one of those steps."""
    _INSERT.run(tx, [_values(step_run) for step_run in many])


def move(
    tx: Transaction,
    step_run_id: str,
    *,
    expected_attempt: int,
    expected_state: StepState,
    **columns: Any,
) -> bool:
    """Change a step run; False, and nothing written, if its attempt or state is another one.

    Args:
        tx: the transaction.
        step_run_id: the step run.
        expected_attempt: the attempt the caller works for.
        expected_state: the state it was seen in. Whether a move exists is for core.states to say.
        columns: fields of StepRun with their new values.
    """
    values = {name: _stored(value) for name, value in columns.items()}
    fence = {
        "this_id": step_run_id,
        "expected_attempt": expected_attempt,
        "expected_state": expected_state.value,
    }
    return _moving(tuple(sorted(values))).run(tx, [fence | values]) == 1


@lru_cache(maxsize=256)
def _moving(names: tuple[str, ...]) -> Bulk:
    return Bulk(
        sa.update(step_runs)
        .where(
            _THIS,
            step_runs.c.attempt == sa.bindparam("expected_attempt"),
            step_runs.c.state == sa.bindparam("expected_state"),
        )
        .values({step_runs.c[name]: sa.bindparam(name) for name in names})
    )


def _stored(value: Any) -> Any:
    if isinstance(value, datetime):
        return micros(value)
    if isinstance(value, StrEnum):
        return value.value
    return dumps(value) if isinstance(value, Mapping) else value


def set_notes(
    tx: Transaction,
    step_run_id: str,
    *,
    tags: Mapping[str, str] | None = None,
    properties: Mapping[str, str] | None = None,
) -> None:
    """Replace the tags or properties of a step run; those that are None stay as they are."""
    given = {"tags": tags, "properties": properties}
    columns = {name: dumps(value) for name, value in given.items() if value is not None}
    if columns:
        statement = sa.update(step_runs).where(step_runs.c.id == step_run_id).values(columns)
        tx.connection.execute(statement)


# ---- finding -------------------------------------------------------------------------------------


def find(tx: Transaction, id: str) -> StepRun | None:
    """Return the step run of that id, in any workspace, or None."""
    row = _ONE.rows(tx, {"this_id": id}).first()
    return None if row is None else _step_run(row)


def get(tx: Transaction, id: str) -> StepRun:
    """Return the step run of that id; raise NotFound if there is none."""
    step_run = find(tx, id)
    if step_run is None:
        raise NotFound(kind="step run", id=id)
    return step_run


def get_many(tx: Transaction, ids: Sequence[str]) -> dict[str, StepRun]:
    """Return the step runs of those ids by id; those that are not there are left out."""
    if len(ids) == 1:  # by far the most frequent question
        only = find(tx, ids[0])
        return {} if only is None else {only.id: only}
    return {
        row[0]: _step_run(row)
        for some in chunks(ids)
        for row in tx.connection.execute(_MANY, {"ids": some}).all()
    }


def for_runs(tx: Transaction, run_ids: Sequence[str]) -> dict[str, list[StepRun]]:
    """Return the step runs of each of the runs, by step id; [] for a run that has none yet."""
    found: dict[str, list[StepRun]] = {run_id: [] for run_id in run_ids}
    for some in chunks(run_ids):
        for row in tx.connection.execute(_FOR_RUNS, {"ids": some}):
            found[row.run_id].append(_step_run(row))
    return found


_PLACES = Query(
    sa.select(
        step_runs.c.id,
        step_runs.c.step_id,
        step_runs.c.state,
        step_runs.c.attempt,
        step_runs.c.compute,
    ).where(step_runs.c.run_id == sa.bindparam("this_run"))
)
_STATES = {state.value: state for state in StepState}


def places(tx: Transaction, run_ids: Sequence[str]) -> dict[str, dict[str, StepPlace]]:
    """Return where the steps of each run stand, by run and step id; {} for a run that has none
    yet."""
    return {
        run_id: {
            step_id: StepPlace(id, run_id, step_id, _STATES[state], attempt, compute)
            for id, step_id, state, attempt, compute in _PLACES.rows(tx, {"this_run": run_id})
        }
        for run_id in run_ids
    }


# ---- waiting lines -------------------------------------------------------------------------------

# STEP_IN_LINE is repeated so that both databases see that the partial index fits.
_NEXT_IN_LINE = Query(
    sa.select(step_runs)
    .where(_COMPUTE, STEP_IN_LINE, step_runs.c.state == sa.bindparam("this_state"))
    .where(
        sa.or_(step_runs.c.available_at.is_(None), step_runs.c.available_at <= sa.bindparam("now"))
    )
    .order_by(step_runs.c.queued_at, step_runs.c.id)
    .limit(sa.bindparam("limit", type_=sa.Integer))
    .with_for_update(skip_locked=True)
)
_COUNTS = (
    sa.select(step_runs.c.state, sa.func.count())
    .where(_COMPUTE, STEP_IN_LINE)
    .group_by(step_runs.c.state)
)


def next_in_line(tx: Transaction, compute: str, now: datetime, limit: int) -> list[StepRun]:
    """Return queued step runs of a compute target that may start, longest queued first.

    At most `limit`. Those whose `available_at` lies after `now` wait on. What is returned is held
    until the transaction ends.
    """
    wanted = {
        "this_compute": compute,
        "this_state": StepState.QUEUED.value,
        "now": micros(now),
        "limit": limit,
    }
    return [_step_run(row) for row in _NEXT_IN_LINE.rows(tx, wanted)]


def counts(tx: Transaction, compute: str) -> tuple[int, int]:
    """Return how many step runs are running on a compute target, and how many are queued for it."""
    rows = tx.connection.execute(_COUNTS, {"this_compute": compute})
    by_state = {row[0]: row[1] for row in rows}
    return by_state.get(StepState.RUNNING.value, 0), by_state.get(StepState.QUEUED.value, 0)


_COUNT_RUNNING = Query(
    sa.select(sa.func.count()).where(
        _COMPUTE, STEP_IN_LINE, step_runs.c.state == StepState.RUNNING.value
    )
)
_RUNNING_IDS = sa.select(step_runs.c.id).where(
    STEP_IN_LINE, step_runs.c.state == StepState.RUNNING.value
)
_WAITING_IDS = sa.select(step_runs.c.id).where(
    STEP_IN_LINE,
    step_runs.c.state == StepState.QUEUED.value,
    step_runs.c.available_at > sa.bindparam("after"),
)


def count_running(tx: Transaction, compute: str) -> int:
    """Return how many step runs are running on a compute target; the length of its line costs
    nothing."""
    count: int = _COUNT_RUNNING.rows(tx, {"this_compute": compute}).scalar_one()
    return count


def running_ids(tx: Transaction) -> list[str]:
    """Return the ids of all step runs that are running, on any compute target."""
    return list(tx.connection.execute(_RUNNING_IDS).scalars())


def waiting_ids(tx: Transaction, after: datetime) -> list[str]:
    """Return the ids of all queued step runs that may not start before some instant after
    `after`."""
    wanted = {"after": micros(after)}
    return list(tx.connection.execute(_WAITING_IDS, wanted).scalars())


def lock_line(tx: Transaction, compute: str) -> None:
    """Hold a compute target's line until the transaction ends.

    So that what is running there is counted by the transaction that starts more of it, and by no
    other at the same time.
    """
    tx.lock(f"line/{compute}")


# ---- rows ----------------------------------------------------------------------------------------


def _values(step_run: StepRun) -> dict[str, Any]:
    return {
        "id": step_run.id,
        "run_id": step_run.run_id,
        "step_id": step_run.step_id,
        "name": step_run.name,
        "state": step_run.state.value,
        "attempt": step_run.attempt,
        "attempts_lost": step_run.attempts_lost,
        "compute": step_run.compute,
        "available_at": micros_or_none(step_run.available_at),
        "queued_at": micros_or_none(step_run.queued_at),
        "started_at": micros_or_none(step_run.started_at),
        "ended_at": micros_or_none(step_run.ended_at),
        "exit_code": step_run.exit_code,
        "error": step_run.error,
        "tags": dumps(step_run.tags),
        "properties": dumps(step_run.properties),
    }


_COLUMNS = tuple(step_runs.c.keys())


def _step_run(row: sa.Row[Any]) -> StepRun:
    values: dict[str, Any] = dict(zip(_COLUMNS, row, strict=True))
    values["state"] = StepState(values["state"])
    for name in ("tags", "properties"):
        values[name] = loads(values[name])
    for name in ("available_at", "queued_at", "started_at", "ended_at"):
        values[name] = instant(values[name])
    return StepRun(**values)
