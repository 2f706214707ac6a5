"""What changes a row, and when that is refused: fires, runs, steps, schedules, metrics."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.builders import (
    NOW,
    PIPELINE_ID,
    WORKSPACE_ID,
    a_fire,
    a_run,
    a_schedule,
    a_step_run,
    stored,
)

from penstock.core.due import Outcome
from penstock.core.model import Run, Schedule, Status, StepRun
from penstock.core.states import RunState, StepState
from penstock.store import fires, metrics, runs, schedules, steps
from penstock.store.database import AlreadyThere, Store, Transaction, new_id

SECOND = timedelta(seconds=1)
LATER = NOW + SECOND


# ---- fires ---------------------------------------------------------------------------------------


def test_a_fire_is_stored_once(store: Store) -> None:
    fire = a_fire()
    with store.begin() as tx:
        assert fires.insert(tx, fire)
        assert not fires.insert(tx, replace(fire, reason="a second time"))
        assert fires.find(tx, fire.source_id, fire.fire_key) == fire


def test_a_batch_with_a_fire_that_is_there_is_refused_as_a_whole(store: Store) -> None:
    done, new = a_fire(), a_fire()
    with store.begin() as tx:
        fires.insert(tx, done)
        with pytest.raises(AlreadyThere), tx.savepoint():
            fires.insert_many(tx, [new, done])
        assert fires.find(tx, new.source_id, new.fire_key) is None
        fires.insert_many(tx, [])
        fires.insert_many(tx, [new])


def test_of_two_who_fire_at_once_one_is_first(store: Store, database_url: str) -> None:
    stores = [store, Store(database_url)]
    start = threading.Barrier(2)

    def fire(mine: Store) -> bool:
        start.wait()
        with mine.begin() as tx:
            return fires.insert(tx, a_fire(source_id="s"))

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(fire, stores)) == [False, True]
    stores[1].dispose()


def test_the_last_fire_is_the_newest_evaluation(store: Store) -> None:
    old = a_fire(source_id="s", fire_key="z")
    new = a_fire(source_id="s", fire_key="a", fired_at=LATER, outcome=Outcome.SKIPPED)
    with store.begin() as tx:
        fires.insert_many(tx, [new, old])
        assert fires.last(tx, "s") == new
        assert fires.last(tx, "s", Outcome.FIRED) == old
        assert fires.last(tx, "s", Outcome.MISSED) is None
        assert fires.last(tx, "none") is None


# ---- runs ----------------------------------------------------------------------------------------


def put_run(tx: Transaction, run: Run) -> Run:
    runs.insert(tx, run)
    return run


def test_a_run_that_starts_and_ends_has_both_instants(store: Store) -> None:
    with store.begin() as tx:
        stored(tx)
        run = put_run(tx, a_run())
        to_running = {"expected": RunState.NOT_STARTED, "state": RunState.RUNNING}
        assert runs.move(tx, run.id, **to_running, at=NOW)
        assert not runs.move(tx, run.id, **to_running, at=LATER)
        assert runs.find(tx, run.id) == replace(run, state=RunState.RUNNING, started_at=NOW)
        assert runs.move(
            tx,
            run.id,
            expected=RunState.RUNNING,
            state=RunState.FAILED,
            at=LATER,
            error="a step failed",
        )
        assert runs.find(tx, run.id) == replace(
            run,
            state=RunState.FAILED,
            started_at=NOW,
            ended_at=LATER,
            error="a step failed",
        )


def test_a_run_that_never_started_has_no_start(store: Store) -> None:
    with store.begin() as tx:
        stored(tx)
        run = put_run(tx, a_run())
        runs.move(tx, run.id, expected=RunState.NOT_STARTED, state=RunState.CANCELED, at=LATER)
        assert runs.find(tx, run.id) == replace(run, state=RunState.CANCELED, ended_at=LATER)


def test_a_cancellation_is_asked_for_once_and_only_before_the_end(store: Store) -> None:
    with store.begin() as tx:
        stored(tx)
        run = put_run(tx, a_run(state=RunState.RUNNING))
        ended = put_run(tx, a_run(state=RunState.FINISHED))
        assert runs.request_cancel(tx, run.id, NOW)
        assert not runs.request_cancel(tx, run.id, LATER)
        assert not runs.request_cancel(tx, ended.id, NOW)
        assert not runs.request_cancel(tx, "none", NOW)
        assert runs.find(tx, run.id) == replace(run, cancel_requested_at=NOW)


def test_notes_of_a_run_are_replaced_one_by_one(store: Store) -> None:
    with store.begin() as tx:
        stored(tx)
        run = put_run(tx, a_run(tags={"a": "1"}, properties={"b": "2"}, description="c"))
        runs.set_notes(tx, run.id)
        assert runs.find(tx, run.id) == run
        runs.set_notes(tx, run.id, tags={"x": "y"}, description="")
        assert runs.find(tx, run.id) == replace(run, tags={"x": "y"}, description="")
        runs.set_notes(tx, run.id, properties={})
        assert runs.find(tx, run.id) == replace(run, tags={"x": "y"}, description="", properties={})


def test_active_runs_of_a_schedule_oldest_first(store: Store) -> None:
    with store.begin() as tx:
        stored(tx)
        young = put_run(tx, a_run(schedule_id="s", created_at=LATER))
        old = put_run(tx, a_run(schedule_id="s", state=RunState.RUNNING))
        for state in (RunState.FINISHED, RunState.FAILED, RunState.CANCELED):
            put_run(tx, a_run(schedule_id="s", state=state))
        put_run(tx, a_run(schedule_id="other"))
        put_run(tx, a_run())
        assert runs.active_for_schedule(tx, "s") == [old, young]
        assert runs.active_counts(tx, ["s", "other", "none"]) == {"s": 2, "other": 1, "none": 0}
        assert runs.active_counts(tx, []) == {}


def test_any_number_of_runs_is_loaded_at_once(store: Store) -> None:
    many = [a_run() for _ in range(1203)]
    with store.begin() as tx:
        stored(tx)
        runs.insert_many(tx, many)
        runs.insert_many(tx, [])
        assert runs.get_many(tx, [run.id for run in many]) == {run.id: run for run in many}
        assert runs.get_many(tx, []) == {}


# ---- step runs -----------------------------------------------------------------------------------


def put_step(tx: Transaction, **fields: object) -> StepRun:
    run = put_run(tx, a_run())
    step_run = a_step_run(run_id=run.id, **fields)
    steps.insert_many(tx, [step_run])
    return step_run


def test_a_step_run_moves_from_where_it_was_seen(store: Store) -> None:
    with store.begin() as tx:
        stored(tx)
        step_run = put_step(tx, state=StepState.QUEUED, available_at=LATER)
        assert steps.move(
            tx,
            step_run.id,
            expected_attempt=0,
            expected_state=StepState.QUEUED,
            state=StepState.RUNNING,
            attempt=1,
            started_at=LATER,
            available_at=None,
            tags={"a": "b"},
        )
        assert steps.get(tx, step_run.id) == replace(
            step_run,
            state=StepState.RUNNING,
            attempt=1,
            started_at=LATER,
            available_at=None,
            tags={"a": "b"},
        )


@pytest.mark.parametrize(
    ("attempt", "state"),
    [(1, StepState.RUNNING), (3, StepState.RUNNING), (2, StepState.QUEUED)],
    ids=["an older attempt", "a newer attempt", "another state"],
)
def test_a_writer_who_saw_something_else_is_refused(
    store: Store, attempt: int, state: StepState
) -> None:
    with store.begin() as tx:
        stored(tx)
        step_run = put_step(tx, state=StepState.RUNNING, attempt=2)
        assert not steps.move(
            tx,
            step_run.id,
            expected_attempt=attempt,
            expected_state=state,
            state=StepState.FINISHED,
            exit_code=0,
        )
        assert steps.get(tx, step_run.id) == step_run


def test_a_field_that_no_step_run_has_is_a_mistake(store: Store) -> None:
    with store.begin() as tx, pytest.raises(KeyError):
        steps.move(tx, "s", expected_attempt=0, expected_state=StepState.QUEUED, nonsense="x")


def test_notes_of_a_step_run_are_replaced_one_by_one(store: Store) -> None:
    with store.begin() as tx:
        stored(tx)
        step_run = put_step(tx, tags={"a": "1"}, properties={"b": "2"})
        steps.set_notes(tx, step_run.id)
        steps.set_notes(tx, step_run.id, tags={})
        assert steps.get(tx, step_run.id) == replace(step_run, tags={})
        steps.set_notes(tx, step_run.id, properties={"c": "3"})
        assert steps.get(tx, step_run.id) == replace(step_run, tags={}, properties={"c": "3"})


def test_the_longest_queued_is_next_in_line(store: Store) -> None:
    with store.begin() as tx:
        stored(tx)
        queued = {"state": StepState.QUEUED}
        third = put_step(tx, **queued, queued_at=NOW)
        first = put_step(tx, **queued, queued_at=NOW - 2 * SECOND)
        second = put_step(tx, **queued, queued_at=NOW - SECOND, available_at=NOW)
        put_step(tx, **queued, queued_at=NOW - 3 * SECOND, available_at=LATER)
        put_step(tx, **queued, queued_at=NOW - 3 * SECOND, compute="another")
        put_step(tx, state=StepState.RUNNING, queued_at=NOW - 3 * SECOND)
        put_step(tx)
        assert steps.next_in_line(tx, "local", NOW, 10) == [first, second, third]
        assert steps.next_in_line(tx, "local", NOW, 1) == [first]
        assert steps.next_in_line(tx, "none", NOW, 10) == []
        assert steps.counts(tx, "local") == (1, 4)
        assert steps.counts(tx, "none") == (0, 0)


def test_a_capacity_counted_under_the_lines_lock_is_never_exceeded(
    store: Store, database_url: str
) -> None:
    """Six queued, room for two, four who launch at once."""
    with store.begin() as tx:
        stored(tx)
        for _ in range(6):
            put_step(tx, state=StepState.QUEUED, queued_at=NOW)
    stores = [store, Store(database_url)] * 2
    start = threading.Barrier(4)

    def launch(mine: Store) -> int:
        start.wait()
        with mine.begin() as tx:
            steps.lock_line(tx, "local")
            running, _ = steps.counts(tx, "local")
            chosen = steps.next_in_line(tx, "local", NOW, max(0, 2 - running))
            return sum(
                steps.move(
                    tx,
                    step_run.id,
                    expected_attempt=0,
                    expected_state=StepState.QUEUED,
                    state=StepState.RUNNING,
                    attempt=1,
                )
                for step_run in chosen
            )

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(launch, stores)) == 2
    with store.read() as tx:
        assert steps.counts(tx, "local") == (2, 4)
    stores[1].dispose()


# ---- schedules -----------------------------------------------------------------------------------


def put_schedule(tx: Transaction, **fields: object) -> Schedule:
    schedule = a_schedule(**fields)
    schedules.insert(tx, schedule)
    return schedule


def test_the_fire_state_of_many_is_set_at_once(store: Store) -> None:
    with store.begin() as tx:
        stored(tx)
        a, b, c = (put_schedule(tx, failures=2) for _ in range(3))
        schedules.set_fire_state_many(tx, [(b.id, None, 3), (a.id, LATER, 0)])
        schedules.set_fire_state_many(tx, [])
        assert schedules.get_many(tx, [a.id, b.id, c.id, "none"]) == {
            a.id: replace(a, next_fire_time=LATER, failures=0),
            b.id: replace(b, next_fire_time=None, failures=3),
            c.id: c,
        }


def test_a_quarantined_schedule_is_disabled_and_says_why(store: Store) -> None:
    with store.begin() as tx:
        stored(tx)
        schedule = put_schedule(tx)
        schedules.quarantine(tx, schedule.id, "it failed five times", LATER)
        assert schedules.get(tx, WORKSPACE_ID, schedule.id) == replace(
            schedule,
            status=Status.DISABLED,
            next_fire_time=None,
            quarantined_reason="it failed five times",
            updated_at=LATER,
        )


def test_the_active_schedules_of_a_pipeline_oldest_first(store: Store) -> None:
    with store.begin() as tx:
        stored(tx)
        young = put_schedule(tx, created_at=LATER)
        old = put_schedule(tx)
        put_schedule(tx, status=Status.DISABLED)
        assert schedules.active_for_pipeline(tx, PIPELINE_ID) == [old, young]
        assert schedules.active_for_pipeline(tx, new_id()) == []


# ---- metrics -------------------------------------------------------------------------------------


def test_a_name_logged_again_goes_on_with_its_sequence(store: Store) -> None:
    with store.begin() as tx:
        metrics.append(tx, "r", [("a", "scalar", 1, None), ("b", "scalar", 2, None)], NOW)
        metrics.append(tx, "r", [("a", "scalar", 3, None), ("a", "scalar", 4, None)], NOW)
        metrics.append(tx, "another", [("a", "scalar", 5, None)], NOW)
        metrics.append(tx, "r", [], NOW)
        found = [(m.name, m.sequence, m.value) for m in metrics.list(tx, ["r"])]
        assert found == [("a", 0, 1), ("a", 1, 3), ("a", 2, 4), ("b", 0, 2)]
        both = [(m.run_id, m.value) for m in metrics.list(tx, ["r", "another"], name="a")]
        assert both == [("another", 5), ("r", 1), ("r", 3), ("r", 4)]
        assert metrics.list(tx, []) == []
        assert metrics.list(tx, ["r"], name="none") == []


def test_two_who_log_at_once_share_one_sequence(store: Store, database_url: str) -> None:
    stores = [store, Store(database_url)]
    start = threading.Barrier(2)

    def log(mine: Store) -> None:
        start.wait()
        for _ in range(10):
            with mine.begin() as tx:
                metrics.append(tx, "r", [("a", "scalar", 1, None)], NOW)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(log, stores))
    stores[1].dispose()
    with store.read() as tx:
        assert [metric.sequence for metric in metrics.list(tx, ["r"])] == list(range(20))
