"""The simulation finds mistakes: each planted bug makes a seed fail, and soon."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.simulation.planted import BUGS, Bug

ROOT = Path(__file__).parents[2]
SEEDS = "0-199"


def plant(bug: Bug, source: Path) -> None:
    """Make a copy of the source with the bug in it."""
    shutil.copytree(
        ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
    )
    for file, snippet, replacement in bug.changes:
        path = source / "penstock" / file
        text = path.read_text()
        assert text.count(snippet) == 1, f"{file} has {text.count(snippet)} times {snippet!r}"
        path.write_text(text.replace(snippet, replacement))


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name.replace(" ", "_"))
def test_a_planted_bug_is_found(bug: Bug, tmp_path: Path) -> None:
    plant(bug, tmp_path / "src")
    environ = os.environ | {"PYTHONPATH": str(tmp_path / "src")}
    done = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--seeds", f"{bug.seed},{SEEDS}", "--first"],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "again: make simulate" in done.stdout, done.stdout + done.stderr
