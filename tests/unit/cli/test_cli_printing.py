"""How results look: formats, times in words, columns."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

from penstock.cli.printing import (
    COLOURS,
    Column,
    Format,
    Printer,
    ago,
    duration,
    exact,
    sized,
    state,
)
from penstock.core.due import Outcome
from penstock.core.model import Status
from penstock.core.states import RunState, StepState

NOW = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)

COLUMNS = [
    Column("NAME", lambda row: row["name"]),
    Column("SIZE", lambda row: str(row["size"]), is_right=True),
    Column("NOTE", lambda row: row.get("note")),
]
ROWS = [{"name": "a", "size": 5}, {"name": "a long name", "size": 12345, "note": "x"}]


def printed(output: Format, act: Any) -> str:
    stream = io.StringIO()
    with redirect_stdout(stream):
        act(Printer(output, NOW))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "now"),
        (0.9, "now"),
        (-0.9, "now"),
        (1, "in 1 s"),
        (-59.9, "59 s ago"),
        (60, "in 1 min"),
        (4 * 60 + 59, "in 4 min"),
        (-2 * 3600, "2 h ago"),
        (86_400, "in 1 d"),
        (400 * 86_400, "in 1 y"),
    ],
)
def test_the_distance_from_now_is_said_in_its_largest_unit(seconds: float, words: str) -> None:
    assert ago(NOW + timedelta(seconds=seconds), NOW) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, ""),
        (-1, "0 ms"),
        (0.04, "40 ms"),
        (1, "1.0 s"),
        (9.9, "9.9 s"),
        (10, "10 s"),
        (65, "1 min 5 s"),
        (3600, "1 h 0 min"),
        (3 * 86_400 + 4 * 3600 + 5, "3 d 4 h"),
    ],
)
def test_a_duration_is_said_in_its_two_largest_units(seconds: float | None, words: str) -> None:
    assert duration(None if seconds is None else timedelta(seconds=seconds)) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (2_500_000, "2.5 MB"), (3 * 10**12, "3.0 TB")],
)
def test_a_size_is_said_in_the_unit_that_fits(count: int, words: str) -> None:
    assert sized(count) == words


def test_an_instant_is_shown_in_utc_whatever_zone_it_came_in() -> None:
    paris = NOW.astimezone(datetime.fromisoformat("2027-03-01T00:00:00+01:00").tzinfo)
    assert exact(paris) == "2027-03-01 12:00:00 UTC"


def test_off_a_terminal_a_table_is_plain_columns_without_a_cut() -> None:
    text = printed(Format.TABLE, lambda p: p.many(ROWS, COLUMNS, empty="-"))
    assert text == "NAME          SIZE  NOTE\na                5\na long name  12345  x\n"


def test_an_empty_table_is_a_sentence_and_an_empty_json_list_is_a_list() -> None:
    assert printed(Format.TABLE, lambda p: p.many([], COLUMNS, empty="Nothing.")) == "Nothing.\n"
    assert printed(Format.JSON, lambda p: p.many([], COLUMNS, empty="Nothing.")) == "[]\n"


def test_json_and_yaml_carry_the_documents_and_not_the_cells() -> None:
    assert json.loads(printed(Format.JSON, lambda p: p.many(ROWS, COLUMNS, empty="-"))) == ROWS
    assert yaml.safe_load(printed(Format.YAML, lambda p: p.many(ROWS, COLUMNS, empty="-"))) == ROWS


def test_sentences_are_for_people_only() -> None:
    assert printed(Format.TABLE, lambda p: p.say("Done.")) == "Done.\n"
    assert printed(Format.JSON, lambda p: p.say("Done.")) == ""
    assert printed(Format.TABLE, lambda p: p.data({"a": 1})) == ""


def test_one_document_is_shown_without_its_empty_fields() -> None:
    text = printed(Format.TABLE, lambda p: p.one(ROWS[0], COLUMNS))
    assert text == "NAME  a\nSIZE  5\n"


def test_what_looks_like_markup_is_printed_as_it_is() -> None:
    assert printed(Format.TABLE, lambda p: p.say("a [bold]name[/bold]")) == "a [bold]name[/bold]\n"


@pytest.mark.parametrize("words", [RunState, StepState, Status, Outcome])
def test_every_state_status_and_outcome_has_a_colour(words: Any) -> None:
    assert {word.value for word in words} <= COLOURS.keys()
    assert all(state(word).plain == word.value for word in words)
