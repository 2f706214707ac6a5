"""The files that step runs leave: which may be seen, and the log in pieces."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.errors import Invalid, NotFound
from penstock.service.files import (
    STANDARD_LOG,
    attempt_folder,
    existing_file,
    file_path,
    list_files,
    read_log,
    step_folder,
)


@dataclass
class AStepRun:
    attempt: int
    run_id: str = "r"
    id: str = "s"


@pytest.fixture
def folder(tmp_path):
    """An attempt's folder with its four visible folders, its code, and a secret beside it."""
    attempt = tmp_path / "runs" / "r" / "s" / "1"
    for name in ("outputs", "logs", "user_logs", "system_logs", "code"):
        (attempt / name).mkdir(parents=True)
    (attempt / "code" / "train.py").write_text("")
    (tmp_path / "secret").write_text("hidden")
    return attempt


@pytest.mark.parametrize(("attempt", "name"), [(0, "1"), (1, "1"), (2, "2")])
def test_a_step_has_a_folder_for_each_attempt(tmp_path, attempt, name):
    assert step_folder(tmp_path, AStepRun(attempt)) == tmp_path / "runs" / "r" / "s" / name
    assert attempt_folder(tmp_path, "r", "s", 1) == tmp_path / "runs" / "r" / "s" / "1"


class TestListFiles:
    def test_shows_what_a_step_left_with_its_size(self, folder):
        (folder / "outputs" / "deep").mkdir()
        (folder / "outputs" / "deep" / "b.bin").write_bytes(b"12345")
        (folder / "outputs" / "a.txt").write_text("a")
        (folder / "user_logs" / "std_log.txt").write_text("hello")
        (folder / "system_logs" / "penstock.txt").write_text("x")
        assert [(f.path, f.size) for f in list_files(folder)] == [
            ("outputs/a.txt", 1),
            ("outputs/deep/b.bin", 5),
            ("user_logs/std_log.txt", 5),
            ("system_logs/penstock.txt", 1),
        ]

    def test_leaves_out_the_file_by_which_an_attempt_is_found_again(self, folder):
        (folder / "system_logs" / "claim").write_text("x")
        assert list_files(folder) == []

    def test_leaves_out_code_and_links(self, folder):
        (folder / "outputs" / "link").symlink_to(folder / "code" / "train.py")
        assert list_files(folder) == []

    def test_is_empty_before_the_first_launch(self, tmp_path):
        assert list_files(tmp_path / "gone") == []


class TestFilePath:
    @pytest.mark.parametrize(
        "relative",
        [
            "outputs/model.pkl",
            "logs/deep/er/a.txt",
            "user_logs/std_log.txt",
            "system_logs/x",
            "outputs/../logs/a",
            "outputs/./a b",
            "outputs/déjà vu",
            "outputs/" + "n" * 255,
        ],
    )
    def test_is_below_the_folder(self, folder, relative):
        assert file_path(folder, relative) == (folder / relative).resolve()

    @pytest.mark.parametrize(
        "relative",
        [
            "",
            ".",
            "..",
            "/",
            "/etc/passwd",
            "outputs",
            "outputs/",
            "outputs/.",
            "outputs/..",
            "outputs/../..",
            "outputs/../code/train.py",
            "outputs/../../2/outputs/a",
            "outputs/../../../../../secret",
            "code/train.py",
            "train.py",
            "outputs\0/a",
            "outputs/a\0",
            "outputs/\ud800",
            "outputs/" + "n" * 256,
            "outputs/" + "é" * 128,
            "outputs/" + "n/" * 2000,
        ],
    )
    def test_does_not_leave_the_folders_that_may_be_seen(self, folder, relative):
        with pytest.raises(Invalid, match="a path below outputs/, logs/, user_logs/, system_logs/"):
            file_path(folder, relative)

    def test_does_not_follow_a_link_out_of_the_folder(self, folder):
        (folder / "outputs" / "way_out").symlink_to(folder.parents[3])
        (folder / "outputs" / "way_in").symlink_to(folder / "logs")
        with pytest.raises(Invalid):
            file_path(folder, "outputs/way_out/secret")
        assert file_path(folder, "outputs/way_in/a") == folder.resolve() / "logs" / "a"

    def test_of_a_link_to_itself_is_a_file_that_is_not_there(self, folder):
        (folder / "outputs" / "loop").symlink_to(folder / "outputs" / "loop")
        with pytest.raises(NotFound, match="There is no file 'outputs/loop'"):
            existing_file(folder, "outputs/loop")

    @pytest.mark.parametrize("relative", ["outputs/gone", "outputs/deep", "outputs/a.txt/b"])
    def test_of_something_that_is_no_file_is_not_found(self, folder, relative):
        (folder / "outputs" / "deep").mkdir()
        (folder / "outputs" / "a.txt").write_text("a")
        with pytest.raises(NotFound, match=relative):
            existing_file(folder, relative)

    def test_of_a_file_finds_it(self, folder):
        (folder / "outputs" / "a.txt").write_text("a")
        assert existing_file(folder, "outputs/a.txt").read_text() == "a"


