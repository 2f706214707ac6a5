"""Requests made of what a user gave."""

from __future__ import annotations

import pytest

from penstock import wire
from penstock.errors import Invalid


def test_a_wrong_type_is_named_with_its_value() -> None:
    with pytest.raises(Invalid, match="version") as caught:
        wire.PublishRequest.made(run_id="r", version=1)
    assert (caught.value.details["field"], caught.value.details["value"]) == ("version", 1)


def test_all_faults_are_listed() -> None:
    with pytest.raises(Invalid) as caught:
        wire.PublishRequest.made(run_id=1, name=2, unknown=3)
    assert [error["field"] for error in caught.value.details["errors"]] == [
        "run_id",
        "name",
        "unknown",
    ]


def test_right_values_make_the_request() -> None:
    assert wire.FireRequest.made(parameters={"a": 1}).parameters == {"a": 1}
