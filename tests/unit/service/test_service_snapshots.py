"""Snapshots: the same files are the same snapshot, and what cannot be laid out is refused."""

from __future__ import annotations

import pytest

from penstock import wire
from penstock.core.model import SnapshotFile
from penstock.datastores.blobs import Blobs
from penstock.errors import Invalid
from penstock.service import snapshots

SHA = "ab" * 32


class SomeBlobs:
    """Holds every content but those it is told to lack."""

    def __init__(self, *absent: str) -> None:
        self.absent = absent

    def missing(self, shas):
        return [sha for sha in shas if sha in self.absent]


def file(path, **fields):
    return SnapshotFile(**{"path": path, "sha256": SHA, "size": 1} | fields)


def create(site, *files, blobs=None):
    draft = wire.SnapshotDraft(files=list(files))
    return site.call(snapshots.create, draft, blobs or SomeBlobs())


def test_the_same_files_in_any_order_are_the_same_snapshot(any_site):
    one = create(any_site, file("b.py"), file("a/c.py"))
    any_site.later(seconds=1)
    two = create(any_site, file("a/c.py"), file("b.py"))
    assert one.id == two.id
    assert [f.path for f in one.files] == ["a/c.py", "b.py"]
    assert len(any_site.contents()["snapshots"]) == 2  # the site has one of its own


@pytest.mark.parametrize(
    "other", [file("b.py"), file("a.py", sha256="cd" * 32), file("a.py", is_executable=True)]
)
def test_other_files_are_another_snapshot(site, other):
    assert create(site, file("a.py")).id != create(site, other).id


def test_a_folder_without_files_is_a_snapshot(site):
    assert create(site).files == ()


@pytest.mark.parametrize(
    "path",
    [
        *("", "/a.py", "../a.py", "a/../b.py", "a\\b.py", "a\0.py", ".", "a/", "a//b.py", "./a.py"),
        *("\ud800.py", "x" * 256, "é" * 128, "d/" * 600 + "a.py"),
    ],
)
def test_a_path_that_cannot_be_laid_out_everywhere_is_refused(site, path):
    with site.refuses(Invalid, "a path inside the folder") as error:
        create(site, file("good.py"), file(path))
    assert error.value.details["field"] == "files.path"


@pytest.mark.parametrize("path", ["x" * 255, "é" * 127, "...", "a b.py", "-rf", "d/e/f/g.py"])
def test_unusual_paths_are_taken(site, path):
    assert create(site, file(path)).files[0].path == path


def test_a_path_comes_once(site):
    with site.refuses(Invalid, "each path once"):
        create(site, file("a.py"), file("a.py", sha256="cd" * 32))


def test_a_file_is_not_a_folder_as_well(site):
    with site.refuses(Invalid, "'a/b', which is a file"):
        create(site, file("a/b"), file("a/b/c/d.py"))


def test_files_whose_content_is_not_there_are_named(site):
    gone = "cd" * 32
    with site.refuses(Invalid, "'lost.py' is not on the server") as error:
        create(site, file("a.py"), file("lost.py", sha256=gone), blobs=SomeBlobs(gone))
    assert "Upload it first" in error.value.message


def test_a_hash_that_is_none_is_refused(site, tmp_path):
    with site.refuses(Invalid, "sha256|SHA-256"):
        create(site, file("a.py", sha256="../../etc"), blobs=Blobs(tmp_path))