TEXT = "aé€😀\n☃x😀😀"  # characters of one, two, three and four bytes
BYTES = TEXT.encode()
LIMITS = [4, 5, 6, 7, 8, 1000]


def a_log(folder, content):
    (folder / STANDARD_LOG).parent.mkdir(parents=True, exist_ok=True)
    (folder / STANDARD_LOG).write_bytes(content)


def whole_log(folder, limit, *, has_ended):
    """Read on until nothing comes any more; return what came and the last piece."""
    text, offset = "", 0
    while True:
        piece = read_log(folder, offset, limit, has_ended=has_ended)
        text += piece.text
        if piece.is_complete or piece.next_offset == offset:
            return text, piece
        offset = piece.next_offset


class TestReadLog:
    @pytest.mark.parametrize("limit", LIMITS)
    @pytest.mark.parametrize("has_ended", [False, True])
    def test_pieces_make_the_whole(self, folder, limit, has_ended):
        a_log(folder, BYTES)
        text, last = whole_log(folder, limit, has_ended=has_ended)
        assert text == TEXT
        assert (last.is_complete, last.next_offset) == (has_ended, len(BYTES))

    @pytest.mark.parametrize("cut", range(len(BYTES) + 1))
    def test_a_character_that_is_still_being_written_is_waited_for(self, folder, cut):
        a_log(folder, BYTES[:cut])
        before = read_log(folder, 0, 1000, has_ended=False)
        assert before.text == BYTES[:cut].decode(errors="ignore")
        assert not before.is_complete
        a_log(folder, BYTES)
        after = read_log(folder, before.next_offset, 1000, has_ended=True)
        assert before.text + after.text == TEXT
        assert after.is_complete

    @pytest.mark.parametrize("cut", range(1, len(BYTES) + 1))
    def test_a_log_that_ends_inside_a_character_is_read_to_its_end(self, folder, cut):
        a_log(folder, BYTES[:cut])
        text, last = whole_log(folder, 4, has_ended=True)
        assert text == BYTES[:cut].decode(errors="replace")
        assert (last.is_complete, last.next_offset) == (True, cut)

    @pytest.mark.parametrize("offset", range(len(BYTES) + 1))
    def test_starts_anywhere(self, folder, offset):
        a_log(folder, BYTES)
        piece = read_log(folder, offset, 1000, has_ended=True)
        assert piece.text == BYTES[offset:].decode(errors="replace")
        assert (piece.is_complete, piece.next_offset) == (True, len(BYTES))

    @pytest.mark.parametrize("has_ended", [False, True])
    def test_has_nothing_behind_the_end(self, folder, has_ended):
        a_log(folder, BYTES)
        piece = read_log(folder, 10_000, 4, has_ended=has_ended)
        assert (piece.text, piece.next_offset, piece.is_complete) == ("", 10_000, has_ended)

    @pytest.mark.parametrize("has_ended", [False, True])
    def test_is_empty_before_the_first_line(self, folder, has_ended):
        piece = read_log(folder, 0, 1000, has_ended=has_ended)
        assert (piece.text, piece.next_offset, piece.is_complete) == ("", 0, has_ended)

    def test_an_ended_log_is_not_complete_before_its_last_piece(self, folder):
        a_log(folder, b"12345")
        assert not read_log(folder, 0, 4, has_ended=True).is_complete
        assert read_log(folder, 4, 4, has_ended=True).is_complete


@settings(deadline=None)
@given(
    content=st.lists(st.sampled_from([b"\x80", b"\xc3", b"\xe2\x82", b"\xf0\x9f", b"\xff", b"a"]))
    .map(b"".join)
    .flatmap(lambda head: st.binary(max_size=12).map(lambda tail: head + tail)),
    limit=st.integers(4, 9),
)
def test_any_bytes_read_in_pieces_are_what_they_are_in_one(tmp_path_factory, content, limit):
    folder = tmp_path_factory.getbasetemp() / "attempt"
    a_log(folder, content)
    text, last = whole_log(folder, limit, has_ended=True)
    assert text == content.decode(errors="replace")
    assert last.is_complete
