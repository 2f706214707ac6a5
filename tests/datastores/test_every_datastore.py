"""What every datastore promises: the directory and the fake one, case by case."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from penstock.clock import SystemClock
from penstock.datastores.listing import Datastore
from penstock.datastores.local import LocalDirectory
from penstock.errors import Conflict, Invalid, NotFound
from penstock.testing.datastores import FakeDatastore

_OUTSIDE = ["../x", "/x", "a/../../x", "a/..", "a\\b", "..\\x", "a\0b", "/", ".."]


@pytest.fixture(params=["directory", "fake"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Datastore:
    (tmp_path / "data").mkdir()
    if request.param == "directory":
        return LocalDirectory(tmp_path / "data")
    return FakeDatastore(SystemClock())


def _put(store: Datastore, *paths: str) -> None:
    for path in paths:
        store.put(path, io.BytesIO(path.encode()))


def _paths(store: Datastore, prefix: str = "", *, recursive: bool = True) -> list[str]:
    return [entry.path for entry in store.list(prefix, recursive=recursive)]


def test_an_empty_datastore_holds_nothing(store):
    assert _paths(store) == []


def test_entries_come_in_the_order_of_their_whole_paths(store):
    names = ["a/x", "a-b", "a.txt", "a0", "a/b/c", "a b/x", "B", "é", "日", "a/b.c", "a/b0/z"]
    _put(store, *names)
    assert _paths(store) == sorted(names)


def test_a_prefix_is_a_folder_not_the_begin_of_a_name(store):
    _put(store, "in/a", "in/deep/b", "input", "in.txt", "other/in/c")
    assert _paths(store, "in") == ["in/a", "in/deep/b"]
    assert _paths(store, "./in//") == ["in/a", "in/deep/b"]
    assert _paths(store, "in/deep") == ["in/deep/b"]


def test_without_recursion_only_the_folders_own_files_count(store):
    _put(store, "a", "in/b", "in/deep/c")
    assert _paths(store, recursive=False) == ["a"]
    assert _paths(store, "in", recursive=False) == ["in/b"]


def test_a_folder_that_is_not_there_or_is_a_file_holds_nothing(store):
    _put(store, "file")
    assert _paths(store, "absent/deep") == []
    assert _paths(store, "file") == []


def test_what_was_put_can_be_read_and_its_entry_is_the_listed_one(store):
    entry = store.put("a/b.csv", io.BytesIO(b"1,2\n"))
    assert (entry.path, entry.size) == ("a/b.csv", 4)
    assert entry.modified_at.tzinfo is not None
    assert store.stat("a/b.csv") == entry
    assert list(store.list()) == [entry]
    with store.open("a//b.csv") as file:
        assert file.read() == b"1,2\n"


def test_the_etag_changes_with_the_content_and_with_each_replacement(store):
    etags = [store.put("a", io.BytesIO(content)).etag for content in (b"1", b"22", b"33", b"33")]
    assert len(set(etags)) == 4
    assert store.stat("a").etag == etags[-1]


def test_an_existing_object_is_kept_when_it_must_not_be_replaced(store):
    _put(store, "a")
    with pytest.raises(Conflict):
        store.put("a", io.BytesIO(b"new"), overwrite=False)
    with store.open("a") as file:
        assert file.read() == b"a"
    assert store.put("b", io.BytesIO(b"new"), overwrite=False).size == 3


def test_a_file_and_a_folder_cannot_have_one_name(store):
    _put(store, "a/b", "c")
    with pytest.raises(Conflict):
        store.put("a", io.BytesIO())
    with pytest.raises(Conflict):
        store.put("c/d", io.BytesIO())
    with pytest.raises(Conflict):
        store.put("a", io.BytesIO(), overwrite=False)
    assert _paths(store) == ["a/b", "c"]


@pytest.mark.parametrize("path", ["absent", "a/absent", "a/b/below a file", "a", ""])
def test_what_is_not_a_file_is_not_found(store, path):
    _put(store, "a/b")
    for read in (store.stat, store.open):
        with pytest.raises(NotFound) as caught:
            read(path)
        assert caught.value.details["kind"] == "file"
        assert caught.value.details["id"] == path


@pytest.mark.parametrize("path", _OUTSIDE)
def test_a_path_that_leaves_the_datastore_is_refused_everywhere(store, path):
    calls = (
        lambda: store.list(path),
        lambda: store.stat(path),
        lambda: store.open(path),
        lambda: store.put(path, io.BytesIO()),
        lambda: store.local_path(path),
    )
    for call in calls:
        with pytest.raises(Invalid) as caught:
            call()
        assert caught.value.details["field"] == "path"
        assert caught.value.details["value"] == path


def test_an_object_needs_a_name(store):
    with pytest.raises(Invalid):
        store.put("./", io.BytesIO())
