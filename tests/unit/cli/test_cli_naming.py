"""What a person types, and the one thing it means."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from penstock.cli.naming import parameter_values, the_one
from penstock.core.model import Status
from penstock.errors import Invalid, NotFound


@dataclass
class Thing:
    id: str
    status: Status = Status.ACTIVE


def test_a_name_that_one_thing_has_means_it() -> None:
    assert the_one("schedule", "nightly", [Thing("1")]).id == "1"


def test_of_several_a_name_means_the_only_active_one() -> None:
    old = [Thing("1", Status.DISABLED), Thing("2", Status.DEPRECATED)]
    assert the_one("schedule", "nightly", [*old, Thing("3")]).id == "3"
    with pytest.raises(Invalid, match="1, 2"):
        the_one("schedule", "nightly", old)


def test_an_unknown_name_is_not_found_and_says_where_to_look() -> None:
    with pytest.raises(NotFound, match=r"no schedule 'nightly'.*penstock schedule list"):
        the_one("schedule", "nightly", [])


def test_a_name_that_several_have_is_an_error_that_lists_their_ids() -> None:
    with pytest.raises(Invalid, match=r"2 schedules of the name 'nightly'.*id-1, id-2") as caught:
        the_one("schedule", "nightly", [Thing("id-1"), Thing("id-2")])
    assert caught.value.details["ids"] == ["id-1", "id-2"]


def test_parameters_are_text_and_data_paths_are_objects() -> None:
    words = ["rate=0.5", "label=a=b", "empty=", 'input={"datastore": "d", "path": "p"}', "odd={x"]
    assert parameter_values(words) == {
        "rate": "0.5",
        "label": "a=b",
        "empty": "",
        "input": {"datastore": "d", "path": "p"},
        "odd": "{x",
    }
    assert parameter_values(None) == {}


@pytest.mark.parametrize("words", [["rate"], ["=5"], ["a=1", "a=2"]])
def test_a_parameter_without_a_name_or_given_twice_is_refused(words: list[str]) -> None:
    with pytest.raises(Invalid, match="--parameter"):
        parameter_values(words)
