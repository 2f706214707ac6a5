"""What the pages show works: their Python runs, their commands exist, their output is true."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from tests.docs.command_parsing import parsed
from tests.docs.pages import DOCS, ROOT, Block, all_pages, blocks, commands, run_pages

from penstock.testing.server import temporary_server

# The server is running already, and `make` and `pip` have tests of their own.
NOT_RUN = ("penstock up", "penstock demo", "penstock db")
REAL_COMMANDS = (ROOT / "README.md", DOCS / "quickstart.md")
COMMAND_SECONDS_MAX = 60


def _name(value: Any) -> str:
    return str(value.relative_to(ROOT)) if isinstance(value, Path) else str(value)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to work in, and a server that this user has just started."""
    folder = tmp_path / "work"
    folder.mkdir()
    with temporary_server(tmp_path / "server", step_poll_seconds=0.1) as server:
        for variable in [name for name in os.environ if name.startswith("PENSTOCK_")]:
            monkeypatch.delenv(variable)
        monkeypatch.setenv("PENSTOCK_CONFIG_DIR", str(server.settings.config_dir))
        monkeypatch.chdir(folder)
        yield folder


@pytest.mark.parametrize("page", run_pages(), ids=_name)
def test_a_page_works_from_top_to_bottom(page: Path, place: Path) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    printed = ""
    for block in blocks(page):
        if block.file is not None:
            (place / block.file).parent.mkdir(parents=True, exist_ok=True)
            (place / block.file).write_text(block.text + "\n", "utf-8")
        elif "fragment" in block.words:
            continue
        elif "output" in block.words:
            assert _agrees(printed, block.text), f"{block} is not what was printed:\n{printed}"
        elif block.language == "python":
            printed = _run_python(block, names)
        elif block.language == "sh" and page in REAL_COMMANDS:
            _run_commands(block, names)


def _run_python(block: Block, names: dict[str, Any]) -> str:
    shown = io.StringIO()
    # Filled up with empty lines, so that a traceback names the line of the page.
    code = compile("\n" * (block.line - 1) + block.text, str(block.page), "exec")
    with redirect_stdout(shown):
        exec(code, names)
    return shown.getvalue()


def _agrees(printed: str, shown: str) -> bool:
    """True when a page shows what was printed; `…` stands for what is different each time."""
    pattern = re.escape(shown.strip()).replace("…", "[^\\n]*")
    return re.fullmatch(pattern, printed.strip()) is not None


def _run_commands(block: Block, names: dict[str, Any]) -> None:
    for command in commands(block):
        if command.startswith(NOT_RUN):
            continue
        words = shlex.split(command, comments=True)
        words = [names["run"].id if word == "RUN" else word for word in words]
        done = subprocess.run(
            [sys.executable, "-m", *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS_MAX,
        )
        assert done.returncode == 0, (str(block), command, done.stdout, done.stderr)


def _blocks_in(*languages: str) -> list[Block]:
    found = [block for page in all_pages() for block in blocks(page)]
    return [block for block in found if block.language in languages]


@pytest.mark.parametrize("block", _blocks_in("sh"), ids=str)
def test_the_commands_of_a_block_exist(block: Block) -> None:
    for command in commands(block):
        parsed(command)


@pytest.mark.parametrize("block", _blocks_in("python"), ids=str)
def test_a_piece_of_python_is_python(block: Block) -> None:
    compile(block.text, str(block), "exec")


@pytest.mark.parametrize("block", _blocks_in("json", "toml"), ids=str)
def test_a_piece_of_data_can_be_read(block: Block) -> None:
    {"json": json.loads, "toml": tomllib.loads}[block.language](block.text)


def test_few_blocks_are_not_run() -> None:
    pages = run_pages()
    aside = [b for b in _blocks_in("python") if b.page in pages and "fragment" in b.words]
    assert len(aside) <= 2, [str(block) for block in aside]
