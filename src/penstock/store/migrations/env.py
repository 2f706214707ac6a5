"""Run by Alembic: applies the versions in the transaction that `running.run` has opened."""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    render_as_batch=True,  # SQLite cannot alter most things: the table is copied instead
)
with context.begin_transaction():
    context.run_migrations()
