"""Fires: the record of each evaluation of a trigger, under a key that lets it happen only once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from penstock.core.due import Outcome
from penstock.core.model import Fire
from penstock.store import pages
from penstock.store.database import (
    AlreadyThere,
    Transaction,
    at,
    instant,
    micros,
    micros_or_none,
)
from penstock.store.pages import Page
from penstock.store.statements import INSERT, Bulk
from penstock.store.tables import fires

__all__ = ["AlreadyThere", "find", "insert", "insert_many", "last", "list"]

_SOURCE = fires.c.source_id == sa.bindparam("this_source")
_NEWEST = (fires.c.fired_at, fires.c.fire_key)

_INSERT = Bulk(sa.insert(fires))
_INSERT_UNLESS_THERE = Bulk(
    {
        kind: insert_into(fires).on_conflict_do_nothing(
            index_elements=(fires.c.source_id, fires.c.fire_key)
        )
        for kind, insert_into in INSERT.items()
    }
)
_ONE = sa.select(fires).where(_SOURCE, fires.c.fire_key == sa.bindparam("this_key"))
_LAST = sa.select(fires).where(_SOURCE).order_by(*(column.desc() for column in _NEWEST)).limit(1)
_LAST_OF = _LAST.where(fires.c.outcome == sa.bindparam("this_outcome"))


def insert(tx: Transaction, fire: Fire) -> bool:
    """Store a fire; False, and nothing stored, if it was done before (same source and key)."""
    return _INSERT_UNLESS_THERE.run(tx, [_values(fire)]) == 1


def insert_many(tx: Transaction, many: Sequence[Fire]) -> None:
    """Store fires, none of which may be there; use it in a savepoint.

    Raises:
        AlreadyThere: at least one of them was done before. Roll back to the savepoint.
    """
    ordered = sorted(many, key=lambda fire: (fire.source_id, fire.fire_key))
    _INSERT.run(tx, [_values(fire) for fire in ordered])


def find(tx: Transaction, source_id: str, fire_key: str) -> Fire | None:
    """Return the fire of that source and key, or None if it was not done yet."""
    key = {"this_source": source_id, "this_key": fire_key}
    row = tx.connection.execute(_ONE, key).first()
    return None if row is None else _fire(row)


def last(tx: Transaction, source_id: str, outcome: Outcome | None = None) -> Fire | None:
    """Return the newest fire of a source, of any outcome or of one; None if there is none."""
    if outcome is None:
        row = tx.connection.execute(_LAST, {"this_source": source_id}).first()
    else:
        wanted = {"this_source": source_id, "this_outcome": outcome.value}
        row = tx.connection.execute(_LAST_OF, wanted).first()
    return None if row is None else _fire(row)


def list(
    tx: Transaction,
    source_id: str,
    *,
    outcomes: Sequence[Outcome] | None = None,
    after: str | None = None,
    limit: int = 100,
) -> Page[Fire]:
    """Return a page of the fires of a source, newest evaluation first."""
    query = sa.select(fires).where(fires.c.source_id == source_id)
    if outcomes is not None:
        query = query.where(fires.c.outcome.in_([outcome.value for outcome in outcomes]))
    return pages.fetch(tx, query, _NEWEST, make=_fire, after=after, limit=limit)


def _values(fire: Fire) -> dict[str, Any]:
    return {
        "source_id": fire.source_id,
        "fire_key": fire.fire_key,
        "fire_time": micros_or_none(fire.fire_time),
        "fired_at": micros(fire.fired_at),
        "outcome": fire.outcome.value,
        "reason": fire.reason,
        "run_id": fire.run_id,
        "count": fire.count,
        "through_time": micros_or_none(fire.through_time),
    }


def _fire(row: sa.Row[Any]) -> Fire:
    return Fire(
        source_id=row.source_id,
        fire_key=row.fire_key,
        fire_time=instant(row.fire_time),
        fired_at=at(row.fired_at),
        outcome=Outcome(row.outcome),
        reason=row.reason,
        run_id=row.run_id,
        count=row._mapping["count"],  # row.count is the tuple's own method
        through_time=instant(row.through_time),
    )
