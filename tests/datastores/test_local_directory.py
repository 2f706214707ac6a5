"""A directory as a datastore: links, races, what is not a file, what cannot be read."""

from __future__ import annotations

import io
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.datastores.local import LocalDirectory
from penstock.errors import Conflict, DatastoreUnavailable, Invalid, NotFound, StorageFull

_NOBODY = 65534


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.fixture
def store(root: Path) -> LocalDirectory:
    return LocalDirectory(root)


@pytest.fixture
def sealed() -> Iterator[Path]:
    """A directory with a folder that this process may not read, not even when it is root's."""
    user = os.geteuid()
    with tempfile.TemporaryDirectory() as root:
        os.chmod(root, 0o755)
        os.mkdir(f"{root}/sealed", mode=0)
        os.close(os.open(f"{root}/file", os.O_CREAT, mode=0))
        os.mkdir(f"{root}/links")
        os.symlink("../sealed/a", f"{root}/links/a")
        if user == 0:
            os.seteuid(_NOBODY)
        yield Path(root)
        os.seteuid(user)


def _read(store: LocalDirectory, path: str) -> bytes:
    with store.open(path) as file:
        return file.read()


def _paths(store: LocalDirectory, prefix: str = "") -> list[str]:
    return [entry.path for entry in store.list(prefix)]


def test_a_link_counts_as_what_it_points_to_if_that_lies_inside(root, store):
    (root / "real").mkdir()
    (root / "real" / "a").write_text("abc")
    (root / "file").symlink_to("real/a")
    (root / "folder").symlink_to(root / "real")
    assert _paths(store) == ["file", "folder/a", "real/a"]
    assert store.stat("file").size == 3
    assert _read(store, "folder/a") == b"abc"


def test_a_link_that_leads_outside_is_neither_listed_nor_followed(tmp_path, root, store):
    (tmp_path / "secret").write_text("x")
    (tmp_path / "data-2").mkdir()
    (root / "file").symlink_to("../secret")
    (root / "folder").symlink_to(tmp_path)
    (root / "neighbour").symlink_to(tmp_path / "data-2")
    assert _paths(store) == []
    for path in ("file", "folder/secret", "folder", "neighbour/new"):
        for call in (store.stat, store.open, store.local_path, store.list):
            with pytest.raises(Invalid) as caught:
                call(path)
            assert caught.value.details["value"] == path
        with pytest.raises(Invalid):
            store.put(path, io.BytesIO(b"overwritten"))
    assert (tmp_path / "secret").read_text() == "x"


def test_links_in_a_circle_and_to_nothing_are_left_out(root, store):
    (root / "deep").mkdir()
    (root / "deep" / "up").symlink_to("..")
    (root / "deep" / "self").symlink_to("self")
    (root / "deep" / "nothing").symlink_to("gone")
    (root / "deep" / "a").touch()
    assert _paths(store) == ["deep/a"]
    with pytest.raises(NotFound):
        store.stat("deep/nothing")


def test_only_regular_files_with_names_that_can_be_written_are_listed(root, store):
    os.mkfifo(root / "pipe")
    (root / "back\\slash").touch()
    (root / os.fsdecode(b"latin-\xe9")).touch()
    (root / ".hidden").touch()
    (root / "with\nnewline").touch()
    assert _paths(store) == [".hidden", "with\nnewline"]
    with pytest.raises(NotFound):
        store.open("pipe")


def test_the_etag_changes_when_a_file_changes_in_place(root, store):
    (root / "a").write_text("1")
    os.utime(root / "a", ns=(0, 1_000))
    first = store.stat("a")
    os.utime(root / "a", ns=(0, 2_000))
    second = store.stat("a")
    assert first.etag != second.etag
    assert second.modified_at.timestamp() == 2e-6


def test_a_file_that_replaces_another_of_the_same_size_and_time_has_another_etag(root, store):
    etags = []
    for name in ("one", "two"):
        (root / name).write_text("same")
        os.utime(root / name, ns=(0, 1_000))
        os.replace(root / name, root / f"kept-{name}")
        etags.append(store.stat(f"kept-{name}").etag)
    assert etags[0] != etags[1]


