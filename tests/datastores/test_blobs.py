"""Contents kept under their hash."""

from __future__ import annotations

import hashlib
import io
import os
import threading
from pathlib import Path

import pytest

from penstock.datastores.blobs import Blobs
from penstock.errors import Invalid, StorageFull, TooLarge

_DATA = b"print('hello')\n" * 200_000  # several chunks
_SHA = hashlib.sha256(_DATA).hexdigest()


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "blobs")


def _files(blobs: Blobs) -> list[str]:
    folder = blobs.path(_SHA).parent
    return sorted(os.listdir(folder)) if folder.exists() else []


def test_a_content_is_stored_under_its_hash(blobs, tmp_path):
    blobs.put(_SHA, io.BytesIO(_DATA))
    assert blobs.path(_SHA) == tmp_path / "blobs" / _SHA[:2] / _SHA
    assert blobs.path(_SHA).read_bytes() == _DATA
    assert _files(blobs) == [_SHA]


def test_missing_names_what_is_not_there_once_and_in_order(blobs):
    blobs.put(_SHA, io.BytesIO(_DATA))
    absent = ["f" * 64, "0" * 64]
    assert blobs.missing([absent[0], _SHA, absent[1], absent[0]]) == absent


def test_a_content_with_another_hash_is_refused_and_leaves_no_trace(blobs):
    with pytest.raises(Invalid, match="SHA-256") as caught:
        blobs.put(_SHA, io.BytesIO(_DATA + b"!"))
    assert caught.value.details["field"] == "sha256"
    assert _files(blobs) == []
    assert blobs.missing([_SHA]) == [_SHA]


def test_a_content_that_is_there_is_not_read_again(blobs):
    blobs.put(_SHA, io.BytesIO(_DATA))
    again = io.BytesIO(_DATA)
    blobs.put(_SHA, again)
    assert again.tell() == 0


def test_an_empty_content_is_a_content(blobs):
    empty = hashlib.sha256(b"").hexdigest()
    blobs.put(empty, io.BytesIO())
    assert blobs.path(empty).read_bytes() == b""


@pytest.mark.parametrize(
    "sha", ["", "abc", _SHA.upper(), _SHA + "0", _SHA + "\n", "../" + _SHA[3:], "é" * 64]
)
def test_what_is_no_hash_is_refused(blobs, sha):
    for call in (blobs.path, lambda s: blobs.missing([s]), lambda s: blobs.put(s, io.BytesIO())):
        with pytest.raises(Invalid, match="64 lower-case hexadecimal digits"):
            call(sha)


def test_more_than_the_limit_is_refused_before_it_is_all_read(blobs):
    content = io.BytesIO(_DATA)
    with pytest.raises(TooLarge, match="1000 bytes"):
        blobs.put(_SHA, content, bytes_max=1000)
    assert content.tell() < len(_DATA)
    assert _files(blobs) == []
    blobs.put(_SHA, io.BytesIO(_DATA), bytes_max=len(_DATA))


def test_many_who_store_the_same_content_at_once_all_succeed(blobs):
    errors: list[BaseException] = []

    def put() -> None:
        try:
            blobs.put(_SHA, io.BytesIO(_DATA))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=put) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert _files(blobs) == [_SHA]
    assert blobs.path(_SHA).read_bytes() == _DATA


class _FullFile(io.FileIO):
    def write(self, data: object) -> int:
        raise OSError(28, "No space left on device")


def test_a_full_disk_is_said_and_leaves_no_trace(tmp_path):
    full = Blobs(tmp_path, new_file=lambda folder: _FullFile(folder / "temporary", "x"))
    with pytest.raises(StorageFull, match="No space left on device"):
        full.put(_SHA, io.BytesIO(_DATA))
    assert _files(full) == []


def test_a_leftover_of_a_killed_upload_is_not_in_the_way(blobs):
    blobs.path(_SHA).parent.mkdir(parents=True)
    for number in range(1000):
        (blobs.path(_SHA).parent / f".penstock-put-{os.getpid()}-{number}").touch()
    blobs.put(_SHA, io.BytesIO(_DATA))
    assert blobs.path(_SHA).read_bytes() == _DATA
