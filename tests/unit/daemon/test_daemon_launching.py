"""Starting, finding again and stopping attempts: whatever the compute target does or says."""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path

import pytest
from tests.builders import NOW
from tests.unit.daemon.works import Works

from penstock.compute.target import Observation, Phase
from penstock.core.pipeline import Input, Output, SourceKind
from penstock.core.states import RunState, StepState
from penstock.errors import ComputeUnavailable, Invalid, StorageFull
from penstock.service import runs
from penstock.testing.compute import FakeComputeTarget


class Elsewhere(FakeComputeTarget):
    """Says of what runs that another machine runs it."""

    def poll(self, launch_id: str, folder: Path) -> Observation:
        seen = super().poll(launch_id, folder)
        return Observation(phase=Phase.ELSEWHERE) if seen.phase is Phase.RUNNING else seen


def starts(works):
    """How often each step's script was started."""
    return sorted(works.target.starts.values())


# ---- starting ------------------------------------------------------------------------------------


def test_an_attempt_is_launched_once_and_is_heard_of_when_it_ends(works):
    run = works.submit()
    for _ in range(60):
        works.tick(seconds=1)
    assert works.target.launch_calls[works.attempt(run)] == 1
    works.finish(run)
    assert works.state(run) is RunState.FINISHED


def test_an_attempt_that_was_never_started_is_started_at_the_next_look(works):
    works.target.launch_errors = [ComputeUnavailable("no room for a process now")]
    run = works.submit()
    assert works.target.running == []
    works.tick(seconds=1)
    assert works.running(run) == ["train"]
    assert works.steps(run)["train"].attempt == 1


def test_a_reply_that_is_lost_starts_nothing_twice(works):
    works.target.replies_to_lose = 3
    run = works.submit()
    for _ in range(5):
        works.tick(seconds=1)
    assert starts(works) == [1]
    works.target.finish(works.attempt(run), 0, at=NOW)
    works.tick(seconds=1)
    assert works.state(run) is RunState.FINISHED


def test_a_target_that_is_away_uses_up_no_retries(works):
    works.target.is_away = True
    run = works.submit()
    for _ in range(100):
        works.tick(seconds=1)
    (step,) = works.steps(run).values()
    assert (step.state, step.attempt) == (StepState.RUNNING, 1)
    works.target.is_away = False
    works.tick(seconds=1)
    works.finish(run)
    assert works.state(run) is RunState.FINISHED
    assert starts(works) == [1]


def test_a_full_disk_is_waited_for(works):
    works.target.launch_errors = [StorageFull("no room")] * 3
    run = works.submit()
    for _ in range(3):
        works.tick(seconds=1)
    assert works.running(run) == ["train"]


def test_a_script_that_is_not_there_fails_the_step_with_its_message(works):
    works.target.launch_errors = [Invalid("The script 'train.py' is not in the folder.")]
    run = works.submit(works.site.step(retries=3))
    works.tick()
    (step,) = works.steps(run).values()
    assert (step.state, step.attempt, step.exit_code) == (StepState.FAILED, 1, None)
    assert step.error == "The script 'train.py' is not in the folder."
    assert works.run(run).error == f"step 'train' failed: {step.error}"
    assert works.target.launch_calls.total() == 1


def test_a_fault_of_ours_fails_the_step_and_closes_the_attempt(works, caplog):
    works.target.launch_errors = [KeyError("what")]
    with caplog.at_level(logging.CRITICAL):
        run = works.submit()
        works.tick()
    assert works.run(run).error == "step 'train' failed: internal error: KeyError('what')"
    works.tick(seconds=60)
    assert works.target.running == []


def test_one_that_cannot_start_does_not_keep_the_others_from_it(works, caplog):
    works.target.launch_errors = [KeyError("what")]
    with caplog.at_level(logging.CRITICAL):
        run = works.submit(
            works.site.step("a"), works.site.step("b"), continue_on_step_failure=True
        )
    works.tick()
    assert len(works.running(run)) == 1
    assert sorted(works.states(run).values()) == [StepState.FAILED, StepState.RUNNING]


def test_a_target_that_is_away_is_stopped_for_when_it_comes_back(works):
    run = works.submit()
    works.target.is_away = True
    works.site.call(runs.cancel, run.id)
    works.tick()
    works.tick(seconds=5)
    assert works.states(run)["train"] is StepState.RUNNING
    works.target.is_away = False
    works.tick(seconds=10)
    works.tick(seconds=1)
    assert works.state(run) is RunState.CANCELED
    assert works.target.running == []


