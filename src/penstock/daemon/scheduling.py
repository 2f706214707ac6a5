"""Handler: schedules that are due. Quiet: everything happens in the database, a batch in one
transaction.

The batch is decided first and written in one go. If anything about it cannot be written, each
schedule of it is written alone, so that a poisoned one spoils only itself.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from penstock.core.due import Outcome, Overlap, PlannedFire, plan_fires
from penstock.core.model import Fire, Run, Schedule, Timer
from penstock.core.recurrence import next_after
from penstock.errors import PenstockError, Unavailable
from penstock.service import firing
from penstock.service.schedules import TIMER
from penstock.store import fires, runs, schedules, timers
from penstock.store.database import Store, Transaction

log = logging.getLogger(__name__)

BATCH = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decision:
    """What is to be written for one schedule."""

    schedule: Schedule
    timer: Timer
    next_fire_time: datetime | None
    due_at: datetime | None  # when to look again; None: never
    failures: int = 0
    fires: tuple[Fire, ...] = ()
    runs: tuple[Run, ...] = ()
    canceled_runs: tuple[str, ...] = ()
    quarantined_reason: str | None = None


@dataclass(slots=True)
class FireCounts:
    """What one pass did, for logs and tests."""

    timers: int = 0
    fired: int = 0
    other: dict[str, int] = field(default_factory=dict)


def fire_due(
    store: Store, now: datetime, *, late_seconds_max: float, limit: int = BATCH
) -> FireCounts:
    """Fire the schedules that are due, at most `limit` of them, and re-arm them.

    Each due time is recorded once: the record's primary key refuses a second one, whoever brings
    it.

    Args:
        store: the database.
        now: the present instant; nothing fires before its time.
        late_seconds_max: a fire noticed later than this counts as missed.
        limit: size of the batch.
    """
    counts = FireCounts()
    with store.begin() as tx:
        due = timers.due(tx, TIMER, now, limit)
        if not due:
            return counts
        decisions = _decide_all(tx, due, now, late_seconds_max)
        written = _write_together(tx, decisions, now)
        if not written:
            for decision in decisions:
                _write_alone(tx, decision, now, late_seconds_max)
    counts.timers = len(due)
    for decision in decisions:
        for fire in decision.fires:
            if fire.outcome is Outcome.FIRED:
                counts.fired += 1
            else:
                counts.other[fire.outcome] = counts.other.get(fire.outcome, 0) + 1
    return counts


# ---- deciding ------------------------------------------------------------------------------------


def _decide_all(
    tx: Transaction, due: list[Timer], now: datetime, late_seconds_max: float
) -> list[_Decision]:
    found = _read(tx, due, now)
    careful = [s.id for s in found.values() if s.overlap is not Overlap.ALLOW]
    active = runs.active_counts(tx, careful) if careful else {}
    targets = firing.Targets(tx)
    decisions = []
    for timer in due:
        schedule = found.get(timer.subject_id)
        if schedule is None:  # deleted since; its timer goes with it
            timers.finish(tx, timer)
            continue
        decisions.append(
            _decide(tx, targets, schedule, timer, active.get(schedule.id, 0), now, late_seconds_max)
        )
    return decisions


def _read(tx: Transaction, due: list[Timer], now: datetime) -> dict[str, Schedule]:
    """Return the schedules of due timers by id; one whose row makes no sense is stopped."""
    try:
        return schedules.get_many(tx, [timer.subject_id for timer in due])
    except Unavailable:
        raise
    except Exception as error:
        log.info("batch_unreadable schedules=%d reason=%r", len(due), error)
    found: dict[str, Schedule] = {}
    for timer in due:
        try:
            found |= schedules.get_many(tx, [timer.subject_id])
        except Unavailable:
            raise
        except Exception as error:
            log.exception("schedule_unreadable schedule_id=%s", timer.subject_id)
            reason = f"disabled: it cannot be read any more: {error!r}"
            schedules.quarantine(tx, timer.subject_id, reason, now)
            fires.insert(tx, firing.unreadable(timer.subject_id, timer.due_at, now, reason))
    return found


def _decide(
    tx: Transaction,
    targets: firing.Targets,
    schedule: Schedule,
    timer: Timer,
    active_runs: int,
    now: datetime,
    late_seconds_max: float,
) -> _Decision:
    if schedule.recurrence is None or schedule.next_fire_time is None:
        return _Decision(schedule=schedule, timer=timer, next_fire_time=None, due_at=None)
    try:
        plan = plan_fires(
            rule=schedule.recurrence,
            next_fire_time=schedule.next_fire_time,
            now=now,
            catch_up=schedule.catch_up,
            catch_up_window_seconds=schedule.catch_up_window_seconds,
            overlap=schedule.overlap,
            active_runs=active_runs,
            late_seconds_max=late_seconds_max,
        )
        started = [_started(targets, schedule, planned, now) for planned in plan.fires]
    except PenstockError as error:
        return _failed(schedule, timer, now, str(error))
    except Exception as error:
        log.exception("schedule_evaluation_failed schedule_id=%s", schedule.id)
        return _failed(schedule, timer, now, f"internal error: {error!r}")
    canceled: tuple[str, ...] = ()
    if any(planned.cancel_previous for planned in plan.fires):
        previous = [*runs.active_for_schedule(tx, schedule.id), *filter(None, started)]
        canceled = tuple(run.id for run in previous[:-1])
    return _Decision(
        schedule=schedule,
        timer=timer,
        next_fire_time=plan.next_fire_time,
        due_at=plan.next_fire_time,
        fires=tuple(
            firing.record(schedule, planned, now, run)
            for planned, run in zip(plan.fires, started, strict=True)
        ),
        runs=tuple(run for run in started if run is not None),
        canceled_runs=canceled,
    )


def _started(
    targets: firing.Targets, schedule: Schedule, planned: PlannedFire, now: datetime
) -> Run | None:
    if planned.outcome is not Outcome.FIRED:
        return None
    return firing.scheduled_run(targets, schedule, planned, now)


def _failed(schedule: Schedule, timer: Timer, now: datetime, reason: str) -> _Decision:
    """Return the decision after a failed submission: try again later, or stop after too many."""
    failures = schedule.failures + 1
    fire_time = schedule.next_fire_time or now
    quarantined = None
    if failures >= firing.FAILURES_MAX:
        quarantined = f"disabled after {failures} failures in a row; the last: {reason}"
    retry_at = now + timedelta(seconds=firing.RETRY_SECONDS * 2.0**schedule.failures)
    return _Decision(
        schedule=schedule,
        timer=timer,
        next_fire_time=None if quarantined else schedule.next_fire_time,
        due_at=None if quarantined else retry_at,
        failures=failures,
        fires=(firing.failure(schedule, fire_time, now, reason),),
        quarantined_reason=quarantined,
    )


# ---- writing -------------------------------------------------------------------------------------


def _write_together(tx: Transaction, decisions: list[_Decision], now: datetime) -> bool:
    """Write a batch at once; return False, with nothing written, if any part of it is refused."""
    try:
        with tx.savepoint():
            _write(tx, decisions, now)
    except Unavailable:  # the database itself, not one of the schedules
        raise
    except Exception as error:
        log.info("batch_refused schedules=%d reason=%r", len(decisions), error)
        return False
    return True


def _write_alone(
    tx: Transaction, decision: _Decision, now: datetime, late_seconds_max: float
) -> None:
    schedule = decision.schedule
    try:
        with tx.savepoint():
            _write(tx, [decision], now)
    except fires.AlreadyThere:
        # Done before, by whoever was first. What is left is to go on from there.
        with tx.savepoint():
            _write(tx, [_up_to_done(tx, decision)], now)
    except Unavailable:
        raise
    except Exception as error:
        log.exception("schedule_write_failed schedule_id=%s", schedule.id)
        with tx.savepoint():
            _write(tx, [_failed(schedule, decision.timer, now, f"internal error: {error!r}")], now)


def _up_to_done(tx: Transaction, decision: _Decision) -> _Decision:
    """Return the part of `decision` that comes before the first fire that is recorded already.

    That happens when the clock was set back and somebody enabled the schedule again. What follows
    is left to the next look, since it was decided as if that fire were a new one.
    """
    for index, fire in enumerate(decision.fires):
        done = fires.find(tx, fire.source_id, fire.fire_key)
        if done is None:
            continue
        if index == 0:
            return _passed_over(tx, decision, done)
        kept = decision.fires[:index]
        started = [fire.run_id for fire in kept if fire.run_id is not None]
        new = {run.id for run in decision.runs}
        return replace(
            decision,
            next_fire_time=fire.fire_time,
            due_at=fire.fire_time,
            fires=kept,
            runs=tuple(run for run in decision.runs if run.id in started),
            canceled_runs=tuple(
                id for id in decision.canceled_runs if id not in new or id in started[:-1]
            ),
        )
    return decision


def _passed_over(tx: Transaction, decision: _Decision, done: Fire) -> _Decision:
    """Return the decision to go on after fires that are recorded already, `done` the first."""
    rule = decision.schedule.recurrence
    assert rule is not None
    following = done.fire_time
    for _ in range(BATCH):
        last = done.through_time or done.fire_time
        following = next_after(rule, last) if last is not None else None
        found = following and fires.find(tx, done.source_id, firing.fire_key(following))
        if not found:
            break
        done = found
    return _Decision(
        schedule=decision.schedule,
        timer=decision.timer,
        next_fire_time=following,
        due_at=following,
    )


def _write(tx: Transaction, decisions: list[_Decision], now: datetime) -> None:
    new_fires = [fire for decision in decisions for fire in decision.fires]
    new_runs = [run for decision in decisions for run in decision.runs]
    if new_fires:
        fires.insert_many(tx, new_fires)
    if new_runs:
        runs.insert_many(tx, new_runs)
        timers.arm_many(tx, [("run", run.id, now) for run in new_runs])
    schedules.set_fire_state_many(
        tx, [(d.schedule.id, d.next_fire_time, d.failures) for d in decisions]
    )
    timers.rearm_many(tx, [(d.timer, d.due_at) for d in decisions if d.due_at is not None])
    timers.finish_many(tx, [d.timer for d in decisions if d.due_at is None])
    for decision in decisions:
        for run_id in decision.canceled_runs:
            runs.request_cancel(tx, run_id, now)
            timers.arm(tx, "run", run_id, now)
        if decision.quarantined_reason is not None:
            schedules.quarantine(tx, decision.schedule.id, decision.quarantined_reason, now)
