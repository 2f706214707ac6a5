"""A figure that a benchmark measured, beside the limit that was promised for it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the result."""

    name: str
    value: float
    unit: str
    limit: float
    is_at_least: bool = False  # True: the limit is the least that is promised, not the most
    detail: str = ""

    @property
    def is_kept(self) -> bool:
        """Whether the promise is kept."""
        return self.value >= self.limit if self.is_at_least else self.value <= self.limit


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` (0 to 1) of the values lie."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def median(values: Sequence[float]) -> float:
    """Return the middle value."""
    return statistics.median(values)


def print_table(figures: Sequence[Figure]) -> None:
    """Print the figures, one a line, those that break their promise marked."""
    for figure in figures:
        sign = ">=" if figure.is_at_least else "<="
        mark = "ok  " if figure.is_kept else "MISS"
        promise = f"{sign} {figure.limit:g} {figure.unit}"
        measured = f"{figure.value:.3g} {figure.unit}"
        print(f"{mark} {figure.name:<58} {measured:>14}  {promise:<14} {figure.detail}")
