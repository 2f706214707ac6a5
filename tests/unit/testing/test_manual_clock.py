"""The clock that tests move by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from penstock.testing.clock import ManualClock

START = datetime(2026, 1, 1, tzinfo=UTC)


def test_it_stands_still_until_it_is_moved() -> None:
    clock = ManualClock(START)
    assert clock.now() == clock.now() == START
    clock.advance(timedelta(seconds=90))
    assert clock.now() == START + timedelta(seconds=90)


def test_it_can_be_set_back() -> None:
    clock = ManualClock(START)
    clock.set(START - timedelta(hours=26))
    assert clock.now() == START - timedelta(hours=26)


@pytest.mark.parametrize("tz", [None, timezone(timedelta(hours=1))])
def test_it_shows_utc_only(tz: timezone | None) -> None:
    with pytest.raises(ValueError, match="UTC"):
        ManualClock(START.replace(tzinfo=tz))