def test_a_missing_directory_is_unavailable_not_empty(root, store):
    root.rmdir()
    for call in (
        lambda: list(store.list()),
        lambda: list(store.list("a")),
        lambda: store.stat("a"),
    ):
        with pytest.raises(DatastoreUnavailable, match="data"):
            call()


def test_a_folder_that_goes_away_while_it_is_listed_is_left_out(root, store):
    for name in ("a/1", "b/2"):
        store.put(name, io.BytesIO())
    listing = store.list()
    assert next(listing).path == "a/1"
    (root / "b" / "2").unlink()
    (root / "b").rmdir()
    assert list(listing) == []


def test_an_unreadable_folder_is_unavailable_not_empty(sealed):
    store = LocalDirectory(sealed)
    with pytest.raises(DatastoreUnavailable, match=r"sealed.*Permission denied"):
        list(store.list("sealed"))
    with pytest.raises(DatastoreUnavailable, match="Permission denied"):
        store.stat("sealed/a")
    with pytest.raises(DatastoreUnavailable, match=r"file.*Permission denied"):
        store.open("file")
    with pytest.raises(DatastoreUnavailable, match=r"links/a.*Permission denied"):
        list(store.list("links"))
    with pytest.raises(DatastoreUnavailable, match="Permission denied"):
        store.put("sealed/a", io.BytesIO())


def test_a_listing_reads_a_folder_only_when_its_turn_comes(root, store):
    store.put("a/1", io.BytesIO())
    store.put("b/1", io.BytesIO())
    listing = store.list()
    assert next(listing).path == "a/1"
    store.put("b/2", io.BytesIO())
    assert [entry.path for entry in listing] == ["b/1", "b/2"]


class _Half(io.BytesIO):
    """A stream that breaks off: what a client leaves that has gone away."""

    def read(self, size: int | None = -1) -> bytes:
        if chunk := super().read(2):
            return chunk
        raise ConnectionResetError("gone")


def test_a_broken_off_upload_leaves_the_old_file_and_no_trace(root, store):
    store.put("a", io.BytesIO(b"old"))
    with pytest.raises(ConnectionResetError):
        store.put("a", _Half(b"new content"))
    assert _read(store, "a") == b"old"
    assert os.listdir(root) == ["a"]


def test_a_file_being_written_is_hidden(root, store):
    class Watching(io.BytesIO):
        seen: list[list[str]] = []  # noqa: RUF012 - one use

        def read(self, size: int | None = -1) -> bytes:
            self.seen.append([os.listdir(root), _paths(store)])
            return super().read(size)

    content = Watching(b"x")
    store.put("a", content)
    ((names, listed), *_) = content.seen
    assert (len(names), listed) == (1, [])
    with pytest.raises(Invalid):
        store.stat(names[0])


def test_one_of_many_who_create_the_same_file_succeeds(store):
    outcomes: list[str] = []
    barrier = threading.Barrier(8)

    def create(number: int) -> None:
        barrier.wait()
        try:
            store.put("only", io.BytesIO(b"%d" % number), overwrite=False)
            outcomes.append(f"{number}")
        except Conflict:
            outcomes.append("conflict")

    threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = [outcome for outcome in outcomes if outcome != "conflict"]
    assert len(outcomes) == 8
    assert _read(store, "only") == winner.encode()
    assert _paths(store) == ["only"]


class _FullFile(io.FileIO):
    def write(self, data: object) -> int:
        raise OSError(28, "No space left on device")


def test_a_full_disk_is_said_and_leaves_no_trace(root):
    full = LocalDirectory(root, new_file=lambda folder: _FullFile(folder / "temporary", "x"))
    with pytest.raises(StorageFull, match="No space left on device"):
        full.put("a", io.BytesIO(b"x"))
    assert os.listdir(root) == []


def test_the_local_path_is_below_the_root_also_of_what_is_not_there_yet(root, store):
    assert store.local_path("") == root.resolve()
    assert store.local_path("a/new/") == root.resolve() / "a" / "new"


def test_the_whole_file_system_can_be_a_datastore():
    assert LocalDirectory(Path("/")).local_path("etc/") == Path("/etc").resolve()
