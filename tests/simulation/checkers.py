"""What must always be true, kept apart from what makes it happen.

The checkers keep books of their own: what users asked for (told by the workload), what really ran
(told by the machine), and what the database says after each commit (read here, in plain SQL, past
all code that is under test). Recurrences are trusted, since an oracle proves them elsewhere; what a
due schedule then does is decided here a second time, in other words.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, NamedTuple

from tests.simulation.machine import Attempt, Machine, phase_of

from penstock.compute.target import Phase
from penstock.core.due import CatchUp, Overlap
from penstock.core.model import Schedule, Status
from penstock.core.pipeline import Graph
from penstock.core.recurrence import Recurrence, between
from penstock.core.states import RUN_MOVES, STEP_MOVES

FAILURES_MAX = 5
LOST_RETRIES = 2
_TICK = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FAR = timedelta(days=20_000)

RUN_ENDS = {"Finished", "Failed", "Canceled"}
STEP_ENDS = {"Finished", "Failed", "Canceled", "Bypassed"}


def _reachable(moves: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return all pairs of states such that the second can follow the first, however indirectly."""
    pairs = set(moves)
    while True:
        more = {(a, d) for a, b in pairs for c, d in pairs if b == c} - pairs
        if not more:
            return pairs
        pairs |= more


_RUN_PATHS = _reachable((a.value, b.value) for (a, _), b in RUN_MOVES.items())
_STEP_PATHS = _reachable((a.value, b.value) for (a, _), b in STEP_MOVES.items())


def _at(value: int | None) -> datetime | None:
    return None if value is None else _EPOCH + timedelta(microseconds=value)


class FireRow(NamedTuple):
    """A fire as it stands in the database."""

    source_id: str
    key: str
    fire_time: datetime
    fired_at: datetime
    outcome: str
    run_id: str | None
    count: int
    through_time: datetime | None

    def __str__(self) -> str:
        through = f" to {self.through_time} ({self.count})" if self.through_time else ""
        return f"{self.outcome} {self.key}{through} of {self.source_id} at {self.fired_at}"


class RunRow(NamedTuple):
    """A run as it stands in the database."""

    id: str
    state: str
    schedule_id: str | None
    fire_time: datetime | None
    is_queued: bool
    is_canceling: bool
    goes_on: bool
    submission_key: str | None
    error: str | None


class StepRow(NamedTuple):
    """A step run as it stands in the database."""

    id: str
    run_id: str
    step_id: str
    state: str
    attempt: int
    exit_code: int | None


_FIRES = (
    "SELECT source_id, fire_key, fire_time, fired_at, outcome, run_id, count, through_time "
    "FROM fires"
)
_RUNS = (
    "SELECT id, state, schedule_id, fire_time, is_queued, cancel_requested_at IS NOT NULL, "
    "continue_on_step_failure, submission_key, error FROM runs"
)
_STEPS = "SELECT id, run_id, step_id, state, attempt, exit_code FROM step_runs"


@dataclass(slots=True)
class Notes:
    """What is known of one schedule from its users alone."""

    schedule: Schedule
    cursor: datetime | None  # the first due time that nobody has dealt with yet
    preview: list[datetime] = field(default_factory=list)  # what was promised to fire
    failures: int = 0
    retry_by: datetime | None = None
    trouble: str | None = None  # what is wrong with it behind its back
    at_once: int = 0  # fires that users asked for
    done: dict[datetime, datetime] = field(default_factory=dict)  # first to last, by record
    has_gone_back: bool = False  # it was enabled by a clock that showed earlier times again

    @property
    def is_active(self) -> bool:
        return self.schedule.status is Status.ACTIVE

    @property
    def rule(self) -> Recurrence:
        assert self.schedule.recurrence is not None
        return self.schedule.recurrence

    def pass_over_done(self) -> None:
        """After the clock has gone back: what was recorded in its other life is not done again."""
        while self.has_gone_back and self.cursor in self.done:
            self.cursor = self.after(self.done[self.cursor])

    def after(self, instant: datetime) -> datetime | None:
        """Return the due time that follows `instant`."""
        return next(between(self.rule, instant, instant + _FAR), None)


