"""The error tree, its page, and its way over the wire."""

from __future__ import annotations

import json
import re

import pytest

import penstock.errors
from penstock.errors import (
    Conflict,
    Invalid,
    InvalidRecurrence,
    NotFound,
    PenstockError,
    StoreBusy,
    from_problem,
    to_problem,
)


def with_subclasses(cls):
    below = [deep for sub in cls.__subclasses__() for deep in with_subclasses(sub)]
    return [cls, *below]


CLASSES = [c for c in with_subclasses(PenstockError) if c.__module__ == "penstock.errors"]


def page():
    """Return {class name: (status as written or None, name of the class it stands under)}."""
    lines = penstock.errors.__doc__.splitlines()
    rows, path = {}, {0: "PenstockError"}
    for line in lines[lines.index("PenstockError") + 1 :]:
        match = re.match(r"((?:│   |    )*)[├└]── (.+)", line)
        if not match:
            break
        depth = len(match[1]) // 4 + 1
        word = re.match(r"([A-Z]\w+)(?: +(\d{3}|---)? )?", match[2])
        path[depth] = word[1] if word else path[depth - 1]  # "your fault": a heading, no class
        if word:
            rows[word[1]] = (word[2], path[depth - 1])
    return rows


PAGE = page()


def test_every_class_is_on_the_page_and_nothing_else():
    assert sorted(PAGE) == sorted(c.__name__ for c in CLASSES if c is not PenstockError)


@pytest.mark.parametrize("cls", CLASSES[1:], ids=lambda cls: cls.__name__)
class TestTheClass:
    def test_stands_where_the_page_says(self, cls):
        assert PAGE[cls.__name__][1] == cls.__base__.__name__

    def test_has_the_status_that_the_page_says(self, cls):
        written = PAGE[cls.__name__][0]
        if written is None:
            assert cls.http_status == cls.__base__.http_status
        elif written != "---":
            assert cls.http_status == int(written)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
class TestEveryClass:
    def test_has_its_own_code(self, cls):
        assert [other for other in CLASSES if other.code == cls.code] == [cls]

    def test_is_said_by_its_docstring_unless_told_otherwise(self, cls):
        assert str(cls()) == cls.__doc__.splitlines()[0]
        assert str(cls("So it is.")) == "So it is."

    def test_crosses_the_wire(self, cls):
        error = cls("It went wrong.", run_id="r1", errors=[{"field": "a", "message": "b"}])
        problem = json.loads(json.dumps(to_problem(error), allow_nan=False))
        back = from_problem(problem)
        assert type(back) is cls
        assert (str(back), back.args) == ("It went wrong.", ("It went wrong.",))
        assert back.details == error.details
        assert to_problem(back) == to_problem(error)

    def test_is_a_problem_document_with_a_title_of_its_own(self, cls):
        problem = to_problem(cls("It went wrong."))
        assert problem["title"] == cls.__doc__.splitlines()[0]
        assert problem["type"] == f"urn:penstock:error:{cls.code}"
        assert (problem["status"], problem["detail"]) == (cls.http_status, "It went wrong.")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"field": "interval", "value": 0, "expected": "1 or more"},
            "interval = 0 is not valid: expected 1 or more.",
        ),
        (
            {"field": "interval", "value": 0, "expected": "1 or more", "hint": "Try 1."},
            "interval = 0 is not valid: expected 1 or more. Try 1.",
        ),
        ({}, "A value is not valid."),
        ({"hint": "Try 1."}, "A value is not valid."),
    ],
)
def test_invalid_composes_its_sentence(arguments, message):
    assert str(Invalid(**arguments)) == message


@pytest.mark.parametrize(
    ("message", "expected"),
    [("No.", "No. Try 1."), ("No, no. Try 1.", "No, no. Try 1.")],
    ids=["added", "once"],
)
def test_a_hint_is_said_once(message, expected):
    assert str(Invalid(message, hint="Try 1.")) == expected
    assert str(NotFound(message, hint="Try 1.")) == expected


def test_not_found_names_the_kind_and_the_id():
    error = NotFound(kind="schedule", id="s1", hint="`penstock schedule list` shows them.")
    assert str(error) == "There is no schedule 's1'. `penstock schedule list` shows them."
    assert (error.details["kind"], error.details["id"]) == ("schedule", "s1")


def test_an_invalid_value_is_a_value_error_too():
    with pytest.raises(ValueError, match="frequency"):
        raise InvalidRecurrence(field="frequency", value="Hourly", expected="one of …")


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ({"a": [1, 2.5, None, True, "x"]}, {"a": [1, 2.5, None, True, "x"]}),
        ((1, 2), (1, 2)),
        (object, "<class 'object'>"),
        ({1: "x"}, "{1: 'x'}"),
        ([{1, 2}], "[{1, 2}]"),
        (float("nan"), "nan"),
        ([float("inf")], "[inf]"),
    ],
)
def test_a_value_that_json_cannot_carry_is_kept_as_its_text(value, kept):
    error = Invalid(field="x", value=value, expected="y")
    assert error.details["value"] == kept
    json.dumps(to_problem(error), allow_nan=False)


def test_details_that_are_none_are_dropped():
    assert Conflict("No.", run_id=None, state="Failed").details == {"state": "Failed"}


def test_retry_after_crosses_the_wire():
    back = from_problem(to_problem(StoreBusy(retry_after=0.5)))
    assert isinstance(back, StoreBusy)
    assert back.retry_after == 0.5


def test_a_problem_of_an_unknown_code_is_a_plain_error():
    back = from_problem({"code": "from-the-future", "detail": "New.", "status": 418})
    assert type(back) is PenstockError
    assert str(back) == "New."


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        ({"title": "A title."}, "A title."),
        ({"detail": "", "title": "A title."}, "A title."),
        ({}, "Something went wrong in Penstock."),
    ],
)
def test_a_problem_without_detail_still_says_something(problem, message):
    assert str(from_problem(problem)) == message
