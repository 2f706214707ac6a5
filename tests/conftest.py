"""What every test may use: databases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.databases import PostgresServer, SqliteFolder


@pytest.fixture(scope="session")
def sqlite_folder(tmp_path_factory: pytest.TempPathFactory) -> SqliteFolder:
    """A folder for SQLite files."""
    return SqliteFolder(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server for this process; started by the first test that asks for a database."""
    with PostgresServer() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def databases(request: pytest.FixtureRequest) -> SqliteFolder | PostgresServer:
    """Where databases come from: of each kind in turn."""
    name = "sqlite_folder" if request.param == "sqlite" else "postgres_server"
    source: SqliteFolder | PostgresServer = request.getfixturevalue(name)
    return source


@pytest.fixture
def database_url(databases: SqliteFolder | PostgresServer) -> str:
    """The URL of a database with the newest schema and no rows."""
    return databases.clean_database()


@pytest.fixture
def empty_database_url(databases: SqliteFolder | PostgresServer) -> str:
    """The URL of a database without a schema."""
    return databases.new_database()
