"""Moving runs forward: which steps start, stop, are tried again, and how a run ends.

Quiet: everything here happens in one transaction of the caller. What must be done outside (start
this attempt, stop that one) is returned as a value and done after the commit; if the process dies
in between, the step's timer brings another look.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from penstock.compute.target import Observation, Phase
from penstock.core import pipeline
from penstock.core.model import Run, StepRun
from penstock.core.pipeline import Graph, Step
from penstock.core.states import (
    RUN_ENDS,
    STEP_ENDS,
    RunState,
    StepState,
    advance_run,
    advance_step,
)
from penstock.daemon.launches import Facts, gather
from penstock.errors import PenstockError
from penstock.service.pipelines import load_graph
from penstock.store import runs, steps, timers
from penstock.store.database import Transaction, new_id

log = logging.getLogger(__name__)

LOCAL = "local"
# An attempt that vanished (its machine went down, somebody killed it) is tried again so many
# times beyond
# the step's own retries: it did not fail, it was lost.
LOST_RETRIES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the settings say about running steps."""

    steps_running_max: int
    step_poll_seconds: float


@dataclass(slots=True)
class Work:
    """What must be done outside after the commit."""

    launches: list[Facts] = field(default_factory=list)
    stops: list[StepRun] = field(default_factory=list)
    freed: bool = False  # a step ended or was queued: the waiting line must be looked at

    def __bool__(self) -> bool:
        return bool(self.launches or self.stops)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How one attempt ended, to be written if it is still the newest."""

    step_run_id: str
    attempt: int
    observation: Observation
    error: str | None = None  # why it could not be started or was stopped, if that is known
    can_retry: bool = True  # False: another attempt would end the same way
    was_not_started: bool = False  # the target could not take it: nothing was tried


def advance_due(tx: Transaction, now: datetime, rules: Rules, limit: int = 100) -> tuple[int, Work]:
    """Move the runs forward whose timers are due; return how many, and what must be done
    outside."""
    due = timers.due(tx, "run", now, limit)
    found = runs.get_many(tx, [timer.subject_id for timer in due])
    timers.finish_many(tx, due)
    work = Work()
    _advance_each(tx, [found[t.subject_id] for t in due if t.subject_id in found], now, work)
    _fill(tx, now, rules, work)
    return len(due), work


def record_results(tx: Transaction, results: Iterable[Result], now: datetime, rules: Rules) -> Work:
    """Write how attempts ended, move their runs forward, and fill the places they left.

    A result of an attempt that is not the newest, or whose step is not running any more, is
    dropped: the fence is the attempt number in the row.
    """
    work = Work()
    touched: dict[str, None] = {}
    results = list(results)
    found = steps.get_many(tx, [result.step_run_id for result in results])
    owners = runs.get_many(tx, sorted({step_run.run_id for step_run in found.values()}))
    for result in results:
        step_run = found.get(result.step_run_id)
        if step_run is None or not _is_current(step_run, result):
            continue
        if _end_attempt(tx, owners[step_run.run_id], step_run, result, now):
            touched[step_run.run_id] = None
            work.freed = True
    _advance_each(tx, [owners[run_id] for run_id in touched], now, work)
    _fill(tx, now, rules, work)
    return work


def fill(tx: Transaction, now: datetime, rules: Rules) -> Work:
    """Start waiting steps if there is room; for the case that nobody else will look."""
    work = Work(freed=True)
    _fill(tx, now, rules, work)
    return work


# ---- runs ----------------------------------------------------------------------------------------


def _advance_each(tx: Transaction, found: list[Run], now: datetime, work: Work) -> None:
    """Advance each run in a savepoint of its own: one that cannot be advanced fails alone."""
    known = steps.for_runs(tx, [run.id for run in found])
    for run in found:
        if run.state in RUN_ENDS:
            continue
        part = Work()
        try:
            with tx.savepoint():
                _advance(tx, run, known.get(run.id, []), now, part)
        except Exception as error:
            log.exception("run_advance_failed run_id=%s", run.id)
            part = Work()
            with tx.savepoint():
                _abandon(tx, run, known.get(run.id, []), now, f"internal error: {error!r}", part)
        work.stops += part.stops
        work.freed |= part.freed


def _advance(
    tx: Transaction, run: Run, step_runs: list[StepRun], now: datetime, work: Work
) -> None:
    if run.state is RunState.NOT_STARTED:
        if run.cancel_requested_at is not None:
            _end(tx, run, "cancel", now, error=None)
            return
        if run.is_queued and _has_predecessor(tx, run):
            return  # the run before it arms our timer when it ends
    graph = load_graph(tx, run.workspace_id, run.graph_id)
    if run.state is RunState.NOT_STARTED:
        step_runs = _new_step_runs(run, graph)
        steps.insert_many(tx, step_runs)
        _move(tx, run, "start", now)
    by_step = {step_run.step_id: step_run for step_run in step_runs}
    while True:
        states = {step_id: step_run.state for step_id, step_run in by_step.items()}
        plan = pipeline.advance(
            graph,
            states,
            continue_on_step_failure=run.continue_on_step_failure,
            is_canceling=run.cancel_requested_at is not None,
        )
        if plan.end is not None:
            _end(tx, run, plan.end, now, error=_first_error(step_runs, by_step))
            return
        if not _apply(tx, plan, by_step, now, work):
            return


def _apply(
    tx: Transaction,
    plan: pipeline.Advance,
    by_step: dict[str, StepRun],
    now: datetime,
    work: Work,
) -> bool:
    """Carry out a plan; return whether a step changed its state, so that there may be more to
    do."""
    has_changed = False
    for step_id in plan.queue:
        by_step[step_id] = _moved(tx, by_step[step_id], "queue", queued_at=now)
        work.freed = has_changed = True
    for step_id in plan.bypass:
        by_step[step_id] = _moved(tx, by_step[step_id], "bypass", ended_at=now)
        has_changed = True
    for step_id in plan.cancel:
        step_run = by_step[step_id]
        if step_run.state is StepState.RUNNING:
            work.stops.append(step_run)
        else:
            by_step[step_id] = _moved(tx, step_run, "cancel", ended_at=now)
            timers.disarm(tx, "step", step_run.id)
            has_changed = True
    return has_changed


def _new_step_runs(run: Run, graph: Graph) -> list[StepRun]:
    return [
        StepRun(
            id=new_id(),
            run_id=run.id,
            step_id=step.id,
            name=step.name,
            state=StepState.NOT_STARTED,
            attempt=0,
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
    """Say whether a run of the same schedule that was submitted earlier has not ended."""
    waiting = runs.active_for_schedule(tx, run.schedule_id or "")
    return bool(waiting) and waiting[0].id != run.id


def _first_error(step_runs: list[StepRun], by_step: Mapping[str, StepRun]) -> str | None:
    for step_run in step_runs:
        now_known = by_step[step_run.step_id]
        if now_known.state is StepState.FAILED:
            return f"step {now_known.name!r} failed: {now_known.error}"
    return None


def _move(
    tx: Transaction, run: Run, event: str, now: datetime, *, error: str | None = None
) -> None:
    state = advance_run(run.state, event)
    runs.move(tx, run.id, expected=run.state, state=state, at=now, error=error)


def _end(tx: Transaction, run: Run, event: str, now: datetime, *, error: str | None) -> None:
    """End a run, and wake the one that waits for it."""
    current = runs.find(tx, run.id)
    _move(tx, current or run, event, now, error=error)
    if run.schedule_id is not None:
        for successor in runs.active_for_schedule(tx, run.schedule_id):
            if successor.is_queued and successor.state is RunState.NOT_STARTED:
                timers.arm(tx, "run", successor.id, now)
                return


def _abandon(
    tx: Transaction, run: Run, step_runs: list[StepRun], now: datetime, error: str, work: Work
) -> None:
    """Fail a run that cannot be advanced, whatever its steps do."""
    for step_run in step_runs:
        if step_run.state is StepState.RUNNING:
            work.stops.append(step_run)
        if step_run.state not in STEP_ENDS:
            _moved(tx, step_run, "cancel", ended_at=now)
            timers.disarm(tx, "step", step_run.id)
    _end(tx, run, "fail", now, error=error)


# ---- steps ---------------------------------------------------------------------------------------


def _moved(tx: Transaction, step_run: StepRun, event: str, **columns: object) -> StepRun:
    """Move a step and return it as it is now; Conflict if somebody else moved it meanwhile."""
    state = advance_step(step_run.state, event)
    is_moved = steps.move(
        tx,
        step_run.id,
        expected_attempt=step_run.attempt,
        expected_state=step_run.state,
        state=state,
        **columns,
    )
    if not is_moved:
        raise RuntimeError(f"step run {step_run.id} changed during the transaction that read it")
    return steps.get(tx, step_run.id)


def _is_current(step_run: StepRun, result: Result) -> bool:
    return step_run.state is StepState.RUNNING and step_run.attempt == result.attempt


def _end_attempt(
    tx: Transaction, run: Run, step_run: StepRun, result: Result, now: datetime
) -> bool:
    """Write how an attempt ended; return False if somebody else did."""
    graph = load_graph(tx, run.workspace_id, run.graph_id)
    step = graph.by_id[step_run.step_id]
    observation = result.observation
    columns: dict[str, object] = {
        "exit_code": observation.exit_code,
        "ended_at": max(observation.ended_at or now, step_run.started_at or now),
    }
    if observation.phase is Phase.EXITED and observation.exit_code == 0:
        event = "succeed"
        columns["error"] = None
    elif _is_run_stopping(tx, run, graph):
        event = "cancel"
        columns["error"] = None
    else:
        columns["error"] = result.error or _what_happened(observation)
        event = "retry" if _may_retry(step, step_run, result) else "fail"
    if event == "retry":
        available_at = now + timedelta(seconds=_retry_delay(step, step_run, result))
        columns |= {"queued_at": now, "available_at": available_at, "ended_at": None}
        timers.put(tx, "step", step_run.id, available_at)
    else:
        timers.disarm(tx, "step", step_run.id)
    return steps.move(
        tx,
        step_run.id,
        expected_attempt=step_run.attempt,
        expected_state=StepState.RUNNING,
        state=advance_step(StepState.RUNNING, event),
        **columns,
    )


def _is_run_stopping(tx: Transaction, run: Run, graph: Graph) -> bool:
    states = {s.step_id: s.state for s in steps.for_runs(tx, [run.id]).get(run.id, [])}
    return run.state in RUN_ENDS or pipeline.is_stopping(
        states,
        continue_on_step_failure=run.continue_on_step_failure,
        is_canceling=run.cancel_requested_at is not None,
    )


def _what_happened(observation: Observation) -> str:
    if observation.phase is Phase.EXITED:
        return f"exit code {observation.exit_code}"
    return "its process vanished without a trace (killed, or the machine went down)"


def _may_retry(step: Step, step_run: StepRun, result: Result) -> bool:
    if not result.can_retry:
        return False
    if result.was_not_started:
        return True
    lost = LOST_RETRIES if result.observation.phase is not Phase.EXITED else 0
    return step_run.attempt <= step.retries + lost


def _retry_delay(step: Step, step_run: StepRun, result: Result) -> float:
    """Return the seconds before the next attempt, doubled for each one after the first, at most
    an hour."""
    first = 1.0 if result.observation.phase is not Phase.EXITED else step.retry_delay_seconds
    return float(min(first * 2.0 ** min(step_run.attempt - 1, 30), 3600.0))


# ---- the waiting line ----------------------------------------------------------------------------


def _fill(tx: Transaction, now: datetime, rules: Rules, work: Work) -> None:
    """Give the free places of the compute target to the steps that wait longest.

    The places are counted in the transaction that takes them.
    """
    if not work.freed:
        return
    steps.lock_line(tx, LOCAL)
    free = rules.steps_running_max - steps.count_running(tx, LOCAL)
    if free <= 0:
        return
    chosen = steps.next_in_line(tx, LOCAL, now, free)
    if not chosen:
        return
    owners = runs.get_many(tx, sorted({step_run.run_id for step_run in chosen}))
    siblings = steps.for_runs(tx, list(owners))
    for step_run in chosen:
        run = owners[step_run.run_id]
        ids = {sibling.step_id: sibling.id for sibling in siblings[run.id]}
        _take_place(tx, run, step_run, ids, now, rules, work)


def _take_place(
    tx: Transaction,
    run: Run,
    step_run: StepRun,
    siblings: Mapping[str, str],
    now: datetime,
    rules: Rules,
    work: Work,
) -> None:
    started = _moved(
        tx,
        step_run,
        "launch",
        attempt=step_run.attempt + 1,
        started_at=now,
        ended_at=None,
        exit_code=None,
        available_at=None,
    )
    look_at = now + timedelta(seconds=rules.step_poll_seconds)
    timers.put(tx, "step", started.id, look_at)
    graph = load_graph(tx, run.workspace_id, run.graph_id)
    try:
        work.launches.append(gather(tx, run, graph, started, siblings))
    except PenstockError as error:
        log.warning("step_not_launchable step_run_id=%s reason=%s", started.id, error)
        steps.move(
            tx,
            started.id,
            expected_attempt=started.attempt,
            expected_state=StepState.RUNNING,
            state=advance_step(StepState.RUNNING, "fail"),
            ended_at=now,
            error=str(error),
        )
        timers.disarm(tx, "step", started.id)
        timers.arm(tx, "run", run.id, now)
