"""How the command line looks: formats, tables, times in words, and the one table of colours."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import yaml
from pydantic import BaseModel
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = [
    "COLOURS",
    "Cell",
    "Column",
    "Format",
    "Printer",
    "ago",
    "as_plain",
    "duration",
    "exact",
    "sized",
    "state",
]


class Format(StrEnum):
    """What `--output` takes."""

    TABLE = "table"  # for people
    JSON = "json"  # for programs: the documents of the API, a list as an array
    YAML = "yaml"  # the same documents


COLOURS: Mapping[str, str] = {
    # runs and steps
    "NotStarted": "dim",
    "Queued": "yellow",
    "Running": "cyan",
    "Finished": "green",
    "Failed": "bold red",
    "Canceled": "magenta",
    "Bypassed": "dim",
    # pipelines and schedules
    "Active": "green",
    "Deprecated": "yellow",
    "Disabled": "dim",
    # outcomes of evaluations
    "fired": "green",
    "skipped": "yellow",
    "missed": "magenta",
    "failed": "bold red",
    # marks of a preview
    "on_create": "cyan",
    "moved": "yellow",
    "repeated": "yellow",
    "merged": "magenta",
    "dropped": "red",
}
"""One colour per word, wherever the word stands."""

Cell = str | Text


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: its title and how a row's cell is made."""

    title: str
    cell: Callable[[Any], Cell | None]
    is_right: bool = False  # numbers


class Printer:
    """Prints results to standard output in the format that was asked for."""

    def __init__(self, output: Format, now: datetime) -> None:
        """Look at the terminal once; `now` is what relative times are relative to."""
        self.output = output
        self.now = now
        self.console = Console(highlight=False, soft_wrap=False)
        self.is_table = output is Format.TABLE
        self.is_live = self.is_table and self.console.is_terminal

    def one(self, document: BaseModel | Mapping[str, Any], fields: Sequence[Column]) -> None:
        """Print one document: a line per field, without the fields that are empty."""
        if not self.is_table:
            self._data(as_plain(document))
            return
        rows = [(column.title, column.cell(document)) for column in fields]
        width = max(len(title) for title, _ in rows)
        for title, cell in rows:
            if cell is not None and str(cell):
                self._line(Text.assemble((f"{title:<{width}}  ", "dim"), _text(cell)))

    def many(self, documents: Iterable[Any], columns: Sequence[Column], *, empty: str) -> None:
        """Print a list: a row per document, or the sentence `empty` when there is none."""
        rows = list(documents)
        if not self.is_table:
            self._data([as_plain(row) for row in rows])
        elif not rows:
            self.say(empty)
        else:
            self._table([[column.cell(row) for column in columns] for row in rows], columns)

    def say(self, sentence: Cell = "") -> None:
        """Print a sentence for people; nothing in the formats for programs."""
        if self.is_table:
            self._line(_text(sentence))

    def when(self, instant: datetime | None) -> Cell:
        """Return an instant as exact UTC, with its distance from now in words."""
        if instant is None:
            return ""
        return Text.assemble(exact(instant), (f" ({ago(instant, self.now)})", "dim"))

    def data(self, value: Any) -> None:
        """Print plain data in a format for programs; nothing in a table."""
        if not self.is_table:
            self._data(value)

    def raw(self, line: str) -> None:
        """Print a line as it is, at once."""
        self.console.file.write(line + "\n")
        self.console.file.flush()

    def _data(self, value: Any) -> None:
        if self.output is Format.YAML:
            text = yaml.safe_dump(value, sort_keys=False, allow_unicode=True).rstrip()
        else:
            text = json.dumps(value, indent=2, ensure_ascii=False)
        self.console.file.write(text + "\n")

    def _table(self, rows: list[list[Cell | None]], columns: Sequence[Column]) -> None:
        if not self.console.is_terminal:
            self._aligned(rows, columns)
            return
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
        for column in columns:
            table.add_column(
                column.title, justify="right" if column.is_right else "left", overflow="fold"
            )
        for row in rows:
            table.add_row(*(_text(cell or "") for cell in row))
        self.console.print(table)

    def _aligned(self, rows: list[list[Cell | None]], columns: Sequence[Column]) -> None:
        """Plain columns as wide as they must be: nothing is cut off where a program may read."""
        texts = [[column.title for column in columns]]
        texts += [[_text(cell or "").plain for cell in row] for row in rows]
        widths = [max(len(row[i]) for row in texts) for i in range(len(columns))]
        for row in texts:
            cells = [
                cell.rjust(width) if column.is_right else cell.ljust(width)
                for cell, width, column in zip(row, widths, columns, strict=True)
            ]
            self.console.file.write("  ".join(cells).rstrip() + "\n")

    def _line(self, line: Text) -> None:
        if self.console.is_terminal:
            self.console.print(line, soft_wrap=True)  # the terminal breaks long lines
        else:
            self.console.file.write(line.plain.rstrip() + "\n")


def _text(cell: Cell) -> Text:
    return cell if isinstance(cell, Text) else Text(cell)


def as_plain(value: Any) -> Any:
    """Return a document as JSON has it; anything else unchanged."""
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value


def state(word: str | None) -> Text:
    """Return a state, status, outcome or mark in its colour."""
    return Text(str(word or ""), style=COLOURS.get(str(word), ""))


def exact(instant: datetime) -> str:
    """Return an instant to the second, in UTC."""
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


_UNITS = ((86_400 * 365, "y"), (86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def ago(instant: datetime, now: datetime) -> str:
    """Return the distance of an instant from now: "in 4 min", "2 h ago", "now"."""
    seconds = (instant - now).total_seconds()
    if abs(seconds) < 1:
        return "now"
    words = _largest_unit(abs(seconds))
    return f"in {words}" if seconds > 0 else f"{words} ago"


def _largest_unit(seconds: float) -> str:
    size, unit = next(pair for pair in _UNITS if seconds >= pair[0])
    return f"{int(seconds // size)} {unit}"


def duration(length: timedelta | None) -> str:
    """Return how long something took, in its two largest units: "1 min 5 s", "40 ms"."""
    if length is None:
        return ""
    seconds = max(length.total_seconds(), 0.0)
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    parts: list[str] = []
    rest = int(seconds)
    for size, unit in _UNITS[1:]:
        count, rest = divmod(rest, size)
        if count or parts:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])


def sized(count: int) -> str:
    """Return a number of bytes in the unit that fits."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