def test_an_attempt_that_is_absent_is_closed_when_its_run_is_cancelled(works):
    works.target.launch_errors = [ComputeUnavailable("not now")]
    run = works.submit()
    works.site.call(runs.cancel, run.id)
    works.tick()
    works.tick(seconds=1)
    assert works.state(run) is RunState.CANCELED
    assert starts(works) == []


# ---- data that must be copied --------------------------------------------------------------------


def with_download(works):
    folder = works.site.home / "datastores" / works.site.workspace.id / "workspaceblobstore"
    (folder / "data.csv").write_text("1")
    data = Input(
        name="data",
        source=SourceKind.DATASTORE,
        datastore="workspaceblobstore",
        path="data.csv",
        mode="download",
    )
    return works.site.step(inputs=(data,))


def test_a_launch_that_must_copy_first_goes_to_the_copier(works):
    run = works.submit(with_download(works), works.site.step("other"))
    assert works.running(run) == ["other"]
    for _ in range(3):
        works.tick(seconds=20)
    assert len(works.copier.waiting) == 1  # a look meanwhile does not ask again
    works.copier.work()
    assert works.running(run) == ["other", "train"]


def test_a_copy_that_fails_for_now_is_tried_again(works):
    works.target.launch_errors = [StorageFull("no room")]
    run = works.submit(with_download(works))
    works.copier.work()
    works.tick(seconds=20)
    works.copier.work()
    assert works.running(run) == ["train"]


def test_a_copy_that_fails_for_good_fails_the_step(works, caplog):
    works.target.launch_errors = [KeyError("copy")]
    run = works.submit(with_download(works))
    with caplog.at_level(logging.CRITICAL):
        works.copier.work()
    works.tick()
    assert "KeyError('copy')" in works.run(run).error


def test_input_data_that_is_not_there_fails_the_step_with_its_place(works):
    data = Input(
        name="data", source=SourceKind.DATASTORE, datastore="workspaceblobstore", path="no.csv"
    )
    run = works.submit(works.site.step(inputs=(data,)))
    works.tick()
    assert works.run(run).error == (
        "step 'train' failed: Input 'data' of step 'train': nothing at 'no.csv' on datastore "
        "'workspaceblobstore'."
    )


@pytest.mark.parametrize("path", ["x" * 300, "d/" * 300 + "y" * 300])
def test_a_name_that_no_disk_takes_is_data_that_is_not_there(works, path):
    data = Input(
        name="data",
        source=SourceKind.DATASTORE,
        datastore="workspaceblobstore",
        path=path,
    )
    run = works.submit(works.site.step(inputs=(data,)))
    works.tick()
    assert works.state(run) is RunState.FAILED
    assert "nothing at" in works.run(run).error


def test_an_output_that_was_not_written_is_told_by_the_one_who_reads_it(works):
    out = Output(name="model")
    read = Input(name="model", source=SourceKind.STEP, step_id="train", output="model")
    run = works.submit(works.site.step(outputs=(out,)), works.site.step("score", inputs=(read,)))
    works.finish(run)
    works.tick()
    assert works.run(run).error.endswith("step 'train' did not write its output 'model'.")


# ---- after a restart -----------------------------------------------------------------------------


def test_steps_that_run_are_found_again_after_a_restart(works):
    run = works.submit(works.site.step("a"), works.site.step("b", run_after=("a",)))
    works.restart()
    assert works.running(run) == ["a"]
    works.target.finish(works.attempt(run, "a"), 0, at=NOW)  # nobody listens any more
    works.tick(seconds=1)
    assert works.running(run) == ["b"]
    works.finish(run, "b")
    assert works.state(run) is RunState.FINISHED
    assert starts(works) == [1, 1]


def test_steps_that_ended_meanwhile_are_noticed_at_once(works):
    run = works.submit()
    works.target.forget_listeners()
    works.target.finish(works.attempt(run), 7, at=NOW)
    works.restart()
    assert works.run(run).error == "step 'train' failed: exit code 7"


def test_what_was_decided_and_not_done_is_done_after_a_restart(works):
    works.target.is_away = True  # as if the server had died between the commit and the launch
    run = works.submit()
    works.target.is_away = False
    works.restart()
    assert works.running(run) == ["train"]


def test_runs_that_nobody_had_seen_go_on_after_a_restart(works):
    run = works.site.submit()
    with works.site.store.begin() as tx:
        tx.connection.exec_driver_sql("DELETE FROM timers")
    works.restart()
    assert works.running(run) == ["train"]


