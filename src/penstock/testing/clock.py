"""A clock that a test moves by hand."""

from __future__ import annotations

from datetime import datetime, timedelta


class ManualClock:
    """Implements Clock: shows one instant until it is told another one, earlier ones included."""

    def __init__(self, now: datetime) -> None:
        """Show `now`, an aware instant in UTC."""
        self.set(now)

    def now(self) -> datetime:
        """Return the instant that the clock was last told."""
        return self._now

    def set(self, now: datetime) -> None:
        """Show another instant; a clock may jump back."""
        if now.utcoffset() != timedelta(0):
            raise ValueError(f"an instant must be aware, in UTC: {now!r}")
        self._now = now

    def advance(self, length: timedelta) -> None:
        """Show an instant that is `length` later."""
        self.set(self._now + length)
