"""What a due schedule does: which of its occurrences fire, which are skipped or missed, and why.

    occurrences that are due, oldest first
    ├── older than the schedule still cares for   one "missed" record for all of them
    └── the rest                                  each one, in order, asks the overlap policy
        ├── fired      (at once, or queued, or after the previous run is cancelled)
        └── skipped    a previous run is still active

How far back a schedule cares depends on `catch_up`: `late_seconds_max` (skip), its latest
occurrence (latest), or the catch-up window (all). Every due occurrence is in exactly one record, so
that nothing happens, or fails to happen, without a reason that can be read.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from penstock.core.recurrence import (
    Recurrence,
    count_between,
    latest_between,
    next_after,
)

__all__ = [
    "CATCH_UP_WINDOW_SECONDS",
    "COUNT_MAX",
    "FIRES_MAX",
    "LATE_SECONDS_MAX",
    "CatchUp",
    "FirePlan",
    "Outcome",
    "Overlap",
    "PlannedFire",
    "plan_fires",
]

LATE_SECONDS_MAX = 60.0
"""An occurrence noticed at most this late is simply fired."""

CATCH_UP_WINDOW_SECONDS = 86_400.0
"""How far back `CatchUp.ALL` reaches."""

FIRES_MAX = 100
"""The most occurrences one plan fires or skips; the rest stay due for the next tick."""

COUNT_MAX = 10_000_000
"""Missed occurrences are counted up to here: a minutely schedule's nineteen years."""


class CatchUp(StrEnum):
    """What becomes of occurrences that nobody noticed in time."""

    SKIP = "skip"  # they are recorded as missed
    LATEST = "latest"  # only the last one fires, however old, unless one is on time anyway
    ALL = "all"  # all those inside the catch-up window fire, oldest first


class Overlap(StrEnum):
    """What an occurrence does while an earlier run is still active."""

    ALLOW = "allow"
    SKIP = "skip"
    QUEUE = "queue"
    CANCEL_PREVIOUS = "cancel_previous"


class Outcome(StrEnum):
    """What became of an occurrence."""

    FIRED = "fired"
    SKIPPED = "skipped"
    MISSED = "missed"
    FAILED = "failed"  # never planned: recorded when the submission of a fired one fails


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFire:
    """One record of a plan: an occurrence, or a row of missed ones."""

    fire_time: datetime  # nominal, UTC; of the first when it stands for several
    outcome: Outcome
    reason: str
    count: int = 1
    through_time: datetime | None = None  # the last one when it stands for several
    cancel_previous: bool = False
    queue: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FirePlan:
    """What a due schedule does now, and when it is due again."""

    fires: tuple[PlannedFire, ...]
    next_fire_time: datetime | None  # None: never again


def plan_fires(
    *,
    rule: Recurrence,
    next_fire_time: datetime,
    now: datetime,
    catch_up: CatchUp = CatchUp.SKIP,
    catch_up_window_seconds: float = CATCH_UP_WINDOW_SECONDS,
    overlap: Overlap = Overlap.ALLOW,
    active_runs: int = 0,
    late_seconds_max: float = LATE_SECONDS_MAX,
) -> FirePlan:
    """Decide what to do with everything due from `next_fire_time` up to and including `now`.

    Before its time nothing happens: the plan is empty and `next_fire_time` stays. An occurrence
    noticed at most `late_seconds_max` late is on time. Older ones are treated as `catch_up` says:
    those not fired become one missed record, counted without being walked. At most FIRES_MAX
    occurrences are fired or skipped; when more are due, the plan's next fire time is the first one
    left, which is not after `now`, and the next tick goes on from there.

    Args:
        rule: a validated recurrence.
        next_fire_time: the first occurrence not yet dealt with. It counts as one even where the
            rule does not name it (a run at creation).
        now: the present instant, aware.
        catch_up: what becomes of occurrences older than `late_seconds_max`.
        catch_up_window_seconds: how old an occurrence may be and still fire under CatchUp.ALL.
        overlap: what happens while an earlier run is active. Every earlier fire of this plan
            counts.
        active_runs: how many runs of this schedule have not ended.
        late_seconds_max: what is late but on time.
    """
    if next_fire_time > now:
        return FirePlan(fires=(), next_fire_time=next_fire_time)
    on_time_from = now - timedelta(seconds=late_seconds_max)
    kept_from = on_time_from
    if next_fire_time < on_time_from:
        kept_from = _kept_from(
            rule, next_fire_time, now, on_time_from, catch_up, catch_up_window_seconds
        )
    records: list[PlannedFire] = []
    fire: datetime | None = next_fire_time
    if next_fire_time < kept_from:
        records.append(_missed(rule, next_fire_time, kept_from, catch_up))
        fire = next_after(rule, kept_from - _TICK)
    handled = 0
    while fire is not None and fire <= now and handled < FIRES_MAX:
        late = catch_up if fire < on_time_from else None
        records.append(_kept(fire, overlap, active_runs, late))
        active_runs += records[-1].outcome is Outcome.FIRED
        handled += 1
        fire = next_after(rule, fire)
    return FirePlan(fires=tuple(records), next_fire_time=fire)


_TICK = timedelta(microseconds=1)


def _kept_from(
    rule: Recurrence,
    first: datetime,
    now: datetime,
    on_time_from: datetime,
    catch_up: CatchUp,
    window_seconds: float,
) -> datetime:
    """Return the instant from which occurrences are kept; earlier ones are missed."""
    if catch_up is CatchUp.SKIP:
        return on_time_from
    if catch_up is CatchUp.LATEST:
        return min(on_time_from, latest_between(rule, first, now) or first)
    return min(on_time_from, now - timedelta(seconds=window_seconds))


def _missed(
    rule: Recurrence, first: datetime, kept_from: datetime, catch_up: CatchUp
) -> PlannedFire:
    """One record for `first` and all occurrences after it and before `kept_from`."""
    last = latest_between(rule, first, kept_from - _TICK)
    count = 1 + count_between(rule, first, kept_from - _TICK, COUNT_MAX)
    when = f"from {_short(first)} to {_short(last)}" if last else f"at {_short(first)}"
    return PlannedFire(
        fire_time=first,
        outcome=Outcome.MISSED,
        reason=f"missed {count} occurrence{'s' if last else ''} {when}: the server was not running "
        f"or not keeping up; catch-up is {catch_up.value}",
        count=count,
        through_time=last,
    )


def _kept(fire: datetime, overlap: Overlap, active_runs: int, late: CatchUp | None) -> PlannedFire:
    """One record for an occurrence that fires unless the overlap policy stops it."""
    if overlap is Overlap.SKIP and active_runs:
        reason = "skipped: an earlier run is still active; overlap is skip"
        return PlannedFire(fire_time=fire, outcome=Outcome.SKIPPED, reason=reason)
    return PlannedFire(
        fire_time=fire,
        outcome=Outcome.FIRED,
        reason="it was due" if late is None else f"it was missed; catch-up is {late.value}",
        cancel_previous=overlap is Overlap.CANCEL_PREVIOUS,
        queue=overlap is Overlap.QUEUE,
    )


def _short(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%d %H:%M:%S UTC")