class Referee:
    """All checkers together: hears what happens, looks at the database, and complains."""

    def __init__(
        self,
        database: sqlite3.Connection,
        machine: Machine,
        *,
        steps_running_max: int,
        late_seconds_max: float,
    ) -> None:
        self.complaints: list[str] = []
        self.graphs: dict[str, Graph] = {}  # by the name that its steps carry
        self.graph_of_run: dict[str, str] = {}
        self.schedules: dict[str, Notes] = {}
        self.highest = datetime.min.replace(tzinfo=UTC)  # what any clock has ever shown
        self.fires: dict[tuple[str, str], FireRow] = {}
        self.runs: dict[str, RunRow] = {}
        self.steps: dict[str, StepRow] = {}
        self.commits = 0
        self.changes = 0  # that any commit made to fires, runs and steps
        self.counts: dict[str, int] = {}
        self.trace = blake2b(digest_size=8)
        self._database = database
        self._machine = machine
        self._steps_running_max = steps_running_max
        self._late = timedelta(seconds=late_seconds_max)
        self._fires_seen = 0
        self._raw: dict[str, dict[str, tuple[Any, ...]]] = {}
        machine.on_start = self.on_start

    def complain(self, text: str) -> None:
        """Note that something is not as it must be."""
        self.complaints.append(text)

    def require(self, is_true: bool, text: str) -> None:
        """Complain unless it is true."""
        if not is_true:
            self.complain(text)

    # ---- what users did --------------------------------------------------------------------------

    def created(self, schedule: Schedule, now: datetime, preview: list[datetime]) -> None:
        """A user has created a schedule."""
        notes = Notes(schedule=schedule, cursor=None, preview=preview)
        self.schedules[schedule.id] = notes
        if notes.is_active:
            notes.cursor = _first(notes, now)
            # A run at creation is due to a recurrence that names no start.
            notes.at_once += schedule.run_on_create and notes.rule.start_time is None

    def updated(self, schedule: Schedule, now: datetime) -> None:
        """A user has changed a schedule."""
        notes = self.schedules[schedule.id]
        before, notes.schedule = notes.schedule, schedule
        is_enabled = notes.is_active and before.status is not Status.ACTIVE
        if not notes.is_active:
            notes.cursor = None
        elif is_enabled or schedule.recurrence != before.recurrence:
            notes.cursor = _first(notes, now)
            notes.preview.clear()
            if notes.done and notes.cursor is not None and notes.cursor <= max(notes.done):
                notes.has_gone_back = True
        if is_enabled:
            notes.failures, notes.retry_by = 0, None

    # ---- the database, after each commit ---------------------------------------------------------

    def look(self) -> None:
        """See what the last commit changed, and whether it may be so."""
        self.commits += 1
        fires = sorted(self._new_fires(), key=lambda f: (f.source_id, f.fire_time, f.key))
        before, self.runs = self.runs, self._read(_RUNS, _run_row, self.runs)
        started = {fire.run_id for fire in fires if fire.run_id}
        for run in self.runs.values():
            old = before.get(run.id)
            if old is None:
                self._check_new_run(run, started)
            elif old is not run:
                self._check_run_move(before, run)
        self._check_steps()
        active = self._active(before.values())
        for source_id, group in _grouped(fires):
            self._check_fires(source_id, group, active.get(source_id, []))
        for run in self.runs.values():
            if run is before.get(run.id):
                continue
            if run.state in RUN_ENDS and before.get(run.id, run).state not in RUN_ENDS:
                self._check_end(run)

    def _read(self, query: str, make: Any, before: dict[str, Any]) -> dict[str, Any]:
        """Return the rows of a table by id; what has not changed is the same object as before."""
        raw = {row[0]: row for row in self._database.execute(query)}
        known = self._raw.get(query, {})
        self._raw[query] = raw
        return {id: before[id] if known.get(id) == row else make(row) for id, row in raw.items()}

    def _new_fires(self) -> list[FireRow]:
        (count,) = self._database.execute("SELECT count(*) FROM fires").fetchone()
        if count == self._fires_seen:
            return []
        rows = [_fire_row(row) for row in self._database.execute(_FIRES)]
        new = [fire for fire in rows if (fire.source_id, fire.key) not in self.fires]
        self._fires_seen = count
        self.require(count == len(self.fires) + len(new), "two fires have one key")
        for fire in new:
            self.fires[fire.source_id, fire.key] = fire
            self._note("fire", *fire)
        return new

    def _note(self, *words: Any) -> None:
        name = f"{words[0]} {words[4] if words[0] != 'fire' else words[5]}"
        self.counts[name] = self.counts.get(name, 0) + 1
        self.trace.update(repr(words).encode())
        self.changes += 1

    def _active(self, runs: Iterable[RunRow]) -> dict[str, list[RunRow]]:
        found: dict[str, list[RunRow]] = {}
        for run in runs:
            if run.schedule_id is not None and run.state not in RUN_ENDS:
                found.setdefault(run.schedule_id, []).append(run)
        return found

    # ---- fires -----------------------------------------------------------------------------------

    def _check_fires(self, source_id: str, fires: list[FireRow], active: list[RunRow]) -> None:
        notes = self.schedules.get(source_id)
        if notes is None:
            return self.complain(f"a fire of nobody: {fires}")
        active = list(active)
        for fire in fires:
            self.require(fire.fired_at <= self.highest, f"recorded in the future: {fire}")
            self.require(fire.fire_time <= fire.fired_at, f"early: {fire}")
            if fire.key.startswith("at-once/"):
                notes.at_once -= 1
                self.require(notes.at_once >= 0, f"nobody asked for this: {fire}")
            elif "/failed/" in fire.key or fire.outcome == "failed":
                self._check_failure(notes, fire)
            else:
                self._check_due_time(notes, fire)
                self._check_catch_up(notes, fire)
                self._check_overlap(notes, fire, active)
            if fire.outcome == "fired":
                run = self.runs.get(fire.run_id or "")
                if run is None or run.schedule_id != source_id or run.fire_time != fire.fire_time:
                    self.complain(f"a fire without its run: {fire} {run}")
                else:
                    active.append(run)
            else:
                self.require(fire.run_id is None, f"a run without a fire: {fire}")

    def _check_due_time(self, notes: Notes, fire: FireRow) -> None:
        """Each due time once, none passed over, none made up."""
        if not notes.is_active:
            return self.complain(f"fired while disabled: {fire}")
        notes.pass_over_done()
        if fire.fire_time != notes.cursor:
            self.complain(f"expected {notes.cursor}, recorded {fire} {notes.rule}")
        last = fire.through_time or fire.fire_time
        count = sum(1 for _ in between(notes.rule, fire.fire_time - _TICK, last))
        self.require(fire.count == count, f"stands for {count} due times: {fire}")
        notes.done[fire.fire_time] = last
        notes.failures, notes.retry_by = 0, None
        notes.cursor = notes.after(last)
        if notes.preview:
            promised = notes.preview.pop(0)
            self.require(promised == fire.fire_time, f"previewed {promised}: {fire}")
            while notes.preview and notes.preview[0] <= last:
                notes.preview.pop(0)

    def _check_catch_up(self, notes: Notes, fire: FireRow) -> None:
        schedule, now = notes.schedule, fire.fired_at
        last = fire.through_time or fire.fire_time
        is_on_time = now - last <= self._late
        is_latest = next(between(notes.rule, last, now), None) is None
        window = timedelta(seconds=schedule.catch_up_window_seconds)
        should_fire = (
            is_on_time
            or {
                CatchUp.SKIP: False,
                CatchUp.LATEST: is_latest,
                CatchUp.ALL: now - last <= window,
            }[schedule.catch_up]
        )
        is_missed = fire.outcome == "missed"
        self.require(should_fire != is_missed, f"catch-up {schedule.catch_up}: {fire}")

    def _check_overlap(self, notes: Notes, fire: FireRow, active: list[RunRow]) -> None:
        overlap = notes.schedule.overlap
        if fire.outcome == "skipped":
            is_right = overlap is Overlap.SKIP and bool(active)
            self.require(is_right, f"skipped without a reason: {fire}")
        if fire.outcome != "fired":
            return
        run = self.runs.get(fire.run_id or "")
        if overlap is Overlap.SKIP:
            self.require(not active, f"two active runs, overlap is skip: {fire} {active}")
        if overlap is Overlap.QUEUE and run is not None:
            self.require(run.is_queued, f"not queued: {fire}")
        if overlap is Overlap.CANCEL_PREVIOUS:
            going_on = [r for r in active if not self.runs[r.id].is_canceling]
            self.require(not going_on, f"previous runs go on: {fire} {going_on}")

    def _check_failure(self, notes: Notes, fire: FireRow) -> None:
        notes.failures += 1
        self.require(notes.trouble is not None, f"failed without a reason: {fire}")
        self.require(notes.is_active, f"failed while disabled: {fire}")
        notes.retry_by = fire.fired_at + timedelta(seconds=2.0**notes.failures + 1)
        status, reason = self._database.execute(
            "SELECT status, quarantined_reason FROM schedules WHERE id = ?", (fire.source_id,)
        ).fetchone()
        must_stop = notes.failures >= FAILURES_MAX or notes.trouble == "text"
        has_stopped = status == "Disabled" and reason is not None
        self.require(must_stop == has_stopped, f"failure {notes.failures}, {status}: {fire}")
        if has_stopped:
            notes.schedule = replace(notes.schedule, status=Status.DISABLED)
            notes.cursor = None

    def check_nothing_is_due(self, now: datetime) -> None:
        """A daemon has fired everything that was due at `now`, undisturbed: has it?"""
        for notes in self.schedules.values():
            if not notes.is_active or notes.cursor is None or notes.trouble is not None:
                continue
            if notes.retry_by is not None and now < notes.retry_by:
                continue
            notes.pass_over_done()
            if notes.cursor is not None and notes.cursor <= now:
                self.complain(f"due at {notes.cursor}, not fired at {now}: {notes.schedule}")

    # ---- runs ------------------------------------------------------------------------------------

    def _check_new_run(self, run: RunRow, started: set[str | None]) -> None:
        self._note("run", run.id, run.schedule_id, run.fire_time, run.state)
        self.require(run.state == "NotStarted", f"born {run}")
        if run.schedule_id is not None:
            self.require(run.id in started, f"a run without a fire: {run}")

    def _check_run_move(self, before: dict[str, RunRow], run: RunRow) -> None:
        old = before[run.id]
        if old.state != run.state:
            self._note("run", run.id, run.schedule_id, run.fire_time, run.state)
            is_legal = (old.state, run.state) in _RUN_PATHS
            self.require(is_legal, f"from {old.state} to {run.state}: {run}")
        self.require(old.is_canceling <= run.is_canceling, f"cancellation forgotten: {run}")
        if old.state == "NotStarted" and run.state == "Running" and run.is_queued:
            earlier = [
                other
                for other in self.runs.values()
                if other.schedule_id == run.schedule_id and other.id != run.id
                if (other.id in before and before[other.id].state == other.state == "Running")
                or (other.state == "Running" and other.is_queued)
                or (other.state == "NotStarted" and other.is_queued and _due(other) < _due(run))
            ]
            self.require(not earlier, f"out of its turn: {run} before {earlier}")

    def _check_end(self, run: RunRow) -> None:
        """A run that ends leaves nothing behind, and ends as its steps did."""
        alive = [a for a in self._machine.alive if a.run_id == run.id]
        self.require(not alive, f"{run} has ended, and still runs: {alive}")
        steps = {s.step_id: s for s in self.steps.values() if s.run_id == run.id}
        states = {s.state for s in steps.values()}
        self.require(states <= STEP_ENDS, f"{run} has ended, its steps have not: {steps}")
        if run.state == "Finished":
            self.require(states == {"Finished"}, f"finished with {steps}")
        elif run.state == "Failed":
            self.require("Failed" in states, f"failed without a failed step: {run} {steps}")
        else:
            self.require(run.is_canceling, f"nobody asked to cancel {run}")
        if not run.is_canceling and "Failed" in states and run.goes_on:
            self._check_branches(run, steps)

    def _check_branches(self, run: RunRow, steps: dict[str, StepRow]) -> None:
        """With continue_on_step_failure, what does not depend on the failure has gone on."""
        if run.id not in self.graph_of_run:
            return  # nothing of it was ever started: nobody knows its graph
        graph = self.graphs[self.graph_of_run[run.id]]
        for id, before in graph.predecessors.items():
            could_start = all(steps[other].state == "Finished" for other in before)
            expected = {"Finished", "Failed"} if could_start else {"Bypassed"}
            self.require(steps[id].state in expected, f"{steps[id]} in {run}")

    # ---- steps -----------------------------------------------------------------------------------

    def _check_steps(self) -> None:
        before, self.steps = self.steps, self._read(_STEPS, _step_row, self.steps)
        for step in self.steps.values():
            old = before.get(step.id)
            if old is step:
                continue
            self._note("step", step.id, step.step_id, step.attempt, step.state)
            if old is None:
                continue
            if old.state != step.state:
                is_legal = (old.state, step.state) in _STEP_PATHS
                self.require(is_legal, f"from {old.state} to {step.state}: {step}")
            self.require(old.attempt <= step.attempt <= old.attempt + 1, f"{old} to {step}")
            self.require(old.state not in STEP_ENDS, f"{old} had ended: {step}")
            if old.state == "Running" and (step.state, step.attempt) != ("Running", old.attempt):
                self._check_attempt_end(old, step)

    def _check_attempt_end(self, old: StepRow, step: StepRow) -> None:
        """The database says that an attempt has ended: compare with what really happened."""
        attempt = self._attempt(old.id, old.attempt)
        phase = phase_of(attempt)
        self.require(phase is not Phase.RUNNING, f"given up while it runs: {old} to {step}")
        if attempt is None or attempt.is_alive:
            self.require(step.state != "Finished", f"finished, and was never started: {step}")
        elif step.state == "Finished":
            self.require(attempt.exit_code == 0, f"{step} is not {attempt}")
        elif step.state == "Failed" and step.attempt == old.attempt:
            self.require(attempt.exit_code == step.exit_code, f"{step} is not {attempt}")
            self.require(attempt.exit_code != 0, f"{step} is not {attempt}")
        if step.state in ("Failed", "Queued") and attempt is not None:
            self._check_retries(step, attempt)

    def _check_retries(self, step: StepRow, last: Attempt) -> None:
        """As many further attempts as were promised, and no more; lost ones count apart."""
        mine = [a for a in self._machine.attempts.values() if a.step_run_id == step.id]
        failed = sum(a.exit_code not in (0, None) for a in mine)
        lost = step.attempt - failed  # vanished, or never started
        promised = self.graphs[last.graph].by_id[step.step_id]
        retries = promised.retries
        if promised.timeout_seconds is not None:
            # What vanishes in its last second may count as lost, or as too late.
            is_right = failed <= retries + 1 and step.attempt <= retries + 1 + LOST_RETRIES
            return self.require(is_right, f"{retries} retries promised: {step} {mine}")
        ends, limit = (lost, LOST_RETRIES) if last.exit_code is None else (failed, retries)
        is_right = ends == limit + 1 if step.state == "Failed" else ends <= limit
        self.require(is_right, f"{limit} retries promised: {step} {mine}")

    def _attempt(self, step_run_id: str, number: int) -> Attempt | None:
        return next(
            (
                a
                for a in self._machine.attempts.values()
                if a.step_run_id == step_run_id and a.number == number
            ),
            None,
        )

    # ---- the machine -----------------------------------------------------------------------------

    def on_start(self, attempt: Attempt) -> None:
        """A process was really started."""
        step = self.steps.get(attempt.step_run_id)
        self.graph_of_run[attempt.run_id] = attempt.graph
        if step is None:
            return self.complain(f"a process of nobody: {attempt}")
        is_current = (step.state, step.attempt) == ("Running", attempt.number)
        self.require(is_current, f"started out of date: {attempt} {step}")
        run = self.runs[attempt.run_id]
        self.require(run.state == "Running", f"started when its run was {run}: {attempt}")
        alive = self._machine.alive
        self.require(
            len(alive) <= self._steps_running_max, f"{len(alive)} run at the same time: {attempt}"
        )
        mine = [a for a in self._machine.attempts.values() if a.step_run_id == attempt.step_run_id]
        self.require(sum(a.is_alive for a in mine) == 1, f"started beside another: {mine}")
        numbers = [a.number for a in mine]
        self.require(len(set(numbers)) == len(numbers), f"started twice: {mine}")
        for other in self.graphs[attempt.graph].predecessors[attempt.step]:
            has_succeeded = any(
                a.has_succeeded
                for a in self._machine.attempts.values()
                if a.run_id == attempt.run_id and a.step == other
            )
            self.require(has_succeeded, f"started before {other} had finished: {attempt}")

    # ---- the end ---------------------------------------------------------------------------------

    def check_end(self, now: datetime) -> None:
        """Everything has healed, and all runs have had time to end."""
        for run in self.runs.values():
            self.require(run.state in RUN_ENDS, f"stuck: {run}")
        self.require(not self._machine.alive, f"still runs: {self._machine.alive}")
        for notes in self.schedules.values():
            self.require(notes.at_once == 0, f"asked for, not fired: {notes}")
        timers = self._database.execute("SELECT kind, subject_id, due_at FROM timers").fetchall()
        armed = {id for kind, id, _ in timers if kind == "schedule"}
        for kind, id, due_at in timers:
            # One of a run may come later: it was armed while the clock was ahead.
            is_ahead = kind == "run" and _EPOCH + timedelta(microseconds=due_at) > now
            self.require(kind == "schedule" or is_ahead, f"a timer is left: {kind} {id}")
        for id, next_fire_time in self._database.execute(
            "SELECT id, next_fire_time FROM schedules"
        ).fetchall():
            notes = self.schedules[id]
            due = _at(next_fire_time)
            if notes.is_active and notes.trouble is None and not notes.has_gone_back:
                self.require(due == notes.cursor, f"next is {due}, should be {notes.cursor}")
            self.require((due is not None) == (id in armed), f"{due} and its timer: {notes}")
            if not notes.is_active:
                self.require(due is None, f"disabled, and due at {due}")


