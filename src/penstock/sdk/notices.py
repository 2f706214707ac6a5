"""Lines for the person at the terminal that are not part of a script's own output."""

from __future__ import annotations

import sys

_SAID: set[str] = set()


def notice(text: str) -> None:
    """Print a line to standard error, the same line only once in a process."""
    if text not in _SAID:
        _SAID.add(text)
        print(f"penstock: {text}", file=sys.stderr, flush=True)


def deprecated(old: str, new: str) -> None:
    """Say that `old` still works and what to write instead."""
    notice(f"{old} is deprecated; use {new}.")
