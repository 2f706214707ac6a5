"""The command line's reference page is what the commands say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from penstock.cli.reference import command_names, reference

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "cli.md"


def test_the_page_is_current() -> None:
    done = subprocess.run([sys.executable, ROOT / "docs" / "generate.py", "--check"], check=False)
    assert done.returncode == 0, "run `make docs`"


@pytest.mark.parametrize("name", command_names())
def test_every_command_is_on_the_page(name: str) -> None:
    assert f"## penstock {name}\n" in PAGE.read_text("utf-8")


def test_every_option_and_argument_is_explained() -> None:
    rows = [line.split(" | ") for line in reference().splitlines() if line.startswith("| `")]
    assert [row[0] for row in rows if not row[1].strip(" |")] == []
