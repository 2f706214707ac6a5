"""Moving runs forward: which steps start, stop, are tried again, and how a run ends.

Quiet: everything here happens in one transaction of the caller. What must be done outside (start
this attempt, stop that one) is returned as a value and done after the commit; if the process dies
in between, the step's timer brings another look.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from penstock.compute.target import Observation, Phase
from penstock.core import pipeline
from penstock.core.model import Run, StepPlace, StepRun
from penstock.core.pipeline import Graph, Step
from penstock.core.states import (
    RUN_ENDS,
    STEP_ENDS,
    RunState,
    StepState,
    advance_run,
    advance_step,
)
from penstock.daemon.launches import Facts, Shelf
from penstock.errors import PenstockError, Unavailable
from penstock.service.pipelines import load_graph
from penstock.store import runs, steps, timers
from penstock.store.database import Transaction, new_id

log = logging.getLogger(__name__)

LOCAL = "local"
# An attempt that vanished (its machine went down, somebody killed it) is tried again so many times
# beyond the step's own retries: it did not fail, it was lost.
LOST_RETRIES = 2
LOST_DELAY_SECONDS = 1.0
DELAY_SECONDS_MAX = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the settings say about running steps."""

    steps_running_max: int
    step_poll_seconds: float


@dataclass(slots=True)
class Work:
    """What must be done outside after the commit."""

    launches: list[Facts] = field(default_factory=list)
    stops: list[StepPlace] = field(default_factory=list)
    # What will probably start next: it is made ready while others run.
    soon: list[Facts] = field(default_factory=list)
    successors: list[StepPlace] = field(default_factory=list)
    has_armed: bool = False  # another run's timer is due now
    is_line_moving: bool = False  # a step was queued, or one has left its place


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How one attempt ended, to be written if it is still the newest."""

    step_run_id: str
    attempt: int
    observation: Observation
    error: str | None = None  # why it could not be started or was stopped, if that is known
    can_retry: bool = True  # False: another attempt would end the same way

    @property
    def is_lost(self) -> bool:
        """Whether nobody knows why the attempt ended; one that we made end is not lost."""
        return self.observation.phase is not Phase.EXITED and self.error is None


def advance_due(
    tx: Transaction,
    now: datetime,
    rules: Rules,
    shelf: Shelf,
    *,
    is_careful: bool = False,
    limit: int = 100,
) -> tuple[int, Work]:
    """Move the runs forward whose timers are due.

    A run that cannot be advanced raises, and the whole transaction is lost; asked again with
    `is_careful`, each run has a savepoint of its own, and the one that cannot be advanced fails
    alone.

    Returns:
        How many timers were due, and what must be done outside.
    """
    _take_turn(tx)
    due = timers.due(tx, "run", now, limit)
    found = runs.get_many(tx, [timer.subject_id for timer in due])
    timers.finish_many(tx, due)
    work = Work(is_line_moving=bool(due))
    owners = [found[timer.subject_id] for timer in due if timer.subject_id in found]
    _advance_all(tx, owners, now, work, is_careful)
    _fill(tx, now, rules, shelf, work)
    return len(due), work


def record_results(
    tx: Transaction,
    results: Iterable[Result],
    now: datetime,
    rules: Rules,
    shelf: Shelf,
    *,
    is_careful: bool = False,
) -> Work:
    """Write how attempts ended, move their runs forward, and fill the places they left.

    `is_careful`: as for `advance_due`.

    A result of an attempt that is not the newest, or whose step is not running any more, is
    dropped: the fence is the attempt number in the row.
    """
    _take_turn(tx)
    work = Work()
    by_id = {result.step_run_id: result for result in results}
    found = steps.get_many(tx, list(by_id))
    owners = runs.get_many(tx, sorted({step_run.run_id for step_run in found.values()}))
    touched: dict[str, Run] = {}
    for result in by_id.values():
        step_run = found.get(result.step_run_id)
        if step_run is None or not _is_current(step_run, result):
            continue
        run = owners[step_run.run_id]
        if _end_attempt(tx, run, step_run, result, now):
            touched[run.id] = run
            work.is_line_moving = True
    _advance_all(tx, list(touched.values()), now, work, is_careful)
    _fill(tx, now, rules, shelf, work)
    return work


def fill(tx: Transaction, now: datetime, rules: Rules, shelf: Shelf) -> Work:
    """Start waiting steps if there is room; for the case that nobody else will look."""
    _take_turn(tx)
    work = Work(is_line_moving=True)
    _fill(tx, now, rules, shelf, work)
    return work


def _take_turn(tx: Transaction) -> None:
    """Wait until no other daemon is moving runs.

    Two that end the last two steps of a run at once must not each see the other's as running: then
    neither would end the run. The same lock guards the places of the compute target, which are
    counted in the transaction that takes them.
    """
    steps.lock_line(tx, LOCAL)


# ---- runs ----------------------------------------------------------------------------------------


def _advance_all(
    tx: Transaction, found: list[Run], now: datetime, work: Work, is_careful: bool
) -> None:
    open_runs = [run for run in found if run.state not in RUN_ENDS]
    places = steps.places(tx, [run.id for run in open_runs])
    advance = _advance_alone if is_careful else _advance
    for run in open_runs:
        advance(tx, run, places[run.id], now, work)


def _advance_alone(
    tx: Transaction, run: Run, places: Mapping[str, StepPlace], now: datetime, work: Work
) -> None:
    part = Work()
    try:
        with tx.savepoint():
            _advance(tx, run, places, now, part)
    except Unavailable:
        raise
    except Exception as error:
        log.exception("run_advance_failed run_id=%s", run.id)
        part = Work()
        with tx.savepoint():
            _abandon(tx, run, places, now, f"internal error: {error!r}", part)
    work.stops += part.stops
    work.successors += part.successors
    work.has_armed |= part.has_armed
    work.is_line_moving |= part.is_line_moving


def _advance(
    tx: Transaction, run: Run, places: Mapping[str, StepPlace], now: datetime, work: Work
) -> None:
    if run.state is RunState.NOT_STARTED:
        if run.cancel_requested_at is not None:
            _end(tx, run, "cancel", now, work)
            return
        if run.is_queued and _has_predecessor(tx, run):
            return  # the run before it arms our timer when it ends
    graph = load_graph(tx, run.workspace_id, run.graph_id)
    current = dict(places)
    if run.state is RunState.NOT_STARTED:
        new = _new_step_runs(run, graph)
        steps.insert_many(tx, new)
        current = {step_run.step_id: step_run.place for step_run in new}
        run = _moved_run(tx, run, "start", now)
    while True:
        plan = pipeline.advance(
            graph,
            {step_id: place.state for step_id, place in current.items()},
            continue_on_step_failure=run.continue_on_step_failure,
            is_canceling=run.cancel_requested_at is not None,
        )
        if plan.end is not None:
            _end(tx, run, plan.end, now, work)
            return
        if not _apply(tx, plan, current, now, work):
            work.successors += _successors(graph, current)
            return


def _successors(graph: Graph, current: Mapping[str, StepPlace]) -> list[StepPlace]:
    """Return the steps that can start as soon as what runs or waits in line has ended well."""
    under_way = (StepState.FINISHED, StepState.QUEUED, StepState.RUNNING)
    return [
        place
        for place in current.values()
        if place.state is StepState.NOT_STARTED
        and all(current[p].state in under_way for p in graph.predecessors[place.step_id])
    ]


def _apply(
    tx: Transaction,
    plan: pipeline.Advance,
    current: dict[str, StepPlace],
    now: datetime,
    work: Work,
) -> bool:
    """Carry out a plan; return whether steps ended, so that there may be more to do."""
    has_ended = False
    for step_id in plan.queue:
        current[step_id] = _moved(tx, current[step_id], "queue", queued_at=now)
        work.is_line_moving = True
    for step_id in plan.bypass:
        current[step_id] = _moved(tx, current[step_id], "bypass", ended_at=now)
        has_ended = True
    for step_id in plan.cancel:
        place = current[step_id]
        if place.state is StepState.RUNNING:
            work.stops.append(place)
        else:
            current[step_id] = _moved(tx, place, "cancel", ended_at=now)
            timers.disarm(tx, "step", place.id)
            has_ended = True
    return has_ended


def _new_step_runs(run: Run, graph: Graph) -> list[StepRun]:
    return [
        StepRun(
            id=new_id(),
            run_id=run.id,
            step_id=step.id,
            name=step.name,
            state=StepState.NOT_STARTED,
            attempt=0,
            attempts_lost=0,
            compute=LOCAL,
            available_at=None,
            queued_at=None,
            started_at=None,
            ended_at=None,
            exit_code=None,
            error=None,
            tags={},
            properties={},
        )
        for step in graph.steps
    ]


def _has_predecessor(tx: Transaction, run: Run) -> bool:
    """Say whether a run of the same schedule is running, or waits and was due earlier."""
    waiting = _in_turn(tx, run.schedule_id or "")
    return bool(waiting) and waiting[0].id != run.id


def _in_turn(tx: Transaction, schedule_id: str) -> list[Run]:
    """Return the runs of a schedule that have not ended: the running ones, then by fire time.

    Not by the time of their creation: several are created at once after an outage, and the clock
    may have been set back between two of them.
    """
    return sorted(
        runs.active_for_schedule(tx, schedule_id),
        key=lambda r: (r.state is not RunState.RUNNING, r.fire_time or r.created_at, r.id),
    )


def _moved_run(
    tx: Transaction, run: Run, event: str, now: datetime, error: str | None = None
) -> Run:
    """Move a run and return it as it is now."""
    state = advance_run(run.state, event)
    if not runs.move(tx, run.id, expected=run.state, state=state, at=now, error=error):
        raise RuntimeError(f"run {run.id} changed during the transaction that read it")
    return replace(run, state=state)


def _end(
    tx: Transaction, run: Run, event: str, now: datetime, work: Work, error: str | None = None
) -> None:
    """End a run, and wake the one that waits for it."""
    if event == "fail" and error is None:
        error = _first_error(tx, run)
    _moved_run(tx, run, event, now, error)
    if run.schedule_id is None:
        return
    for successor in _in_turn(tx, run.schedule_id):
        if successor.is_queued and successor.state is RunState.NOT_STARTED:
            timers.arm(tx, "run", successor.id, now)
            work.has_armed = True
            return


def _first_error(tx: Transaction, run: Run) -> str | None:
    """Return what the step that failed first says."""
    failed = [s for s in steps.for_runs(tx, [run.id])[run.id] if s.state is StepState.FAILED]
    first = min(failed, key=lambda s: (s.ended_at or run.created_at, s.id), default=None)
    return None if first is None else f"step {first.name!r} failed: {first.error}"


def _abandon(
    tx: Transaction,
    run: Run,
    places: Mapping[str, StepPlace],
    now: datetime,
    error: str,
    work: Work,
) -> None:
    """Fail a run that cannot be advanced, whatever its steps do."""
    for place in places.values():
        if place.state is StepState.RUNNING:
            work.stops.append(place)
        if place.state not in STEP_ENDS:
            _moved(tx, place, "cancel", ended_at=now)
            timers.disarm(tx, "step", place.id)
    work.is_line_moving = True
    _end(tx, run, "fail", now, work, error)


# ---- steps ---------------------------------------------------------------------------------------


def _moved(tx: Transaction, place: StepPlace, event: str, **columns: Any) -> StepPlace:
    """Move a step and return where it stands now."""
    state = advance_step(place.state, event)
    is_moved = steps.move(
        tx,
        place.id,
        expected_attempt=place.attempt,
        expected_state=place.state,
        state=state,
        **columns,
    )
    if not is_moved:
        raise RuntimeError(f"step run {place.id} changed during the transaction that read it")
    return place._replace(state=state, attempt=columns.get("attempt", place.attempt))


def _is_current(step_run: StepRun, result: Result) -> bool:
    return step_run.state is StepState.RUNNING and step_run.attempt == result.attempt


def _end_attempt(
    tx: Transaction, run: Run, step_run: StepRun, result: Result, now: datetime
) -> bool:
    """Write how an attempt ended; return False if somebody else did."""
    seen = result.observation
    event, error = _meaning(tx, run, step_run, result)
    columns: dict[str, Any] = {"exit_code": seen.exit_code, "error": error}
    if event == "retry":
        step = load_graph(tx, run.workspace_id, run.graph_id).by_id[step_run.step_id]
        available_at = now + timedelta(seconds=_retry_delay(step, step_run, result))
        columns |= {"queued_at": now, "available_at": available_at}
        columns["attempts_lost"] = step_run.attempts_lost + result.is_lost
        timers.put(tx, "step", step_run.id, available_at)
    else:
        columns["ended_at"] = max(seen.ended_at or now, step_run.started_at or now)
        timers.disarm(tx, "step", step_run.id)
    return steps.move(
        tx,
        step_run.id,
        expected_attempt=step_run.attempt,
        expected_state=StepState.RUNNING,
        state=advance_step(StepState.RUNNING, event),
        **columns,
    )


def _meaning(
    tx: Transaction, run: Run, step_run: StepRun, result: Result
) -> tuple[str, str | None]:
    """Return the event that an attempt's end is, and the error to be shown."""
    seen = result.observation
    if seen.phase is Phase.EXITED and seen.exit_code == 0:
        return "succeed", None
    if is_run_stopping(run, steps.places(tx, [run.id])[run.id]):
        return "cancel", None
    error = result.error or _what_happened(seen)
    step = load_graph(tx, run.workspace_id, run.graph_id).by_id[step_run.step_id]
    return ("retry" if _may_retry(step, step_run, result) else "fail"), error


