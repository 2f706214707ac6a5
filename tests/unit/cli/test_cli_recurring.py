"""The options that name a recurrence."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from penstock.cli.recurring import recurrence_from
from penstock.core.recurrence import FoldPolicy, Frequency, Recurrence
from penstock.errors import Invalid


def test_no_option_is_no_recurrence() -> None:
    assert recurrence_from() is None


def test_both_spellings_say_the_same() -> None:
    rule = Recurrence(frequency=Frequency.MINUTE, interval=15)
    assert recurrence_from(every=15, unit=Frequency.MINUTE) == rule
    assert recurrence_from(frequency=Frequency.MINUTE, interval=15) == rule


def test_the_interval_is_one_unless_it_is_named() -> None:
    assert recurrence_from(frequency=Frequency.DAY) == Recurrence(
        frequency=Frequency.DAY, interval=1
    )


def test_everything_that_is_given_is_in_the_recurrence() -> None:
    assert recurrence_from(
        frequency=Frequency.WEEK,
        interval=2,
        hours="8, 16",
        minutes="30",
        week_days="monday,Friday",
        start=datetime.fromisoformat("2027-03-01T08:00"),
        time_zone="Europe/Berlin",
        fold=FoldPolicy.BOTH,
    ) == Recurrence(
        frequency=Frequency.WEEK,
        interval=2,
        hours=(8, 16),
        minutes=(30,),
        week_days=("Monday", "Friday"),
        start_time=datetime.fromisoformat("2027-03-01T08:00"),
        time_zone="Europe/Berlin",
        fold=FoldPolicy.BOTH,
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"interval": 2}, "needs a frequency"),
        ({"hours": "8"}, "needs a frequency"),
        ({"unit": Frequency.DAY, "frequency": Frequency.DAY}, "say the same thing"),
        ({"unit": Frequency.DAY, "every": 1, "interval": 1}, "say the same thing"),
        ({"unit": Frequency.DAY, "hours": "8;16"}, "--hours = '8;16' is not valid"),
        ({"unit": Frequency.DAY, "minutes": ""}, "--minutes = '' is not valid"),
    ],
)
def test_what_makes_no_sense_names_the_option(options: dict[str, Any], message: str) -> None:
    with pytest.raises(Invalid, match=message):
        recurrence_from(**options)
