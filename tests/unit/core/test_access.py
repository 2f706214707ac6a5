"""Who may do what."""

from __future__ import annotations

import pytest

from penstock.core.access import ADMIN, STEP_ACTIONS, Actor, may

STEP = Actor(name="step s1", run_id="r1", step_run_id="s1", workspace_id="w1")


@pytest.mark.parametrize("actor", [ADMIN, Actor(name="somebody")], ids=lambda actor: actor.name)
@pytest.mark.parametrize("action", ["schedule.create", "workspace.create", "run.write", "anything"])
def test_the_administrator_and_the_daemon_may_do_everything(actor, action):
    decision = may(actor, action, workspace_id="w9", run_id="r9")
    assert decision.is_allowed
    assert "administrator" in decision.reason


@pytest.mark.parametrize("action", sorted(STEP_ACTIONS))
def test_a_step_may_do_its_work_in_its_workspace(action):
    assert may(STEP, action, workspace_id="w1", run_id="r1").is_allowed


@pytest.mark.parametrize("action", sorted(STEP_ACTIONS))
def test_a_step_may_do_nothing_in_another_workspace(action):
    decision = may(STEP, action, workspace_id="w2", run_id="r1")
    assert not decision.is_allowed
    assert "its own workspace only" in decision.reason


@pytest.mark.parametrize(
    "action",
    [
        "schedule.create",
        "schedule.update",
        "schedule.fire",
        "pipeline.publish",
        "pipeline.update",
        "workspace.create",
        "experiment.update",
        "run.cancel",
        "",
    ],
)
def test_a_step_may_not(action):
    decision = may(STEP, action, workspace_id="w1", run_id="r1")
    assert not decision.is_allowed
    assert action in decision.reason


@pytest.mark.parametrize(("run_id", "is_allowed"), [("r1", True), ("r2", False), (None, False)])
def test_a_step_writes_to_its_own_run_only(run_id, is_allowed):
    assert may(STEP, "run.write", workspace_id="w1", run_id=run_id).is_allowed is is_allowed


def test_a_step_reads_other_runs_of_its_workspace():
    assert may(STEP, "run.read", workspace_id="w1", run_id="r2").is_allowed


def test_a_step_may_list_the_workspaces_there_are_no_ids_to_compare():
    assert may(STEP, "workspace.read").is_allowed
