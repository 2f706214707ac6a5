"""A site on SQLite for most tests, and on each kind of database for those that need to know."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.databases import SqliteFolder
from tests.unit.daemon.works import Works
from tests.unit.service.site import Site

from penstock.store.database import Store


@pytest.fixture
def site(sqlite_folder: SqliteFolder, tmp_path: Path) -> Iterator[Site]:
    """A workspace in an SQLite file."""
    store = Store(sqlite_folder.clean_database())
    yield Site(store, tmp_path)
    store.dispose()


@pytest.fixture
def any_site(database_url: str, tmp_path: Path) -> Iterator[Site]:
    """A workspace in each kind of database in turn."""
    store = Store(database_url)
    yield Site(store, tmp_path)
    store.dispose()


@pytest.fixture
def works(site: Site) -> Works:
    """A daemon over an SQLite file."""
    return Works(site)


@pytest.fixture
def any_works(any_site: Site) -> Works:
    """A daemon over each kind of database in turn."""
    return Works(any_site)
