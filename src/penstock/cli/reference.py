"""The command line as Markdown, made from the commands; docs/reference/cli.md holds it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from penstock.cli.failures import EXIT_CODES
from penstock.cli.main import app
from penstock.cli.schedules import MARKS
from penstock.cli.verbs import SHARED

__all__ = ["command_names", "reference"]


def reference() -> str:
    """Return the generated part of the reference page: every command, and every exit code."""
    parts = [_shared_options(), *(_section(name, command) for name, command in _commands())]
    return "\n\n".join([*parts, _marks(), _exit_codes()])


def command_names() -> list[str]:
    """Return every command as it is typed, without `penstock`."""
    return [name for name, _ in _commands()]


def _commands() -> Iterator[tuple[str, Any]]:
    """Yield every command with the words that call it, in the order of the help."""
    for name, command in _children(typer.main.get_command(app)):
        children = list(_children(command))
        if not children:
            yield name, command
        for child_name, child in children:
            yield f"{name} {child_name}", child


def _children(group: Any) -> Iterator[tuple[str, Any]]:
    yield from getattr(group, "commands", {}).items()


def _shared_options() -> str:
    command = next(command for name, command in _commands() if name == "run list")
    options = [p for p in command.params if p.name in SHARED]
    return "## Options of every command\n\n" + _options_table(command, options)


def _section(name: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and p.name not in SHARED]
    usage = ["penstock", name, *(_argument(a) for a in arguments)]
    if options:
        usage.append("[OPTIONS]")
    parts = [f"## penstock {name}", command.help.strip(), f"```\n{' '.join(usage)}\n```"]
    if arguments:
        rows = [(f"`{_bare(a)}`", a.help or "") for a in arguments]
        parts.append(_table(("argument", "meaning"), rows))
    if options:
        parts.append(_options_table(command, options))
    return "\n\n".join(parts)


def _argument(argument: Any) -> str:
    return _bare(argument) if argument.required else f"[{_bare(argument)}]"


def _bare(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper()).strip("[]")


def _options_table(command: Any, options: list[Any]) -> str:
    context = command.context_class(command)
    rows = []
    for option in options:
        record = option.get_help_record(context)
        if record is not None:
            spelling, meaning = record
            rows.append((f"`{spelling}`", meaning.replace("  [", " [")))
    return _table(("option", "meaning"), rows)


def _marks() -> str:
    rows = [(f"`{mark}`", meaning) for mark, meaning in MARKS.items()]
    return "## Marks of a preview\n\n" + _table(("mark", "meaning"), rows)


def _exit_codes() -> str:
    rows = [(str(int(code)), meaning) for code, meaning in EXIT_CODES.items()]
    return "## Exit codes\n\n" + _table(("code", "meaning"), rows)


def _table(titles: tuple[str, str], rows: list[tuple[str, str]]) -> str:
    lines = [titles, ("---", "---"), *rows]
    return "\n".join(f"| {_cell(one)} | {_cell(two)} |" for one, two in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