def is_run_stopping(run: Run, places: Mapping[str, StepPlace]) -> bool:
    """Say whether the running steps of a run must stop."""
    return run.state in RUN_ENDS or pipeline.is_stopping(
        {step_id: place.state for step_id, place in places.items()},
        continue_on_step_failure=run.continue_on_step_failure,
        is_canceling=run.cancel_requested_at is not None,
    )


def _what_happened(seen: Observation) -> str:
    if seen.phase is Phase.EXITED:
        return f"exit code {seen.exit_code}"
    return "its process vanished without a trace (killed, or the machine went down)"


def _may_retry(step: Step, step_run: StepRun, result: Result) -> bool:
    if not result.can_retry:
        return False
    if result.is_lost:
        return step_run.attempts_lost < LOST_RETRIES
    return step_run.attempt - step_run.attempts_lost <= step.retries


def _retry_delay(step: Step, step_run: StepRun, result: Result) -> float:
    """Return the seconds before the next attempt, doubled for each one after the first."""
    first = LOST_DELAY_SECONDS if result.is_lost else step.retry_delay_seconds
    return float(min(first * 2.0 ** min(step_run.attempt - 1, 30), DELAY_SECONDS_MAX))


# ---- the waiting line ----------------------------------------------------------------------------


def _fill(tx: Transaction, now: datetime, rules: Rules, shelf: Shelf, work: Work) -> None:
    """Give the free places of the compute target to the steps that wait longest.

    The places are counted in the transaction that takes them.
    """
    if not work.is_line_moving:
        return
    free = rules.steps_running_max - steps.count_running(tx, LOCAL)
    if free <= 0:
        return
    line = steps.next_in_line(tx, LOCAL, now, free + rules.steps_running_max)
    for step_run in line[:free]:
        started = _moved(
            tx,
            step_run.place,
            "launch",
            attempt=step_run.attempt + 1,
            started_at=now,
            ended_at=None,
            exit_code=None,
            available_at=None,
        )
        timers.put(tx, "step", started.id, now + timedelta(seconds=rules.step_poll_seconds))
        try:
            work.launches.append(shelf.facts(tx, started))
        except PenstockError as error:
            log.warning("step_not_launchable step_run_id=%s reason=%s", started.id, error)
            _moved(tx, started, "fail", ended_at=now, error=str(error))
            timers.disarm(tx, "step", started.id)
            timers.arm(tx, "run", started.run_id, now)
            work.has_armed = True
    next_ones = [step_run.place for step_run in line[free:]] or work.successors
    for place in next_ones[: rules.steps_running_max]:
        with suppress(PenstockError):  # its start will say what is wrong
            work.soon.append(shelf.facts(tx, place._replace(attempt=place.attempt + 1)))
