"""Applying the versions: one process at a time, all or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from penstock.errors import Conflict
from penstock.store.migrations import HEAD

_LOCK_KEY = 0x50454E53  # any number, as long as nobody else's


def configuration(connection: sa.Connection | None = None) -> Config:
    """Return Alembic's configuration, made here rather than read from a file."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def run(connection: sa.Connection) -> None:
    """Bring the schema to HEAD in one transaction; a second process waits and finds it done.

    Raises:
        Conflict: the database was written by a newer Penstock.
    """
    with _without_foreign_keys(connection), connection.begin():
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK_KEY)))
        config = configuration(connection)
        _check_version(connection, ScriptDirectory.from_config(config))
        command.upgrade(config, HEAD)
        _check_references(connection)


def _check_version(connection: sa.Connection, script: ScriptDirectory) -> None:
    version = MigrationContext.configure(connection).get_current_revision()
    known = {revision.revision for revision in script.walk_revisions()}
    if version is not None and version not in known:
        raise Conflict(
            f"The database was written by a newer Penstock: its schema is version {version}, and "
            f"this Penstock knows versions up to {HEAD}. Install a Penstock at least as new as the "
            "one that wrote it, or restore a backup made before.",
            schema_version=version,
            known_version=HEAD,
        )


@contextmanager
def _without_foreign_keys(connection: sa.Connection) -> Iterator[None]:
    """Switch SQLite's foreign keys off for the block.

    A table that is copied to be altered is dropped in between, which would count as deleting its
    rows. The switch works outside of transactions only.
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    driver: Any = connection.connection.driver_connection
    driver.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        driver.execute("PRAGMA foreign_keys=ON")


def _check_references(connection: sa.Connection) -> None:
    if connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        assert not broken, f"rows that refer to nothing after the upgrade: {broken[:5]}"
