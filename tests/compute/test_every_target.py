"""What every compute target promises: the real one and the fake one, case by case."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.compute.target import Phase
from penstock.testing.compute import FakeComputeTarget

_WAITS = "import os, time\nwhile not os.path.exists('outputs/go'): time.sleep(0.005)\nexit(3)"


class _Real:
    """Lets a script end with code 3 when the test says so."""

    def __init__(self, bench):
        self.target, self._bench = bench.target, bench

    def end(self, launch) -> None:
        (launch.folder / "outputs" / "go").touch()

    def until(self, is_true: Callable[[], object]) -> None:
        self._bench.until(is_true)


class _Fake:
    def __init__(self) -> None:
        self.target = FakeComputeTarget()

    def end(self, launch) -> None:
        self.target.finish(launch.id, 3)

    def until(self, is_true: Callable[[], object]) -> None:
        assert is_true()


@pytest.fixture(params=["local", "fake"])
def world(request, bench):
    return _Real(bench) if request.param == "local" else _Fake()


@pytest.fixture
def launch(bench):
    return bench.script(_WAITS)


def _phase(world, launch) -> Phase:
    return world.target.poll(launch.id, launch.folder).phase


def test_an_attempt_is_absent_then_running_then_exited(world, launch):
    ended: list[str] = []
    assert _phase(world, launch) is Phase.ABSENT
    world.target.prepare(launch)
    assert _phase(world, launch) is Phase.ABSENT
    world.target.launch(launch, ended.append)
    assert _phase(world, launch) is Phase.RUNNING
    world.end(launch)
    world.until(lambda: ended == [launch.id])
    seen = world.target.poll(launch.id, launch.folder)
    assert (seen.phase, seen.exit_code) == (Phase.EXITED, 3)


def test_a_second_launch_is_the_first(world, launch):
    ended: list[str] = []
    world.target.launch(launch, ended.append)
    world.target.launch(launch, ended.append)
    world.end(launch)
    world.until(lambda: _phase(world, launch) is Phase.EXITED)
    world.target.launch(launch, ended.append)
    assert _phase(world, launch) is Phase.EXITED


def test_the_end_is_visible_from_within_on_exit(world, launch):
    seen = []
    world.target.launch(launch, lambda _: seen.append(_phase(world, launch)))
    world.end(launch)
    world.until(lambda: seen)
    assert seen == [Phase.EXITED]


def test_a_stopped_attempt_ends(world, launch):
    world.target.launch(launch, lambda _: None)
    world.target.stop(launch.id, launch.folder)
    world.target.stop(launch.id, launch.folder)
    world.until(lambda: _phase(world, launch) is not Phase.RUNNING)
    assert _phase(world, launch) in (Phase.EXITED, Phase.VANISHED)


def test_an_attempt_stopped_before_its_launch_never_starts(world, launch):
    world.target.stop(launch.id, launch.folder)
    world.target.launch(launch, lambda _: None)
    assert _phase(world, launch) is Phase.VANISHED


def test_polling_needs_no_folder(world):
    seen = world.target.poll("never-launched-1", Path("/nowhere/at/all"))
    assert seen.phase is Phase.ABSENT