def test_the_place_of_a_step_that_is_still_running_is_not_given_away(site):
    works = Works(site, places=1)
    one, two = works.submit(site.step("a")), works.submit(site.step("b"))
    works.restart()
    works.tick(seconds=30)
    assert works.running(one, two) == ["a"]


def test_a_back_off_that_began_while_the_clock_was_ahead_is_cut_short(works):
    works.site.later(days=400)
    run = works.submit(works.site.step(retries=1, retry_delay_seconds=10))
    works.finish(run, exit_code=1)
    works.site.clock.set(NOW)
    works.daemon.recover(NOW)
    works.tick()
    works.tick(seconds=1)
    assert works.running(run) == ["train"]


# ---- what a look finds ---------------------------------------------------------------------------


def test_an_attempt_on_another_machine_is_left_to_it(site):
    works = Works(site)
    works.target = Elsewhere()
    works.daemon = works.another_daemon()
    run = works.submit()
    for _ in range(50):
        works.tick(seconds=10)
    assert works.states(run)["train"] is StepState.RUNNING
    assert works.target.launch_calls.total() == 1


def test_an_attempt_on_another_machine_is_given_up_when_its_run_is_cancelled(site):
    works = Works(site)
    works.target = Elsewhere()
    works.daemon = works.another_daemon()
    run = works.submit()
    works.site.call(runs.cancel, run.id)
    works.tick()
    works.tick(seconds=20)
    assert works.state(run) is RunState.CANCELED


def test_a_call_that_comes_too_early_ends_nothing(works):
    run = works.submit()
    id = works.attempt(run)
    works.target._listeners[id](id)
    works.tick()
    assert works.states(run)["train"] is StepState.RUNNING
    works.target.finish(id, 0, at=NOW)
    works.tick(seconds=20)
    assert works.state(run) is RunState.FINISHED


def test_the_end_of_a_stale_attempt_changes_nothing(works):
    run = works.submit(works.site.step(retries=1, retry_delay_seconds=0))
    first = works.attempt(run)
    listener = works.target._listeners[first]
    works.finish(run, exit_code=1)
    listener(first)
    works.tick()
    (step,) = works.steps(run).values()
    assert (step.state, step.attempt) == (StepState.RUNNING, 2)


def test_one_folder_that_cannot_be_read_does_not_hide_the_other_ends(site, caplog):
    class Broken(FakeComputeTarget):
        broken = ""

        def poll(self, launch_id: str, folder: Path) -> Observation:
            if launch_id == self.broken:
                raise OSError("input/output error")
            return super().poll(launch_id, folder)

    works = Works(site)
    works.target = Broken()
    works.daemon = works.another_daemon()
    one, two = works.submit(site.step("a")), works.submit(site.step("b"))
    works.target.broken = works.attempt(one, "a")
    works.target.forget_listeners()
    works.target.finish(works.attempt(two, "b"), 0, at=NOW)
    with caplog.at_level(logging.CRITICAL):
        works.tick(seconds=20)
    assert works.state(two) is RunState.FINISHED
    works.target.broken = ""
    works.target.finish(works.attempt(one, "a"), 0, at=NOW)
    works.tick(seconds=20)
    assert works.state(one) is RunState.FINISHED


def test_a_stop_that_fails_is_tried_again(site, caplog):
    class Stubborn(FakeComputeTarget):
        faults = 2

        def stop(self, launch_id: str, folder: Path) -> None:
            if self.faults:
                self.faults -= 1
                raise OSError("input/output error")
            super().stop(launch_id, folder)

    works = Works(site)
    works.target = Stubborn()
    works.daemon = works.another_daemon()
    run = works.submit()
    works.site.call(runs.cancel, run.id)
    with caplog.at_level(logging.CRITICAL):
        for _ in range(30):
            works.tick(seconds=1)
    assert works.state(run) is RunState.CANCELED


def test_two_daemons_look_at_the_same_step_and_one_result_is_written(works):
    run = works.submit(works.site.step("a"), works.site.step("b", run_after=("a",)))
    other = works.another_daemon()
    works.target.finish(works.attempt(run, "a"), 0, at=NOW)
    at = works.site.later(seconds=15)
    other.run_once(at)
    works.tick()
    assert works.running(run) == ["b"]
    assert starts(works) == [1, 1]


def test_the_wall_time_of_an_end_does_not_lie_before_its_start(works):
    run = works.submit()
    works.target.finish(works.attempt(run), 0, at=NOW - timedelta(days=1))
    works.tick()
    (step,) = works.steps(run).values()
    assert step.ended_at == step.started_at == NOW
