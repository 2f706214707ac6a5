"""A store with the newest schema, on each kind of database in turn."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from penstock.store.database import Store


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """An empty store; SQLite first, then PostgreSQL."""
    opened = Store(database_url)
    yield opened
    opened.dispose()