def _due(run: RunRow) -> datetime:
    assert run.fire_time is not None
    return run.fire_time


def _first(notes: Notes, now: datetime) -> datetime | None:
    """Return the first due time of a schedule that is created or enabled now.

    A start time that is this very instant counts; the run at creation is no due time.
    """
    return notes.after(now - _TICK if notes.rule.start_time is not None else now)


def _fire_row(row: tuple[Any, ...]) -> FireRow:
    source_id, key, fire_time, fired_at, outcome, run_id, count, through = row
    fired, due = _at(fired_at), _at(fire_time)
    assert fired is not None
    assert due is not None
    return FireRow(source_id, key, due, fired, outcome, run_id, count, _at(through))


def _run_row(row: tuple[Any, ...]) -> RunRow:
    id, state, schedule_id, fire_time, is_queued, is_canceling, goes_on, key, error = row
    return RunRow(
        id,
        state,
        schedule_id,
        _at(fire_time),
        bool(is_queued),
        bool(is_canceling),
        bool(goes_on),
        key,
        error,
    )


def _step_row(row: tuple[Any, ...]) -> StepRow:
    return StepRow(*row)


def _grouped(fires: list[FireRow]) -> Iterator[tuple[str, list[FireRow]]]:
    groups: dict[str, list[FireRow]] = {}
    for fire in fires:
        groups.setdefault(fire.source_id, []).append(fire)
    yield from groups.items()
