"""Two hundred worlds on every commit, and the seeds that have failed before."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.simulation.world import Ground, World, ground

HERE = Path(__file__).parent
SEEDS, GROUP = 200, 10


@pytest.fixture(scope="module")
def earth() -> Iterator[Ground]:
    with ground() as found:
        yield found


@pytest.mark.parametrize("first", range(0, SEEDS, GROUP))
def test_nothing_is_lost_doubled_or_stuck(earth: Ground, first: int) -> None:
    for seed in range(first, first + GROUP):
        World(seed, earth).run()


def test_the_seeds_that_failed_before(earth: Ground) -> None:
    for seed in json.loads((HERE / "seeds.json").read_text()):
        World(seed, earth).run()


def test_a_seed_decides_everything(earth: Ground) -> None:
    """Twice here, and in a process that hashes text in another way."""
    traces = set()
    for _ in range(2):
        world = World(7, earth)
        world.run()
        traces.add(world.referee.trace.hexdigest())
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-m", "tests.simulation", "--seed", "7"],
            cwd=HERE.parents[1],
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        traces.add(done.stdout.split()[1])
    assert len(traces) == 1


def test_a_world_can_be_cut_short(earth: Ground) -> None:
    world = World(3, earth)
    world.run(5)
    assert world.step_number >= 5
    assert world.referee.commits > 0
