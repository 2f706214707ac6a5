"""Lists that are read page by page, by key rather than by number.

A page goes on strictly after the last key of the page before, so that rows inserted meanwhile can
neither repeat an item nor hide one. The cursor is opaque to clients: that key as text.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar

import sqlalchemy as sa

from penstock.errors import Invalid
from penstock.store.database import Transaction

Item = TypeVar("Item")
Page: TypeAlias = tuple[list[Item], str | None]  # the items, and the cursor of the next page

_INTEGER_MAX = 2**63


def fetch(
    tx: Transaction,
    query: sa.Select[Any],
    order: Sequence[sa.Column[Any]],
    *,
    make: Callable[[Any], Item],
    after: str | None,
    limit: int,
    is_ascending: bool = False,
) -> Page[Item]:
    """Return the page of `query` that follows the cursor `after`; the first page when it is None.

    Args:
        tx: the transaction.
        query: the rows wanted, without order and limit.
        order: the columns that order the list; together they are unique, none is NULL, and `query`
            selects each of them.
        make: turns a row into an item.
        after: `next` of the page before.
        limit: the most items on a page.
        is_ascending: smallest key first; the list is otherwise newest (largest key) first.

    Raises:
        Invalid: `after` is not a cursor of such a list.
    """
    if after is not None:
        key = sa.tuple_(*(sa.literal(part, column.type) for part, column in _parts(after, order)))
        here = sa.tuple_(*order)
        query = query.where(here > key if is_ascending else here < key)
    query = query.order_by(*(column if is_ascending else column.desc() for column in order))
    rows = tx.connection.execute(query.limit(limit + 1)).all()
    items = [make(row) for row in rows[:limit]]
    if len(rows) <= limit:
        return items, None
    last = rows[limit - 1]._mapping
    return items, cursor([last[column] for column in order])


def cursor(key: Sequence[str | int]) -> str:
    """Return the cursor of the page that follows the item with that key."""
    text = json.dumps(key, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _parts(text: str, order: Sequence[sa.Column[Any]]) -> list[tuple[str | int, sa.Column[Any]]]:
    try:
        padded = text + "=" * (-len(text) % 4)
        key = json.loads(base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError) as exc:
        raise _unreadable(text) from exc
    if not isinstance(key, list) or len(key) != len(order):
        raise _unreadable(text)
    parts = list(zip(key, order, strict=True))
    if not all(_fits(part, column) for part, column in parts):
        raise _unreadable(text)
    return parts


def _fits(part: object, column: sa.Column[Any]) -> bool:
    if type(part) is int:
        return column.type.python_type is int and abs(part) < _INTEGER_MAX
    if not isinstance(part, str) or column.type.python_type is not str:
        return False
    return not any(char == "\0" or "\ud800" <= char <= "\udfff" for char in part)


def _unreadable(text: str) -> Invalid:
    return Invalid(field="after", value=text, expected="`next` of the page before, unchanged")
