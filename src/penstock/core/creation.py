"""What a schedule that is created now does first, and so what its preview shows."""

from __future__ import annotations

from datetime import datetime, timedelta

from penstock.core import checking, recurrence, zones
from penstock.core.recurrence import Occurrence, Recurrence

# Fires at a start time that lies exactly at the instant of creation, too.
_JUST_BEFORE = timedelta(microseconds=1)


def first_fire_time(rule: Recurrence, now: datetime) -> datetime | None:
    """Return the first time after its creation at which an anchored `rule` fires by itself.

    A start time that lies exactly at `now` counts; the origin of a recurrence without start time
    does not, since that is the run at creation.
    """
    return recurrence.next_after(rule, _since(rule, now))


def preview(
    rule: Recurrence,
    *,
    count: int,
    now: datetime,
    after: datetime | None = None,
    run_on_create: bool = True,
) -> tuple[Recurrence, list[Occurrence]]:
    """Return the rule as it would be stored now, and its next `count` fires.

    The run at creation, where there is one, is the first of them, marked `on_create`. Slots that a
    clock change dropped or merged stand among the fires and are not counted.

    Args:
        rule: the recurrence; one with an anchor was created before.
        count: how many fires.
        now: the present instant.
        after: only fires later than this; None for a schedule created now.
        run_on_create: whether the schedule would start a run at its creation.

    Raises:
        InvalidRecurrence: the recurrence is wrong, or names no times.
    """
    anchored = checking.validated(rule, now=now)
    if after is not None:
        return anchored, recurrence.preview(anchored, after, count)
    if not run_on_create or rule.start_time is not None or rule.anchor is not None:
        return anchored, recurrence.preview(anchored, _since(anchored, now), count)
    local_now = now.astimezone(zones.zone(anchored.time_zone or "UTC"))
    first = Occurrence(
        fire_time=now,
        nominal_time=local_now.replace(tzinfo=None),
        local_time=local_now,
        mark="on_create",
    )
    return anchored, [first, *recurrence.preview(anchored, now, count - 1)]


def _since(rule: Recurrence, now: datetime) -> datetime:
    return now if rule.start_time is None else now - _JUST_BEFORE
