"""Source directories: which files a snapshot has."""

from __future__ import annotations

import pytest

from penstock import Invalid
from penstock.sdk import snapshot
from penstock.sdk.exceptions import SnapshotException


def tree(root, *paths, **contents):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("x")
    for name, text in contents.items():
        (root / name.replace("__", ".")).write_text(text)


def paths(root):
    return [file.path for file in snapshot.source_files(root)]


def test_files_come_in_order_with_forward_slashes(tmp_path):
    tree(tmp_path, "b.py", "a/c.py", "a.py")
    assert paths(tmp_path) == ["a.py", "a/c.py", "b.py"]


def test_what_no_step_needs_is_left_out(tmp_path):
    tree(
        tmp_path,
        "a.py",
        ".git/config",
        "__pycache__/a.pyc",
        "outputs/model",
        "logs/x",
        "pkg/outputs/kept.py",
        "venv/pyvenv.cfg",
        "venv/lib/big.py",
    )
    assert paths(tmp_path) == ["a.py", "pkg/outputs/kept.py"]


def test_amlignore_stands_instead_of_gitignore(tmp_path):
    tree(tmp_path, "a.py", "b.py", __gitignore="a.py\n")
    assert paths(tmp_path) == [".gitignore", "b.py"]
    tree(tmp_path, __amlignore="b.py\n")
    assert paths(tmp_path) == [".amlignore", ".gitignore", "a.py"]


def test_an_ignore_file_below_adds_to_those_above(tmp_path):
    tree(tmp_path, "a.csv", "sub/a.csv", "sub/b.csv", __amlignore="*.csv\n")
    (tmp_path / "sub" / ".amlignore").write_text("!a.csv\n")
    assert paths(tmp_path) == [".amlignore", "sub/.amlignore", "sub/a.csv"]


def test_links_to_folders_are_not_followed(tmp_path):
    tree(tmp_path, "a/b.py")
    (tmp_path / "round").symlink_to(tmp_path)
    (tmp_path / "file").symlink_to(tmp_path / "a" / "b.py")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    assert paths(tmp_path) == ["a/b.py", "file"]


def test_too_many_files_are_refused(tmp_path):
    tree(tmp_path, *(f"f{n}" for n in range(snapshot.FILES_MAX)))
    assert len(paths(tmp_path)) == snapshot.FILES_MAX
    tree(tmp_path, "one-more")
    with pytest.raises(SnapshotException, match="2001 files"):
        paths(tmp_path)


def test_too_much_is_refused_and_the_largest_named(tmp_path):
    tree(tmp_path, "a.py", "small.bin")
    with (tmp_path / "huge.bin").open("wb") as file:
        file.truncate(snapshot.SIZE_MAX)
    with pytest.raises(SnapshotException, match=r"huge\.bin \(300\.0 MB\).*\.amlignore"):
        paths(tmp_path)
    tree(tmp_path, __amlignore="*.bin\n")
    assert paths(tmp_path) == [".amlignore", "a.py"]


def test_an_executable_file_is_one_in_the_snapshot(tmp_path):
    tree(tmp_path, "a.sh", "b.py")
    (tmp_path / "a.sh").chmod(0o755)
    assert [file.is_executable for file in snapshot.source_files(tmp_path)] == [True, False]


def test_an_ignored_script_is_refused_with_a_way_out(tmp_path):
    tree(tmp_path, "a.py", __amlignore="*.py\n")
    with pytest.raises(Invalid, match=r"!a\.py"):
        snapshot.check_script(snapshot.source_files(tmp_path), tmp_path, "a.py")
