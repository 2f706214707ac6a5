"""Watching a run: its steps as a progress bar, its logs as they are written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from penstock.cli.printing import Printer, duration, exact, state
from penstock.cli.session import Session
from penstock.core.states import RUN_ENDS, STEP_ENDS
from penstock.errors import NotFound
from penstock.wire import LogDocument, RunDocument, StepRunDocument

__all__ = ["follow_logs", "print_logs", "wait_for_end"]

PAUSE_SECONDS = 0.5
LOG_PIECE_BYTES = 1 << 20


def get_steps(here: Session, run_id: str) -> list[StepRunDocument]:
    """Return the step runs of a run."""
    return here.client.read_list(StepRunDocument, here.path("runs", run_id, "steps"))


def get_run(here: Session, run_id: str) -> RunDocument:
    """Return a run."""
    return here.client.read(RunDocument, here.path("runs", run_id))


# ---- the progress bar ----------------------------------------------------------------------------


def wait_for_end(here: Session, run_id: str, timeout_seconds: float | None) -> RunDocument | None:
    """Show a run's progress until it has ended, and return it; None when the time is up before.

    On a terminal a bar and a line per step are redrawn; elsewhere each change is a line; in the
    formats for programs nothing is shown.
    """
    until = None
    if timeout_seconds is not None:
        until = here.outside.clock.now() + timedelta(seconds=timeout_seconds)
    with _shown(here.printer) as view:
        while True:
            run, steps = get_run(here, run_id), get_steps(here, run_id)
            now = here.outside.clock.now()
            view.show(run, steps, now)
            if run.state in RUN_ENDS:
                return run
            if until is not None and now >= until:
                return None
            here.outside.pause(PAUSE_SECONDS)


class _Lines:
    """Prints a line for each change of a step's state."""

    def __init__(self, printer: Printer) -> None:
        self.printer = printer
        self.seen: dict[str, str] = {}

    def show(self, run: RunDocument, steps: Sequence[StepRunDocument], now: datetime) -> None:
        """Print what is new since the last look."""
        for step in steps:
            if self.seen.get(step.id, "NotStarted") != step.state:
                self.printer.say(f"{exact(now)}  {step.name}  {step.state}")
            self.seen[step.id] = step.state


class _Bars:
    """Redraws a bar over the steps, with a line for each."""

    def __init__(self, live: Live) -> None:
        self.live = live
        self.progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        )
        self.task = self.progress.add_task("waiting", total=None)

    def show(self, run: RunDocument, steps: Sequence[StepRunDocument], now: datetime) -> None:
        """Redraw."""
        done = sum(step.state in STEP_ENDS for step in steps)
        self.progress.update(
            self.task, description=f"run {run.id}", completed=done, total=len(steps) or None
        )
        self.live.update(self._drawn(run, steps, now), refresh=True)

    def _drawn(
        self, run: RunDocument, steps: Sequence[StepRunDocument], now: datetime
    ) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        for step in steps:
            table.add_row(Text(step.name), state(step.state), Text(_took(step, now), style="dim"))
        return Group(self.progress, table)


@contextmanager
def _shown(printer: Printer) -> Iterator[_Lines | _Bars]:
    if not printer.is_live:
        yield _Lines(printer)
        return
    with Live(console=printer.console, refresh_per_second=4) as live:
        yield _Bars(live)


def _took(step: StepRunDocument, now: datetime) -> str:
    if step.started_at is None:
        return ""
    return duration((step.ended_at or now) - step.started_at)


# ---- logs ----------------------------------------------------------------------------------------

_PREFIX_COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "bright_red")


@dataclass
class _Reader:
    """Where reading one step run's log has got to."""

    step: StepRunDocument
    offset: int = 0
    begun_line: str = field(default="", repr=False)
    is_complete: bool = False


def print_logs(here: Session, run_id: str, step_name: str | None) -> None:
    """Print what there is of the logs, a step after the other; each line says whose it is."""
    writer = _Writer(here.printer)
    for step in _chosen(here, run_id, step_name):
        reader = _Reader(step)
        for line in _new_lines(here, reader):
            writer.write(step, line)
        writer.rest(reader)


def follow_logs(here: Session, run_id: str, step_name: str | None) -> RunDocument:
    """Print the logs of all steps as they are written, until the run has ended; return it."""
    writer = _Writer(here.printer)
    readers: dict[tuple[str, int], _Reader] = {}  # another attempt writes another log
    while True:
        run = get_run(here, run_id)  # before the logs: once it has ended, they are whole
        for step in _chosen(here, run_id, step_name):
            reader = readers.setdefault((step.id, step.attempt), _Reader(step))
            if step.started_at is not None and not reader.is_complete:
                for line in _new_lines(here, reader):
                    writer.write(step, line)
        if run.state in RUN_ENDS:
            for reader in readers.values():
                writer.rest(reader)
            return run
        here.outside.pause(PAUSE_SECONDS)


class _Writer:
    """Prints lines of logs: for people with the step's name in colour before it, else as JSON."""

    def __init__(self, printer: Printer) -> None:
        self.printer = printer
        self.colours: dict[str, str] = {}

    def write(self, step: StepRunDocument, line: str) -> None:
        """Print one line."""
        if not self.printer.is_table:
            fields = {"step_run_id": step.id, "step": step.name, "line": line}
            self.printer.raw(json.dumps(fields, ensure_ascii=False))
            return
        following = _PREFIX_COLOURS[len(self.colours) % len(_PREFIX_COLOURS)]
        colour = self.colours.setdefault(step.id, following)
        self.printer.say(Text.assemble((f"{step.name} | ", colour), line))

    def rest(self, reader: _Reader) -> None:
        """Print a last line that was never ended."""
        if reader.begun_line:
            self.write(reader.step, reader.begun_line)
            reader.begun_line = ""


def _chosen(here: Session, run_id: str, step_name: str | None) -> list[StepRunDocument]:
    steps = get_steps(here, run_id)
    chosen = [step for step in steps if step_name in (None, step.name, step.id)]
    if steps and not chosen:
        names = ", ".join(dict.fromkeys(step.name for step in steps))
        raise NotFound(kind="step", id=step_name, hint=f"The run has: {names}.")
    return chosen


def _new_lines(here: Session, reader: _Reader) -> Iterator[str]:
    """Yield the whole lines that were written since the last look."""
    while True:
        piece = _piece(here, reader)
        lines = (reader.begun_line + piece.text).split("\n")
        reader.begun_line = lines.pop()
        yield from (line.removesuffix("\r") for line in lines)
        has_moved = piece.next_offset > reader.offset
        reader.offset, reader.is_complete = piece.next_offset, piece.is_complete
        if piece.is_complete or not has_moved:
            return


def _piece(here: Session, reader: _Reader) -> LogDocument:
    path = here.path("step-runs", reader.step.id, "log")
    return here.client.read(LogDocument, path, offset=reader.offset, limit=LOG_PIECE_BYTES)
