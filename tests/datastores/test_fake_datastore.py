"""The faults that the fake datastore can be told to have."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest

from penstock.errors import DatastoreUnavailable, NotFound
from penstock.testing.datastores import FakeDatastore

_AT = datetime(2026, 3, 1, tzinfo=UTC)


class _Stopped:
    def now(self) -> datetime:
        return _AT


@pytest.fixture
def store() -> FakeDatastore:
    return FakeDatastore(_Stopped())


def test_instants_come_from_the_clock(store):
    assert store.write("a", b"1").modified_at == _AT


def test_a_store_that_is_away_answers_nothing(store):
    store.write("a")
    store.is_away = True
    for call in (
        lambda: list(store.list()),
        lambda: store.stat("a"),
        lambda: store.open("a"),
        lambda: store.put("a", io.BytesIO()),
    ):
        with pytest.raises(DatastoreUnavailable):
            call()


def test_a_listing_fails_where_the_test_says(store):
    for name in "abc":
        store.write(name)
    store.listing_fails_after = 2
    listing = store.list()
    assert [next(listing).path, next(listing).path] == ["a", "b"]
    with pytest.raises(DatastoreUnavailable, match="mid-listing"):
        next(listing)


def test_a_removed_object_is_gone_and_comes_back_with_another_etag(store):
    first = store.write("a", b"same")
    store.remove("a")
    assert list(store.list()) == []
    with pytest.raises(NotFound):
        store.remove("a")
    assert store.write("a", b"same").etag != first.etag


def test_what_is_removed_during_a_listing_is_left_out(store):
    for name in "abc":
        store.write(name)
    listing = store.list()
    next(listing)
    store.remove("b")
    assert [entry.path for entry in listing] == ["c"]


def test_nothing_lies_on_this_machine(store):
    assert store.local_path("a") is None
