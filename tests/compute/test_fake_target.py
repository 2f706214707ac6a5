"""The faults that the fake compute target can be told to have."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from penstock.compute.target import Observation, Phase, StepLaunch
from penstock.errors import ComputeUnavailable, StorageFull
from penstock.testing.compute import FakeComputeTarget

_FOLDER = Path("/nowhere")
_LAUNCH = StepLaunch(
    id="s-1", folder=_FOLDER, script="a.py", arguments=(), files=(), environment={}
)


@pytest.fixture
def target() -> FakeComputeTarget:
    return FakeComputeTarget()


def test_the_test_says_when_and_how_an_attempt_ends(target):
    at = datetime(2026, 3, 1, tzinfo=UTC)
    target.launch(_LAUNCH, lambda _: None)
    assert target.running == ["s-1"]
    target.finish("s-1", 2, at=at)
    assert target.poll("s-1", _FOLDER) == Observation(phase=Phase.EXITED, exit_code=2, ended_at=at)
    assert target.running == []
    with pytest.raises(ValueError, match="does not run"):
        target.finish("s-1")


def test_launches_are_counted_and_starts_apart_from_them(target):
    for _ in range(3):
        target.launch(_LAUNCH, lambda _: None)
    assert (target.launch_calls["s-1"], target.starts["s-1"]) == (3, 1)


def test_a_target_that_is_away_does_nothing(target):
    target.is_away = True
    for call in (
        lambda: target.launch(_LAUNCH, lambda _: None),
        lambda: target.prepare(_LAUNCH),
        lambda: target.poll("s-1", _FOLDER),
        lambda: target.stop("s-1", _FOLDER),
    ):
        with pytest.raises(ComputeUnavailable):
            call()
    target.is_away = False
    assert target.poll("s-1", _FOLDER).phase is Phase.ABSENT


def test_errors_are_raised_one_per_launch_and_nothing_starts(target):
    target.launch_errors = [StorageFull()]
    with pytest.raises(StorageFull):
        target.launch(_LAUNCH, lambda _: None)
    assert not target.starts
    target.launch(_LAUNCH, lambda _: None)
    assert target.running == ["s-1"]


def test_a_lost_reply_leaves_the_attempt_running_and_nobody_listening(target):
    heard: list[str] = []
    target.replies_to_lose = 1
    with pytest.raises(ComputeUnavailable):
        target.launch(_LAUNCH, heard.append)
    assert target.running == ["s-1"]
    target.finish("s-1")
    assert heard == []


def test_a_vanished_attempt_is_heard_of_unless_the_listener_is_forgotten(target):
    heard: list[str] = []
    target.launch(_LAUNCH, heard.append)
    target.vanish("s-1")
    assert (heard, target.poll("s-1", _FOLDER).phase) == (["s-1"], Phase.VANISHED)
    second = StepLaunch(
        id="s-2", folder=_FOLDER, script="a.py", arguments=(), files=(), environment={}
    )
    target.launch(second, heard.append)
    target.forget_listeners()
    target.finish("s-2")
    assert heard == ["s-1"]


def test_an_attempt_may_be_deaf_to_stop(target):
    target.ends_when_stopped = False
    target.launch(_LAUNCH, lambda _: None)
    target.stop("s-1", _FOLDER)
    assert (target.running, target.stop_calls["s-1"]) == (["s-1"], 1)
