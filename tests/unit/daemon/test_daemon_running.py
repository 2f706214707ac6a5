"""Runs and their steps: what starts when, what stops what, what is tried again, and how it ends."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.builders import NOW
from tests.unit.daemon.works import Works

from penstock.compute.target import Observation, Phase
from penstock.core.due import Overlap
from penstock.core.states import RunState, StepState
from penstock.daemon import running
from penstock.daemon.launches import Shelf
from penstock.daemon.running import Result, Rules
from penstock.service import runs

RULES = Rules(steps_running_max=4, step_poll_seconds=1.0)


@pytest.fixture
def step(site):
    return site.step


def diamond(step, **fields):
    """Two steps beside each other, between a first and a last one; and one that stands alone."""
    return (
        step("first", **fields),
        step("left", run_after=("first",), **fields),
        step("right", run_after=("first",), **fields),
        step("last", run_after=("left", "right"), **fields),
        step("alone", **fields),
    )


# ---- readiness -----------------------------------------------------------------------------------


def test_steps_start_as_soon_as_what_they_wait_for_has_finished(works, step):
    run = works.submit(*diamond(step))
    assert works.state(run) is RunState.RUNNING
    assert works.running(run) == ["alone", "first"]
    works.finish(run, "first")
    assert works.running(run) == ["alone", "left", "right"]
    works.finish(run, "left")
    works.finish(run, "alone")
    assert works.running(run) == ["right"]
    works.finish(run, "right")
    assert works.running(run) == ["last"]
    at = works.site.later(seconds=7)
    works.finish(run, "last")
    ended = works.run(run)
    assert (ended.state, ended.ended_at, ended.error) == (RunState.FINISHED, at, None)
    assert set(works.states(run).values()) == {StepState.FINISHED}
    assert works.site.contents()["timers"] == set()


def test_a_step_shows_when_it_was_queued_started_and_ended(works):
    run = works.submit()
    works.site.later(seconds=3)
    works.finish(run)
    (step,) = works.steps(run).values()
    assert (step.queued_at, step.started_at) == (NOW, NOW)
    assert step.ended_at == NOW + timedelta(seconds=3)
    assert (step.exit_code, step.attempt, step.error) == (0, 1, None)


# ---- failure -------------------------------------------------------------------------------------


def test_a_failed_step_stops_the_pipeline_and_cancels_what_runs(works, step):
    run = works.submit(*diamond(step))
    works.finish(run, "first", exit_code=3)
    works.tick(seconds=1)
    assert works.states(run) == {
        "first": StepState.FAILED,
        "left": StepState.CANCELED,
        "right": StepState.CANCELED,
        "last": StepState.CANCELED,
        "alone": StepState.CANCELED,
    }
    assert works.target.running == []
    ended = works.run(run)
    assert (ended.state, ended.error) == (RunState.FAILED, "step 'first' failed: exit code 3")
    assert works.steps(run)["first"].exit_code == 3


def test_with_continue_the_other_branches_go_on_and_the_rest_is_bypassed(works, step):
    run = works.submit(*diamond(step), continue_on_step_failure=True)
    works.finish(run, "first")
    works.finish(run, "left", exit_code=1)
    assert works.running(run) == ["alone", "right"]
    assert works.states(run)["last"] is StepState.BYPASSED
    works.finish(run, "right")
    works.finish(run, "alone")
    assert works.state(run) is RunState.FAILED
    assert works.states(run) == {
        "first": StepState.FINISHED,
        "left": StepState.FAILED,
        "right": StepState.FINISHED,
        "last": StepState.BYPASSED,
        "alone": StepState.FINISHED,
    }


def test_the_first_failure_is_the_one_that_is_told(works, step):
    run = works.submit(step("a"), step("b"), continue_on_step_failure=True)
    works.finish(run, "b", exit_code=2)
    works.site.later(seconds=1)
    works.finish(run, "a", exit_code=1)
    assert works.run(run).error == "step 'b' failed: exit code 2"


def test_a_step_that_finishes_while_it_is_being_stopped_has_finished(works, step):
    run = works.submit(step("a"), step("b"))
    works.target.ends_when_stopped = False
    works.finish(run, "a", exit_code=1)
    works.finish(run, "b", exit_code=0)
    assert works.states(run) == {"a": StepState.FAILED, "b": StepState.FINISHED}
    assert works.state(run) is RunState.FAILED


def test_a_run_that_cannot_be_advanced_fails_alone(works, step, caplog):
    bad, good = works.submit(), works.submit()
    with works.site.store.begin() as tx:
        tx.connection.exec_driver_sql("DELETE FROM timers WHERE kind = 'run'")
        tx.connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        tx.connection.exec_driver_sql(
            f"UPDATE step_runs SET step_id = 'unknown' WHERE run_id = '{bad.id}'"
        )
    works.site.call(runs.cancel, good.id)
    with works.site.store.begin() as tx:
        tx.connection.exec_driver_sql(
            "INSERT INTO timers (kind, subject_id, due_at, token, attempts) "
            f"VALUES ('run', '{bad.id}', 0, 1, 0)"
        )
    works.tick()
    works.tick(seconds=1)
    assert works.state(good) is RunState.CANCELED
    assert works.state(bad) is RunState.FAILED
    assert "internal error" in works.run(bad).error
    assert "run_advance_failed" in caplog.text


# ---- retries and time limits ---------------------------------------------------------------------


def test_a_failed_step_is_tried_again_after_a_back_off_that_doubles(works, step):
    run = works.submit(step(retries=2, retry_delay_seconds=10))
    works.finish(run, exit_code=1)
    (waiting,) = works.steps(run).values()
    assert (waiting.state, waiting.attempt) == (StepState.QUEUED, 1)
    assert waiting.available_at == NOW + timedelta(seconds=10)
    assert "exit code 1" in waiting.error
    works.tick(seconds=9.999999)
    assert works.target.running == []
    works.tick(microseconds=1)
    assert works.running(run) == ["train"]
    assert works.attempt(run).endswith("-2")
    works.finish(run, exit_code=1)
    works.tick(seconds=19)
    assert works.target.running == []
    works.tick(seconds=1)
    works.finish(run, exit_code=0)
    (done,) = works.steps(run).values()
    assert (done.state, done.attempt, done.exit_code) == (StepState.FINISHED, 3, 0)
    assert done.error is None
    assert works.state(run) is RunState.FINISHED


def test_when_no_retry_is_left_the_last_failure_counts(works, step):
    run = works.submit(step(retries=1, retry_delay_seconds=0))
    works.finish(run, exit_code=1)
    works.finish(run, exit_code=9)
    assert works.run(run).error == "step 'train' failed: exit code 9"
    assert works.target.starts.total() == 2


def test_a_lost_attempt_is_tried_again_though_it_has_no_retries(works):
    run = works.submit()
    for _ in range(2):
        works.target.vanish(works.attempt(run))
        works.tick()
        works.tick(seconds=5)
    works.target.vanish(works.attempt(run))
    works.tick()
    (lost,) = works.steps(run).values()
    assert (lost.state, lost.attempt) == (StepState.FAILED, 3)
    assert "vanished" in works.run(run).error


def test_attempts_that_were_lost_do_not_use_up_the_retries(works, step):
    run = works.submit(step(retries=1, retry_delay_seconds=1))
    for _ in range(2):
        works.target.vanish(works.attempt(run))
        works.tick()
        works.tick(seconds=5)
    works.finish(run, exit_code=1)
    works.tick(seconds=10)
    works.finish(run, exit_code=0)
    assert works.state(run) is RunState.FINISHED
    assert works.target.starts.total() == 4


def test_a_step_that_runs_too_long_is_stopped_and_says_so(works, step):
    run = works.submit(step(timeout_seconds=30))
    works.tick(seconds=29)
    assert works.running(run) == ["train"]
    works.tick(seconds=1)
    assert works.target.running == []
    works.tick(seconds=1)
    (ended,) = works.steps(run).values()
    assert (ended.state, ended.exit_code) == (StepState.FAILED, 143)
    assert ended.error == "timed out after 30 s"
    assert works.run(run).error == "step 'train' failed: timed out after 30 s"


def test_one_that_had_to_be_killed_has_failed_and_was_not_lost(works, step):
    works.target.ends_when_stopped = False
    run = works.submit(step(timeout_seconds=30))
    works.tick(seconds=30)
    works.target.vanish(works.attempt(run))  # killed, it leaves no exit code
    works.tick(seconds=1)
    works.tick(seconds=60)
    assert works.steps(run)["train"].error == "timed out after 30 s"
    assert works.state(run) is RunState.FAILED
    assert works.target.starts.total() == 1


def test_the_time_limit_is_that_of_each_attempt(works, step):
    run = works.submit(step(timeout_seconds=30, retries=1, retry_delay_seconds=5))
    works.tick(seconds=30)
    works.tick(seconds=1)
    works.tick(seconds=5)
    assert works.running(run) == ["train"]
    works.tick(seconds=29)
    works.finish(run)
    assert works.state(run) is RunState.FINISHED


# ---- cancelling ----------------------------------------------------------------------------------


def test_a_run_is_cancelled_with_all_its_steps(any_works):
    works = any_works
    run = works.submit(*diamond(works.site.step))
    works.finish(run, "first")
    works.site.call(runs.cancel, run.id)
    works.tick()
    works.tick(seconds=1)
    assert works.state(run) is RunState.CANCELED
    assert works.states(run) == {
        "first": StepState.FINISHED,
        "left": StepState.CANCELED,
        "right": StepState.CANCELED,
        "last": StepState.CANCELED,
        "alone": StepState.CANCELED,
    }
    assert works.site.contents()["timers"] == set()


def test_a_run_that_has_not_begun_is_cancelled_without_steps(works):
    run = works.site.submit()
    works.site.call(runs.cancel, run.id)
    works.tick()
    assert works.state(run) is RunState.CANCELED
    assert works.steps(run) == {}
    assert works.target.launches == {}


def test_a_step_that_waits_for_its_retry_is_cancelled(works, step):
    run = works.submit(step(retries=3, retry_delay_seconds=600))
    works.finish(run, exit_code=1)
    works.site.call(runs.cancel, run.id)
    works.tick()
    assert works.state(run) is RunState.CANCELED
    assert works.site.contents()["timers"] == set()


def test_a_cancelled_step_is_not_tried_again(works, step):
    run = works.submit(step(retries=5))
    works.target.ends_when_stopped = False
    works.site.call(runs.cancel, run.id)
    works.tick()
    works.finish(run, exit_code=1)
    assert works.states(run)["train"] is StepState.CANCELED
    assert works.state(run) is RunState.CANCELED


def test_a_run_that_finishes_before_it_can_be_stopped_has_finished(works):
    run = works.submit()
    works.target.ends_when_stopped = False
    works.site.call(runs.cancel, run.id)
    works.tick()
    works.finish(run, exit_code=0)
    assert works.state(run) is RunState.FINISHED


def test_cancelling_one_that_waits_lets_the_next_in_turn_go_on(works):
    schedule = works.site.schedule(run_on_create=False, overlap=Overlap.QUEUE)
    for _ in range(3):
        works.tick(minutes=1)
    one, two, three = works.runs_of(schedule.id)
    works.site.call(runs.cancel, two.id)
    works.tick()
    assert works.state(three) is RunState.NOT_STARTED  # the first still runs
    works.finish(one)
    assert works.state(three) is RunState.RUNNING


# ---- the waiting line ----------------------------------------------------------------------------


def test_no_more_steps_run_than_there_are_places(any_site):
    works = Works(any_site, places=2)
    one = works.submit(*(any_site.step(f"s{i}") for i in range(5)))
    works.site.later(seconds=1)
    two = works.submit(any_site.step("later"))
    last = works.attempt(two, "later")
    while works.target.running:
        assert len(works.target.running) <= 2
        first = works.running(one, two)[0]
        works.finish(two if first == "later" else one, first)
    assert works.target.starts.total() == 6
    # Whoever waits longest goes first.
    assert list(works.target.launches)[-1] == last.replace("-0", "-1")
    assert {works.state(one), works.state(two)} == {RunState.FINISHED}


def test_a_step_that_waits_for_its_retry_keeps_no_place(site):
    works = Works(site, places=1)
    one = works.submit(site.step("a", retries=1, retry_delay_seconds=60))
    two = works.submit(site.step("b"))
    assert works.running(one, two) == ["a"]
    works.finish(one, "a", exit_code=1)
    assert works.running(one, two) == ["b"]
    works.tick(seconds=60)
    assert works.running(one, two) == ["b"]
    works.finish(two, "b")
    assert works.running(one) == ["a"]


def test_places_that_cancelled_steps_leave_are_filled(site):
    works = Works(site, places=1)
    one, two = works.submit(site.step("a")), works.submit(site.step("b"))
    works.site.call(runs.cancel, one.id)
    works.tick()
    works.tick(seconds=1)
    assert works.running(two) == ["b"]


# ---- fencing -------------------------------------------------------------------------------------


def result(step_run, attempt, exit_code=0):
    seen = Observation(phase=Phase.EXITED, exit_code=exit_code, ended_at=NOW)
    return Result(step_run_id=step_run.id, attempt=attempt, observation=seen)


def test_what_a_stale_attempt_reports_is_dropped(works, step):
    run = works.submit(step(retries=3, retry_delay_seconds=0))
    works.finish(run, exit_code=1)
    (second,) = works.steps(run).values()
    assert second.attempt == 2
    before = works.site.contents()
    with works.site.store.begin() as tx:
        for attempt in (1, 3):
            running.record_results(tx, [result(second, attempt)], NOW, RULES, Shelf())
        running.record_results(
            tx, [replace(result(second, 1), step_run_id="gone")], NOW, RULES, Shelf()
        )
    assert works.site.contents() == before


def test_a_second_report_of_an_ended_step_is_dropped(works):
    run = works.submit()
    works.finish(run)
    (ended,) = works.steps(run).values()
    before = works.site.contents()
    with works.site.store.begin() as tx:
        running.record_results(tx, [result(ended, 1, exit_code=1)], NOW, RULES, Shelf())
    assert works.site.contents() == before


# ---- two daemons at once -------------------------------------------------------------------------


def test_the_last_two_steps_that_end_at_two_daemons_at_once_end_the_run(any_works):
    works = any_works
    run = works.submit(works.site.step("a"), works.site.step("b"))
    a, b = works.steps(run).values()

    def report(step_run):
        with works.site.store.begin() as tx:
            running.record_results(tx, [result(step_run, 1)], NOW, RULES, Shelf())

    with ThreadPoolExecutor(1) as pool:
        with works.site.store.begin() as tx:
            running.record_results(tx, [result(a, 1)], NOW, RULES, Shelf())
            other = pool.submit(report, b)
            time.sleep(0.3)  # it is to be waiting in the database, or to have gone wrong by now
        other.result(timeout=20)
    works.tick()
    assert works.state(run) is RunState.FINISHED


def test_two_daemons_at_once_start_each_step_once(any_site):
    works = Works(any_site, places=3)
    submitted = [works.site.submit(*(any_site.step(f"s{i}") for i in range(4))) for _ in range(3)]
    shelf, rules = Shelf(), Rules(steps_running_max=3, step_poll_seconds=1.0)

    def advance():
        with works.site.store.begin() as tx:
            return running.advance_due(tx, NOW, rules, shelf)

    with ThreadPoolExecutor(3) as pool:
        found = [future.result(timeout=30) for future in [pool.submit(advance) for _ in range(6)]]
    launches = [facts.place.id for _, work in found for facts in work.launches]
    assert len(launches) == len(set(launches)) == 3
    states = [state for run in submitted for state in works.states(run).values()]
    assert states.count(StepState.RUNNING) == 3
    assert states.count(StepState.QUEUED) == 9


def test_a_step_whose_files_are_gone_fails_and_the_others_go_on(works, caplog):
    bad = works.site.submit()
    with works.site.store.begin() as tx:
        tx.connection.exec_driver_sql("DELETE FROM snapshots")
    works.tick()
    works.tick()
    assert works.state(bad) is RunState.FAILED
    assert "no snapshot" in works.run(bad).error
    assert works.site.contents()["timers"] == set()
