"""The due-queue: one row says when the handler of one subject must next look at it.

A claim is a postponement: it moves `due_at` forward by the lease and raises `token`. The handler's
last write names the token it was given; if the lease ran out and somebody else claimed the timer,
or an event armed it anew, the token is another one and the write is refused. Nobody has to be
rescued: the timer of a handler that died becomes due again by itself.

Rows are always locked in the order of their key, so that two writers never wait for each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

from penstock.core.model import Timer
from penstock.store.database import (
    Transaction,
    at,
    instant,
    micros,
    new_token,
)
from penstock.store.statements import INSERT, Bulk, Query
from penstock.store.tables import timers

_KEY = (timers.c.kind, timers.c.subject_id)

_THIS = sa.and_(
    timers.c.kind == sa.bindparam("this_kind"), timers.c.subject_id == sa.bindparam("this_subject")
)
# In the statement's text, since Bulk passes named parameters only.
_ZERO: sa.ColumnClause[int] = sa.literal_column("0")
_ONE: sa.ColumnClause[int] = sa.literal_column("1")
_THIS_TOKEN = sa.and_(_THIS, timers.c.token == sa.bindparam("this_token"))


# ---- arming --------------------------------------------------------------------------------------


def _arming(kind: str, *, is_exact: bool) -> Any:
    insert = INSERT[kind](timers)
    new = insert.excluded.due_at
    earlier = sa.case((new < timers.c.due_at, new), else_=timers.c.due_at)
    return insert.on_conflict_do_update(
        index_elements=_KEY,
        set_={
            "due_at": new if is_exact else earlier,
            "token": timers.c.token + _ONE,
            "attempts": _ZERO,
        },
    )


_ARM = Bulk({kind: _arming(kind, is_exact=False) for kind in INSERT})
_PUT = Bulk({kind: _arming(kind, is_exact=True) for kind in INSERT})


def arm(tx: Transaction, kind: str, subject_id: str, due_at: datetime) -> None:
    """Make the subject due at `due_at`, or leave it due earlier if it is.

    A handler that holds the timer now cannot write back any more: what it saw is out of date.
    """
    _ARM.run(tx, [_new(kind, subject_id, due_at)])


def arm_many(tx: Transaction, rows: Sequence[tuple[str, str, datetime]]) -> None:
    """Arm many timers, each given as (kind, subject_id, due_at); see `arm`."""
    _ARM.run(tx, [_new(*row) for row in sorted(rows)])


def put(tx: Transaction, kind: str, subject_id: str, due_at: datetime) -> None:
    """Make the subject due at exactly `due_at`, whenever it was due before; see `arm`."""
    _PUT.run(tx, [_new(kind, subject_id, due_at)])


def _new(kind: str, subject_id: str, due_at: datetime) -> dict[str, Any]:
    return {
        "kind": kind,
        "subject_id": subject_id,
        "due_at": micros(due_at),
        "token": new_token(),
        "attempts": 0,
    }


# ---- taking --------------------------------------------------------------------------------------

# Due timers of a kind, longest due first. The lock is rendered for PostgreSQL only; rows that
# another daemon has locked are passed over.
_DUE = (
    sa.select(
        timers.c.kind, timers.c.subject_id, timers.c.due_at, timers.c.token, timers.c.attempts
    )
    .where(timers.c.kind == sa.bindparam("this_kind"), timers.c.due_at <= sa.bindparam("now"))
    .order_by(timers.c.due_at, timers.c.subject_id)
    .limit(sa.bindparam("limit", type_=sa.Integer))
    .with_for_update(skip_locked=True)
)

_POSTPONE = Bulk(
    sa.update(timers)
    .where(_THIS)
    .values(
        due_at=sa.bindparam("until"), token=timers.c.token + _ONE, attempts=timers.c.attempts + _ONE
    )
)


def claim(
    tx: Transaction, kinds: Sequence[str], now: datetime, lease_seconds: float, limit: int
) -> list[Timer]:
    """Take at most `limit` due timers, longest due first, by postponing them by the lease.

    For handlers that work outside of the transaction. What is returned has the new token and counts
    this attempt; its `due_at` is when it was due, so that the handler can tell how late it is.

    Args:
        tx: the transaction; the claim holds once it is committed.
        kinds: the kinds wanted.
        now: the present instant.
        lease_seconds: how long the handler has before the timers are due again.
        limit: the most that are taken.
    """
    rows = _due(tx, kinds, now, limit)
    if not rows:
        return []
    until = micros(now + timedelta(seconds=lease_seconds))
    postponed = [{"this_kind": row[0], "this_subject": row[1], "until": until} for row in rows]
    _POSTPONE.run(tx, postponed)
    return [
        Timer(
            kind=row[0], subject_id=row[1], due_at=at(row[2]), token=row[3] + 1, attempts=row[4] + 1
        )
        for row in rows
    ]


def due(tx: Transaction, kind: str, now: datetime, limit: int) -> list[Timer]:
    """Return at most `limit` due timers, longest due first, held until the transaction ends.

    For handlers that do all their work in this transaction, and re-arm or finish what they got.
    """
    return [
        Timer(kind=row[0], subject_id=row[1], due_at=at(row[2]), token=row[3], attempts=row[4])
        for row in _due(tx, [kind], now, limit)
    ]


def _due(tx: Transaction, kinds: Sequence[str], now: datetime, limit: int) -> list[Sequence[Any]]:
    """Return the rows of the `limit` timers that are due longest.

    Kind by kind, since the index begins with it: each is one short search, however many timers of
    other kinds sleep or wait.
    """
    rows: list[Sequence[Any]] = []
    for kind in kinds:
        wanted = {"this_kind": kind, "now": micros(now), "limit": limit}
        rows += tx.connection.execute(_DUE, wanted).all()
    rows.sort(key=itemgetter(2, 0, 1))
    return rows[:limit]


# ---- giving back ---------------------------------------------------------------------------------

_REARM = sa.update(timers).where(_THIS_TOKEN).values(due_at=sa.bindparam("until"), attempts=_ZERO)
_REARM_KEEPING = sa.update(timers).where(_THIS_TOKEN).values(due_at=sa.bindparam("until"))
_REARM_MANY = Bulk(_REARM)
_FINISH = sa.delete(timers).where(_THIS_TOKEN)
_FINISH_MANY = Bulk(_FINISH)
_DISARM = Bulk(sa.delete(timers).where(_THIS))


def rearm(tx: Transaction, timer: Timer, due_at: datetime, *, keep_attempts: bool = False) -> bool:
    """Make a timer that was taken due at `due_at`; False, and nothing written, if it is lost.

    Args:
        tx: the transaction.
        timer: as `claim` or `due` returned it.
        due_at: when it is due next.
        keep_attempts: the attempt failed: go on counting.
    """
    statement = _REARM_KEEPING if keep_attempts else _REARM
    return tx.connection.execute(statement, _held(timer) | {"until": micros(due_at)}).rowcount == 1


def rearm_many(tx: Transaction, rows: Sequence[tuple[Timer, datetime]]) -> int:
    """Re-arm timers, each at its instant; return how many still had their token."""
    ordered = sorted(rows, key=lambda row: (row[0].kind, row[0].subject_id))
    held = [_held(timer) | {"until": micros(due_at)} for timer, due_at in ordered]
    return _REARM_MANY.run(tx, held)


def finish(tx: Transaction, timer: Timer) -> bool:
    """Delete a timer that was taken; False, and nothing deleted, if its token is lost."""
    return tx.connection.execute(_FINISH, _held(timer)).rowcount == 1


def finish_many(tx: Transaction, taken: Sequence[Timer]) -> int:
    """Delete timers that were taken; return how many still had their token."""
    ordered = sorted(taken, key=lambda timer: (timer.kind, timer.subject_id))
    return _FINISH_MANY.run(tx, [_held(timer) for timer in ordered])


def disarm(tx: Transaction, kind: str, subject_id: str) -> None:
    """Delete the subject's timer, if there is one, whoever holds it."""
    disarm_many(tx, kind, [subject_id])


