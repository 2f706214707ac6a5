"""The states of runs and steps: the picture in core/states.py, its tables, both vocabularies."""

from __future__ import annotations

from inspect import cleandoc

from generators.markdown import table
from penstock.core import states
from penstock.core.states import RunState, StepState, history_status


def page() -> str:
    """Return the picture, every move, and the words for each state."""
    return "\n\n".join([f"```text\n{_picture()}\n```", "## Every move", _moves(), _words()])


def _picture() -> str:
    indented = [par for par in (states.__doc__ or "").split("\n\n") if par.startswith("    ")]
    return cleandoc("\n" + "\n\n".join(indented))


def _moves() -> str:
    tables = (("run", states.RUN_MOVES), ("step", states.STEP_MOVES))
    rows = [
        (kind, f"`{before}`", event, f"`{after}`")
        for kind, moves in tables
        for (before, event), after in moves.items()
    ]
    return table(("of a", "from", "event", "to"), rows)


def _words() -> str:
    known = list(dict.fromkeys([*StepState, *RunState], None))
    by_value = {str(state.value): state for state in known}
    rows = [
        (f"`{value}`", " and ".join(_bearers(value)), f"`{history_status(state)}`")
        for value, state in by_value.items()
    ]
    return "## Two vocabularies\n\n" + table(("`get_status()`", "of a", "`status`"), rows)


def _bearers(value: str) -> list[str]:
    kinds = (("run", RunState), ("step", StepState))
    return [kind for kind, enum in kinds if value in list(enum)]
