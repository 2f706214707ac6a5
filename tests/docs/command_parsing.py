"""Reads a `penstock …` command as the command line would, without carrying it out."""

from __future__ import annotations

import shlex
from typing import Any

import typer

from penstock.cli.main import app


def parsed(command: str) -> tuple[str, dict[str, Any]]:
    """Return the command's name and its parameters; raise a usage error if it is not one.

    A comment at the end is left out.
    """
    words = shlex.split(command, comments=True)
    assert words[0] == "penstock", command
    found: Any = typer.main.get_command(app)
    context: Any = None
    name, rest = "penstock", words[1:]
    path: list[str] = []
    while True:
        context = found.make_context(name, list(rest), parent=context)
        if not hasattr(found, "resolve_command"):
            return " ".join(path), context.params
        left = [*getattr(context, "_protected_args", ()), *context.args]
        name, found, rest = found.resolve_command(context, left)
        path.append(name)
