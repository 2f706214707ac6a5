"""The states of runs and steps: what moves exist, and what the run history calls them."""

from __future__ import annotations

import pytest

from penstock.core.states import (
    RUN_ENDS,
    RUN_MOVES,
    STEP_ENDS,
    STEP_MOVES,
    RunState,
    StepState,
    advance_run,
    advance_step,
    history_status,
)
from penstock.errors import Conflict

RUN_EVENTS = sorted({event for _, event in RUN_MOVES})
STEP_EVENTS = sorted({event for _, event in STEP_MOVES})


@pytest.mark.parametrize(
    ("state", "event", "expected"),
    [
        ("NotStarted", "start", "Running"),
        ("NotStarted", "fail", "Failed"),
        ("NotStarted", "cancel", "Canceled"),
        ("Running", "succeed", "Finished"),
        ("Running", "fail", "Failed"),
        ("Running", "cancel", "Canceled"),
    ],
)
def test_a_run_moves(state, event, expected):
    assert advance_run(RunState(state), event) is RunState(expected)


@pytest.mark.parametrize(
    ("state", "event", "expected"),
    [
        ("NotStarted", "queue", "Queued"),
        ("NotStarted", "cancel", "Canceled"),
        ("NotStarted", "bypass", "Bypassed"),
        ("Queued", "launch", "Running"),
        ("Queued", "cancel", "Canceled"),
        ("Queued", "fail", "Failed"),
        ("Running", "succeed", "Finished"),
        ("Running", "fail", "Failed"),
        ("Running", "retry", "Queued"),
        ("Running", "cancel", "Canceled"),
    ],
)
def test_a_step_moves(state, event, expected):
    assert advance_step(StepState(state), event) is StepState(expected)


def test_the_tables_above_are_all_the_moves():
    assert (len(RUN_MOVES), len(STEP_MOVES)) == (6, 10)


@pytest.mark.parametrize("event", RUN_EVENTS)
@pytest.mark.parametrize("state", sorted(RUN_ENDS))
def test_a_run_that_has_ended_never_moves(state, event):
    with pytest.raises(Conflict, match=f"A run that is {state} cannot {event}") as caught:
        advance_run(state, event)
    assert caught.value.details == {"state": state, "event": event}


@pytest.mark.parametrize("event", STEP_EVENTS)
@pytest.mark.parametrize("state", sorted(STEP_ENDS))
def test_a_step_that_has_ended_never_moves(state, event):
    with pytest.raises(Conflict, match=f"A step that is {state} cannot {event}") as caught:
        advance_step(state, event)
    assert caught.value.details == {"state": state, "event": event}


@pytest.mark.parametrize(
    ("moves", "states", "ends"),
    [(RUN_MOVES, RunState, RUN_ENDS), (STEP_MOVES, StepState, STEP_ENDS)],
    ids=["run", "step"],
)
class TestTheTable:
    def test_reaches_every_state_from_the_first(self, moves, states, ends):
        reached = {states("NotStarted")}
        for _ in states:
            reached |= {after for (before, _), after in moves.items() if before in reached}
        assert reached == set(states)

    def test_leads_from_every_open_state_to_an_end(self, moves, states, ends):
        leads = set(ends)
        for _ in states:
            leads |= {before for (before, _), after in moves.items() if after in leads}
        assert leads == set(states)

    def test_leaves_every_state_but_the_ends(self, moves, states, ends):
        assert {before for before, _ in moves} == set(states) - ends

    def test_lets_whatever_is_open_be_cancelled(self, moves, states, ends):
        assert {b for b, event in moves if event == "cancel"} == set(states) - ends


def test_only_a_launch_makes_a_step_run():
    assert [k for k, after in STEP_MOVES.items() if after is StepState.RUNNING] == [
        (StepState.QUEUED, "launch")
    ]


@pytest.mark.parametrize(
    ("state", "word"),
    [
        (RunState.NOT_STARTED, "NotStarted"),
        (RunState.RUNNING, "Running"),
        (RunState.FINISHED, "Completed"),
        (RunState.FAILED, "Failed"),
        (RunState.CANCELED, "Canceled"),
        (StepState.NOT_STARTED, "NotStarted"),
        (StepState.QUEUED, "Queued"),
        (StepState.RUNNING, "Running"),
        (StepState.FINISHED, "Completed"),
        (StepState.FAILED, "Failed"),
        (StepState.CANCELED, "Canceled"),
        (StepState.BYPASSED, "Canceled"),
    ],
)
def test_the_run_history_calls_it(state, word):
    assert history_status(state) == word


@pytest.mark.parametrize("state", [*RunState, *StepState])
def test_a_cancellation_under_way_shows_until_the_end(state):
    has_ended = state in RUN_ENDS or state in STEP_ENDS
    expected = history_status(state) if has_ended else "CancelRequested"
    assert history_status(state, is_canceling=True) == expected
