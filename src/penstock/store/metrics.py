"""Metrics: what runs and step runs logged, in order."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from penstock.core.model import JsonValue, Metric
from penstock.store.database import (
    Transaction,
    at,
    chunks,
    dumps,
    loads,
    micros,
)
from penstock.store.statements import Bulk
from penstock.store.tables import metrics

_NAMES: sa.BindParameter[str] = sa.bindparam("names", expanding=True)

_INSERT = Bulk(sa.insert(metrics))
_LAST_SEQUENCES = (
    sa.select(metrics.c.name, sa.func.max(metrics.c.sequence))
    .where(metrics.c.run_id == sa.bindparam("this_run"), metrics.c.name.in_(_NAMES))
    .group_by(metrics.c.name)
)
_OF_RUNS = (
    sa.select(metrics)
    .where(metrics.c.run_id.in_(sa.bindparam("ids", expanding=True)))
    .order_by(metrics.c.run_id, metrics.c.name, metrics.c.sequence)
)
_NAMED = _OF_RUNS.where(metrics.c.name == sa.bindparam("this_name"))


def append(
    tx: Transaction,
    run_id: str,
    drafts: Sequence[tuple[str, str, JsonValue, int | None]],
    now: datetime,
) -> None:
    """Store values in the order given; each goes on with the sequence of its name.

    Args:
        tx: the transaction.
        run_id: a run or step run.
        drafts: name, kind, value and step of each.
        now: when they were logged.
    """
    if not drafts:
        return
    tx.lock(f"metrics/{run_id}")
    following = _following(tx, run_id, sorted({name for name, *_ in drafts}))
    rows = []
    for name, kind, value, step in drafts:
        sequence = following.get(name, 0)
        following[name] = sequence + 1
        rows.append(
            {
                "run_id": run_id,
                "name": name,
                "sequence": sequence,
                "kind": kind,
                "value": dumps(value),
                "step": step,
                "logged_at": micros(now),
            }
        )
    _INSERT.run(tx, rows)


def _following(tx: Transaction, run_id: str, names: Sequence[str]) -> dict[str, int]:
    """Return, for each name that was logged before, the sequence that comes next."""
    return {
        row[0]: row[1] + 1
        for some in chunks(names)
        for row in tx.connection.execute(_LAST_SEQUENCES, {"this_run": run_id, "names": some})
    }


def list(tx: Transaction, run_ids: Sequence[str], name: str | None = None) -> builtins.list[Metric]:
    """Return what runs or step runs logged, under any name or one: by run, name and sequence."""
    found: builtins.list[Metric] = []
    for some in chunks(sorted(run_ids)):
        if name is None:
            rows = tx.connection.execute(_OF_RUNS, {"ids": some})
        else:
            rows = tx.connection.execute(_NAMED, {"ids": some, "this_name": name})
        found += [_metric(row) for row in rows]
    return found


def _metric(row: sa.Row[Any]) -> Metric:
    return Metric(
        run_id=row.run_id,
        name=row.name,
        sequence=row.sequence,
        kind=row.kind,
        value=loads(row.value),
        step=row.step,
        logged_at=at(row.logged_at),
    )
