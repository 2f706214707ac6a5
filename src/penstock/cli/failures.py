"""What a command does when it fails: a sentence on standard error, a telling exit code."""

from __future__ import annotations

import json
from enum import IntEnum

from rich.console import Console
from rich.text import Text

from penstock.cli.printing import Format
from penstock.core.states import RunState
from penstock.errors import (
    Conflict,
    Invalid,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    PenstockError,
    RunFailed,
    TooLarge,
    to_problem,
)

__all__ = ["EXIT_CODES", "ExitCode", "exit_code_of", "exit_code_of_run", "report"]


class ExitCode(IntEnum):
    """What the exit code of a command means."""

    OK = 0
    WORLD = 1
    USAGE = 2
    RUN_FAILED = 3
    RUN_CANCELED = 4
    TIMED_OUT = 5
    NOT_FOUND = 6
    NOT_ALLOWED = 7
    CONFLICT = 8
    INTERRUPTED = 130


EXIT_CODES: dict[ExitCode, str] = {
    ExitCode.OK: "done; for `run wait` and `run logs --follow`: the run finished well",
    ExitCode.WORLD: "the server, the network, a disk or Penstock itself is at fault",
    ExitCode.USAGE: "wrong usage, or a value that is not valid",
    ExitCode.RUN_FAILED: "the run failed",
    ExitCode.RUN_CANCELED: "the run was cancelled",
    ExitCode.TIMED_OUT: "waited as long as `--timeout` allows; the run goes on",
    ExitCode.NOT_FOUND: "there is no such thing",
    ExitCode.NOT_ALLOWED: "no valid token, or one that may not do this",
    ExitCode.CONFLICT: "right request, wrong moment: something is in use or already there",
    ExitCode.INTERRUPTED: "interrupted with Ctrl-C",
}
"""Every exit code with its meaning, as the reference page prints them."""

_CODES: tuple[tuple[type[PenstockError], ExitCode], ...] = (
    (NotFound, ExitCode.NOT_FOUND),
    (NotAuthenticated, ExitCode.NOT_ALLOWED),
    (NotAllowed, ExitCode.NOT_ALLOWED),
    (Conflict, ExitCode.CONFLICT),
    (Invalid, ExitCode.USAGE),
    (TooLarge, ExitCode.USAGE),
    (RunFailed, ExitCode.RUN_FAILED),
    (PenstockError, ExitCode.WORLD),
)

_RUN_CODES = {
    RunState.FINISHED: ExitCode.OK,
    RunState.FAILED: ExitCode.RUN_FAILED,
    RunState.CANCELED: ExitCode.RUN_CANCELED,
}


def exit_code_of(error: PenstockError) -> ExitCode:
    """Return the exit code of a command that ended with `error`."""
    return next(code for kind, code in _CODES if isinstance(error, kind))


def exit_code_of_run(state: RunState) -> ExitCode:
    """Return the exit code of a command that saw a run end in `state`."""
    return _RUN_CODES[state]


def report(error: PenstockError, output: Format) -> None:
    """Print `error` to standard error: a red sentence, or its problem document."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if output is not Format.TABLE:
        console.file.write(json.dumps(to_problem(error), indent=2, ensure_ascii=False) + "\n")
        return
    console.print(Text(error.message, style="red"))
