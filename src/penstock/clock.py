"""The clock: the one place that asks the machine what time it is.

A request or a tick reads the clock once, at the edge; from there `now` is an argument.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Something that knows the time."""

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC."""
        ...


class SystemClock:
    """The machine's wall clock. It may jump; whoever waits must use monotonic time."""

    def now(self) -> datetime:
        """Return the machine's present instant in UTC, to the microsecond."""
        return datetime.now(UTC)
