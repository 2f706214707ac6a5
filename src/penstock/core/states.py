"""The states of a run and of its steps, and the only moves between them.

Everything that affects a transition is in this file. A move that is not in the tables is refused,
whoever asks for it: a terminal state never changes.

    run    NotStarted ──start──► Running ──succeed──► Finished
               │                    ├──────fail─────► Failed
               └──cancel──► Canceled ◄──cancel──┘        (a run may also fail before it starts)

    step   NotStarted ──queue──► Queued ──launch──► Running ──succeed──► Finished
               │                   │ ▲                 ├───────fail────► Failed
               │                   │ └────retry────────┤
               │                   └──cancel──►        └──cancel──► Canceled
               ├──cancel──► Canceled
               └──bypass──► Bypassed                 (a predecessor failed, so it never runs)
"""

from __future__ import annotations

from enum import StrEnum

from penstock.errors import Conflict


class RunState(StrEnum):
    """What `PipelineRun.get_status()` answers."""

    NOT_STARTED = "NotStarted"
    RUNNING = "Running"
    FINISHED = "Finished"
    FAILED = "Failed"
    CANCELED = "Canceled"


class StepState(StrEnum):
    """What `StepRun.get_status()` answers."""

    NOT_STARTED = "NotStarted"
    QUEUED = "Queued"
    RUNNING = "Running"
    FINISHED = "Finished"
    FAILED = "Failed"
    CANCELED = "Canceled"
    BYPASSED = "Bypassed"


RUN_MOVES: dict[tuple[RunState, str], RunState] = {
    (RunState.NOT_STARTED, "start"): RunState.RUNNING,
    (RunState.NOT_STARTED, "fail"): RunState.FAILED,
    (RunState.NOT_STARTED, "cancel"): RunState.CANCELED,
    (RunState.RUNNING, "succeed"): RunState.FINISHED,
    (RunState.RUNNING, "fail"): RunState.FAILED,
    (RunState.RUNNING, "cancel"): RunState.CANCELED,
}

STEP_MOVES: dict[tuple[StepState, str], StepState] = {
    (StepState.NOT_STARTED, "queue"): StepState.QUEUED,
    (StepState.NOT_STARTED, "cancel"): StepState.CANCELED,
    (StepState.NOT_STARTED, "bypass"): StepState.BYPASSED,
    (StepState.QUEUED, "launch"): StepState.RUNNING,
    (StepState.QUEUED, "cancel"): StepState.CANCELED,
    (StepState.QUEUED, "fail"): StepState.FAILED,
    (StepState.RUNNING, "succeed"): StepState.FINISHED,
    (StepState.RUNNING, "fail"): StepState.FAILED,
    (StepState.RUNNING, "retry"): StepState.QUEUED,
    (StepState.RUNNING, "cancel"): StepState.CANCELED,
}

RUN_ENDS = frozenset({RunState.FINISHED, RunState.FAILED, RunState.CANCELED})
STEP_ENDS = frozenset(
    {StepState.FINISHED, StepState.FAILED, StepState.CANCELED, StepState.BYPASSED}
)


def advance_run(state: RunState, event: str) -> RunState:
    """Return the state after `event`; raise Conflict for a move that does not exist."""
    try:
        return RUN_MOVES[state, event]
    except KeyError:
        raise Conflict(f"A run that is {state} cannot {event}.", state=state, event=event) from None


def advance_step(state: StepState, event: str) -> StepState:
    """Return the state after `event`; raise Conflict for a move that does not exist."""
    try:
        return STEP_MOVES[state, event]
    except KeyError:
        raise Conflict(
            f"A step that is {state} cannot {event}.", state=state, event=event
        ) from None


# The run history of the old service spoke another vocabulary than its pipelines: `run.status` and
# `get_details()["status"]`, against `get_status()`. Scripts test both.
_HISTORY = {
    "NotStarted": "NotStarted",
    "Queued": "Queued",
    "Running": "Running",
    "Finished": "Completed",
    "Failed": "Failed",
    "Canceled": "Canceled",
    "Bypassed": "Canceled",
}


def history_status(state: RunState | StepState, *, is_canceling: bool = False) -> str:
    """Return the run-history word for `state`; `CancelRequested` while a cancellation is under
    way."""
    if is_canceling and state not in RUN_ENDS and state not in STEP_ENDS:
        return "CancelRequested"
    return _HISTORY[state]
