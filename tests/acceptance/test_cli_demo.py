"""`penstock demo`, off a terminal, as `make demo` runs it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path


def test_the_demo_shows_two_fires_and_a_score_and_leaves_nothing_running(tmp_path: Path) -> None:
    """Takes a minute: the second fire comes when a schedule of every minute is due."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith("PENSTOCK_")}
    environ["HOME"] = str(tmp_path / "user")  # where a real configuration would be
    done = subprocess.run(
        [sys.executable, "-m", "penstock", "demo", "--directory", str(tmp_path / "demo")],
        env=environ,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(re.findall(r"R2 0\.\d+, RMSE \d+\.\d", done.stdout)) == 2
    for step in ("prepare", "train", "score"):
        assert len(re.findall(rf"{step} +Finished", done.stdout)) == 2
    assert "/docs" in done.stdout
    assert not (tmp_path / "user").exists()
    assert not (tmp_path / "demo" / "config" / "server.json").exists()
