"""How an attempt's folder is laid out before its start."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from pathlib import Path

import pytest

from penstock.compute.folder import is_inside
from penstock.compute.target import Phase
from penstock.core.model import SnapshotFile
from penstock.errors import Invalid, StorageFull

_FOLDERS = ["code", "logs", "outputs", "system_logs", "user_logs"]


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_everything_is_there_and_nothing_else(bench):
    launch = bench.script("print()")
    bench.target.prepare(launch)
    assert _names(launch.folder) == _FOLDERS
    assert _names(launch.folder / "code") == ["logs", "outputs", "step.py"]
    assert os.readlink(launch.folder / "code" / "outputs") == "../outputs"
    assert bench.phase(launch) is Phase.ABSENT


def test_files_are_copies_that_a_script_may_change(bench):
    launch = bench.script("print()")
    bench.target.prepare(launch)
    copy = launch.folder / "code" / "step.py"
    copy.write_text("changed")
    assert bench.blobs.path(launch.files[0].sha256).read_text() == "print()"
    bench.target.prepare(launch)
    assert copy.read_text() == "changed"


def test_executable_files_are_executable_and_others_not(bench):
    files = (bench.file("run.sh", "x", is_executable=True), bench.file("a/b/data", "y"))
    launch = bench.script("", files=files)
    bench.target.prepare(launch)
    assert os.access(launch.folder / "code" / "run.sh", os.X_OK)
    assert not (launch.folder / "code" / "a" / "b" / "data").stat().st_mode & 0o111


def test_a_snapshots_own_outputs_folder_is_left_as_it_is(bench):
    launch = bench.script("", files=(bench.file("outputs/readme"), bench.file("logs")))
    bench.target.prepare(launch)
    assert not (launch.folder / "code" / "outputs").is_symlink()
    assert (launch.folder / "code" / "logs").is_file()


@pytest.mark.parametrize(
    "path", ["../x", "/x", "a/../../x", "a//b", "", ".", "a/./b", "a/", "a\\b", "a\0b"]
)
def test_a_path_that_leaves_the_folder_is_refused(bench, path):
    assert not is_inside(path)
    file = bench.file("x")
    bad = SnapshotFile(path=path, sha256=file.sha256, size=0)
    launch = bench.script("", files=(file, bad))
    with pytest.raises(Invalid) as caught:
        bench.target.prepare(launch)
    assert caught.value.details["value"] == path
    assert not launch.folder.exists()


def test_a_missing_content_is_named_and_leaves_nothing_half_done(bench):
    absent = SnapshotFile(path="lost.py", sha256="0" * 64, size=1)
    launch = bench.script("", files=(bench.file("there.py"), absent))
    with pytest.raises(Invalid, match=r"'lost\.py' is not on the server"):
        bench.target.prepare(launch)
    assert _names(launch.folder) == [name for name in _FOLDERS if name != "code"]


def test_a_full_disk_leaves_no_half_built_code(bench):
    def fills_up(source: Path, target: Path) -> None:
        if target.name == "second":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        shutil.copyfile(source, target)

    launch = bench.script("", files=(bench.file("first"), bench.file("second")))
    with pytest.raises(StorageFull, match="No space left on device"):
        bench.new_target(copy_file=fills_up).prepare(launch)
    assert _names(launch.folder) == [name for name in _FOLDERS if name != "code"]


def test_files_that_exclude_each_other_are_an_error_not_a_half_built_folder(bench):
    launch = bench.script("", files=(bench.file("a"), bench.file("a/b")))
    with pytest.raises(Invalid, match=r"cannot be laid out: File exists: '.*a'"):
        bench.target.prepare(launch)
    assert not (launch.folder / "code").exists()


def test_a_place_that_no_file_system_can_make_is_refused_for_good(bench):
    launch = bench.script("", directories=(bench.root / ("x" * 300),))
    with pytest.raises(Invalid, match="File name too long"):
        bench.target.prepare(launch)


def test_inputs_are_copied_with_a_line_about_each(bench):
    source = bench.root / "data"
    (source / "deep").mkdir(parents=True)
    (source / "a.csv").write_text("1,2")
    (source / "deep" / "b.csv").write_text("3")
    one, whole = bench.root / "in" / "one.csv", bench.root / "in" / "whole"
    launch = bench.script("", copies=((source / "a.csv", one), (source, whole)))
    bench.target.prepare(launch)
    bench.target.prepare(launch)
    assert one.read_text() == "1,2"
    assert (whole / "deep" / "b.csv").read_text() == "3"
    assert _names(bench.root / "in") == ["one.csv", "whole"]
    lines = (launch.folder / "system_logs" / "inputs.txt").read_text().splitlines()
    assert [line.split(": ")[-1] for line in lines if ": " in line] == [
        "1 files, 3 bytes",
        "2 files, 4 bytes",
    ]


def test_a_missing_input_is_named(bench):
    source = bench.root / "nothing"
    launch = bench.script("", copies=((source, bench.root / "in"),))
    with pytest.raises(Invalid, match="nothing"):
        bench.target.prepare(launch)


def test_folders_for_outputs_are_made(bench):
    folder = bench.root / "datastore" / "deep" / "output"
    bench.target.prepare(bench.script("", directories=(folder,)))
    assert folder.is_dir()


def test_many_who_prepare_at_once_make_one_folder(bench):
    files = tuple(bench.file(f"package/module_{n}.py", f"x = {n}") for n in range(30))
    launch = bench.script("", files=files)
    failures: list[BaseException] = []

    def prepare() -> None:
        try:
            bench.new_target().prepare(launch)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=prepare) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert _names(launch.folder) == _FOLDERS
    assert len(_names(launch.folder / "code" / "package")) == 30
