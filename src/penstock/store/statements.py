"""Statements of the hot path, compiled once; everything else goes through SQLAlchemy as it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from penstock.store.database import Transaction

# Both dialects have `on_conflict_do_…`, each on an insert of its own.
INSERT: Mapping[str, Callable[[sa.Table], Any]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}


class Bulk:
    """A statement that is run for one or many rows, compiled once for each kind of database.

    For the hot path: SQLAlchemy prepares every execution and every row anew, which costs more than
    the database's own work. Values are handed to the driver as they are, so only what the driver
    knows (text, numbers, booleans, None) may be in a row.
    """

    def __init__(self, statement: sa.UpdateBase | Mapping[str, sa.UpdateBase]) -> None:
        """Keep the statement, or one for each kind of database.

        Its parameters must be columns or named `bindparam`s: values written into it are lost.
        """
        if isinstance(statement, sa.UpdateBase):
            statement = dict.fromkeys(INSERT, statement)
        self._statements = statement
        self._compiled: dict[str, tuple[str, Callable[[Mapping[str, Any]], Any]]] = {}

    def run(self, tx: Transaction, rows: Sequence[Mapping[str, Any]]) -> int:
        """Run the statement for each row; return how many rows of the table it touched in all."""
        if not rows:
            return 0
        sql, arrange = self._compiled.get(tx.kind) or self._compile(tx)
        return tx.connection.exec_driver_sql(sql, [arrange(row) for row in rows]).rowcount

    def _compile(self, tx: Transaction) -> tuple[str, Callable[[Mapping[str, Any]], Any]]:
        compiled: Any = self._statements[tx.kind].compile(dialect=tx.connection.dialect)
        arrange = itemgetter(*compiled.positiontup) if compiled.positional else dict
        self._compiled[tx.kind] = compiled.string, arrange
        return self._compiled[tx.kind]


class Query:
    """A select that is asked often, compiled once for each kind of database; see `Bulk`.

    Rows come as the driver gives them: not for columns of a type that SQLAlchemy would convert.
    """

    def __init__(self, statement: sa.Select[Any]) -> None:
        """Keep the statement. Its parameters must be named `bindparam`s, none of them a list."""
        self._statement = statement
        self._compiled: dict[str, tuple[str, Sequence[str] | None, dict[str, Any]]] = {}

    def rows(self, tx: Transaction, wanted: Mapping[str, Any]) -> Any:
        """Run the statement with the parameters `wanted`; return its `CursorResult`."""
        sql, order, written = self._compiled.get(tx.kind) or self._compile(tx)
        values = written | dict(wanted)
        arranged: Any = values if order is None else tuple([values[name] for name in order])
        return tx.connection.exec_driver_sql(sql, arranged)

    def _compile(self, tx: Transaction) -> tuple[str, Sequence[str] | None, dict[str, Any]]:
        compiled: Any = self._statement.compile(dialect=tx.connection.dialect)
        order = compiled.positiontup if compiled.positional else None
        self._compiled[tx.kind] = compiled.string, order, compiled.params
        return self._compiled[tx.kind]