def disarm_many(tx: Transaction, kind: str, subject_ids: Sequence[str]) -> None:
    """Delete the timers of many subjects; see `disarm`."""
    ordered = [{"this_kind": kind, "this_subject": subject} for subject in sorted(subject_ids)]
    _DISARM.run(tx, ordered)


def _held(timer: Timer) -> dict[str, Any]:
    return {
        "this_kind": timer.kind,
        "this_subject": timer.subject_id,
        "this_token": timer.token,
    }


# ---- looking -------------------------------------------------------------------------------------

_FIND = sa.select(
    timers.c.kind, timers.c.subject_id, timers.c.due_at, timers.c.token, timers.c.attempts
).where(_THIS)

_HOLD = _FIND.with_for_update()

_NEXT = Query(
    sa.select(timers.c.due_at)
    .where(timers.c.kind == sa.bindparam("this_kind"))
    .order_by(timers.c.due_at)
    .limit(1)
)


def _every_kind() -> sa.CTE:
    """The kinds there are, each found by one search for the one that follows the last."""
    first = sa.select(sa.func.min(timers.c.kind).label("kind")).cte("kinds", recursive=True)
    following = (
        sa.select(sa.func.min(timers.c.kind))
        .where(timers.c.kind > first.c.kind)
        .correlate(first)
        .scalar_subquery()
    )
    return first.union_all(sa.select(following).where(first.c.kind.is_not(None)))


_KINDS = _every_kind()
_ALL_KINDS = sa.select(_KINDS.c.kind).where(_KINDS.c.kind.is_not(None))
_COUNT = sa.select(sa.func.count()).where(
    timers.c.kind == sa.bindparam("this_kind"), timers.c.due_at <= sa.bindparam("now")
)


def find(tx: Transaction, kind: str, subject_id: str) -> Timer | None:
    """Return the subject's timer, or None if it is not armed."""
    row = tx.connection.execute(_FIND, {"this_kind": kind, "this_subject": subject_id}).first()
    if row is None:
        return None
    return Timer(kind=row[0], subject_id=row[1], due_at=at(row[2]), token=row[3], attempts=row[4])


def hold(tx: Transaction, kind: str, subject_id: str) -> None:
    """Keep others from the subject's timer until the transaction ends; wait for whoever has it.

    For a writer of the subject: taken first, as handlers do, it keeps the two from waiting for
    each other.
    """
    tx.connection.execute(_HOLD, {"this_kind": kind, "this_subject": subject_id})


def next_due(tx: Transaction, kinds: Sequence[str] | None = None) -> datetime | None:
    """Return when the next timer is due, of any kind or of `kinds`; None if there is none."""
    asked = _kinds(tx) if kinds is None else kinds
    firsts = [_NEXT.rows(tx, {"this_kind": kind}).scalar() for kind in asked]
    return instant(min((due for due in firsts if due is not None), default=None))


def count_due(tx: Transaction, now: datetime) -> int:
    """Return how many timers, of any kind, are due."""
    asked = [{"this_kind": kind, "now": micros(now)} for kind in _kinds(tx)]
    return sum(tx.connection.execute(_COUNT, wanted).scalar_one() for wanted in asked)


def _kinds(tx: Transaction) -> Sequence[str]:
    return tx.connection.execute(_ALL_KINDS).scalars().all()
