"""A pipeline as a graph: what its steps are, whether it can run, and which steps may start now.

All of it is decided here, from values alone. A graph is immutable once it is stored; a run adds the
resolved parameters and the states of its steps, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from math import isfinite
from typing import Any

from penstock.core.states import STEP_ENDS, StepState
from penstock.errors import InvalidParameters, InvalidPipeline


class ParameterKind(StrEnum):
    """What a pipeline parameter holds, as its default value shows it."""

    STRING = "string"
    INTEGER = "integer"
    FLOAT = "float"
    BOOLEAN = "boolean"
    DATA_PATH = "data_path"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A named input of a pipeline with its default."""

    name: str
    kind: ParameterKind
    default: Any  # for DATA_PATH {"datastore": name, "path": text or None}


class ArgumentKind(StrEnum):
    """Where one word of a step's command line comes from."""

    LITERAL = "literal"  # value is the word itself
    PARAMETER = "parameter"  # value names a pipeline parameter
    INPUT = "input"  # value names an input of the step: its local path
    OUTPUT = "output"  # value names an output of the step: its local path


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """One word of a step's command line."""

    kind: ArgumentKind
    value: str


class SourceKind(StrEnum):
    """Where an input's data lies."""

    STEP = "step"  # an output of another step of the same run
    DATASTORE = "datastore"  # a fixed place on a datastore
    PARAMETER = "parameter"  # the data path in a pipeline parameter


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """Data that a step reads."""

    name: str
    source: SourceKind
    step_id: str | None = None  # STEP: the producer
    output: str | None = None  # STEP: its output's name
    datastore: str | None = None  # DATASTORE
    path: str | None = None  # DATASTORE
    parameter: str | None = None  # PARAMETER
    mode: str = "mount"  # "mount" (the place itself, read-only by agreement) or "download" (a copy)
    path_on_compute: str | None = None
    overwrite: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """Data that a step writes."""

    name: str
    datastore: str | None = None  # None: the workspace's default datastore
    path: str | None = None  # None: azureml/<step run id>/<name>
    mode: str = "mount"  # "mount" or "upload"
    is_directory: bool | None = None
    overwrite: bool | None = None
    path_on_compute: str | None = None
    pipeline_output_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One node of the graph."""

    id: str  # unique within the graph, stable when the same pipeline is built again
    name: str  # may repeat
    kind: str = "python_script"
    script: str | None = None  # relative to the snapshot
    snapshot_id: str | None = None
    arguments: tuple[Argument, ...] = ()
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()
    run_after: tuple[str, ...] = ()  # ids of steps that must end well first, without data
    compute: str = "local"
    environment: Mapping[str, Any] | None = None
    environment_variables: Mapping[str, str] = field(default_factory=dict)
    allow_reuse: bool = True
    version: str | None = None
    retries: int = 0  # further attempts after the first has failed
    retry_delay_seconds: float = 10.0  # before the first retry; doubled for each further one
    timeout_seconds: float | None = None  # of one attempt; None: no limit


@dataclass(frozen=True, kw_only=True)
class Graph:
    """The steps of a pipeline and the parameters they use."""

    steps: tuple[Step, ...]
    parameters: tuple[Parameter, ...] = ()

    @cached_property
    def by_id(self) -> Mapping[str, Step]:
        """The steps by their id."""
        return {step.id: step for step in self.steps}

    @cached_property
    def predecessors(self) -> Mapping[str, frozenset[str]]:
        """For each step's id, the ids of the steps that must have ended well before it starts."""
        return {step.id: frozenset(_predecessors(step)) for step in self.steps}


def _predecessors(step: Step) -> Iterable[str]:
    yield from step.run_after
    for item in step.inputs:
        if item.source is SourceKind.STEP and item.step_id is not None:
            yield item.step_id


# ---- is it a pipeline? ---------------------------------------------------------------------------


def problems(graph: Graph) -> list[dict[str, str]]:
    """Return every reason why `graph` cannot run, each with `field` and `message`; [] when it
    can."""
    found: list[dict[str, str]] = []
    if not graph.steps:
        found.append(_problem("steps", "The pipeline has no steps."))
    found += _twice("steps", "step id", (step.id for step in graph.steps))
    found += _twice("parameters", "parameter", (p.name for p in graph.parameters))
    for parameter in graph.parameters:
        found += _default_problems(parameter)
    for step in graph.steps:
        found += _step_problems(graph, step)
    return found or _cycle(graph)


def validated(graph: Graph) -> Graph:
    """Return `graph` unchanged, or raise InvalidPipeline with all its problems at once."""
    found = problems(graph)
    if found:
        raise InvalidPipeline(" ".join(p["message"] for p in found), errors=found)
    return graph


def _problem(where: str, message: str) -> dict[str, str]:
    return {"field": where, "message": message}


def _twice(where: str, noun: str, names: Iterable[str]) -> list[dict[str, str]]:
    seen: set[str] = set()
    found = []
    for name in names:
        if name in seen:
            found.append(_problem(where, f"There are two {noun}s of the name {name!r}."))
        seen.add(name)
    return found


def _default_problems(parameter: Parameter) -> list[dict[str, str]]:
    try:
        coerced(parameter.kind, parameter.default)
    except ValueError:
        message = _misfit("The default of parameter", parameter, parameter.default)
        return [_problem(f"parameters[{parameter.name}].default", message)]
    return []


def _misfit(subject: str, parameter: Parameter, value: Any) -> str:
    return f"{subject} {parameter.name!r} does not fit its type {parameter.kind}: {value!r}."


def _step_problems(graph: Graph, step: Step) -> list[dict[str, str]]:
    where = f"steps[{step.name}]"
    found = _twice(f"{where}.inputs", "input", (i.name for i in step.inputs))
    found += _twice(f"{where}.outputs", "output", (o.name for o in step.outputs))
    if not step.script:
        found.append(_problem(f"{where}.script", f"Step {step.name!r} names no script."))
    for other in step.run_after:
        if other not in graph.by_id:
            message = f"Step {step.name!r} runs after an unknown step {other!r}."
            found.append(_problem(f"{where}.run_after", message))
    for item in step.inputs:
        message = _input_problem(graph, step, item)
        if message:
            found.append(_problem(f"{where}.inputs[{item.name}]", message))
    for word in step.arguments:
        message = _word_problem(graph, step, word)
        if message:
            found.append(_problem(f"{where}.arguments", message))
    return found + _limit_problems(step, where)


_SECONDS_END = 1e9  # thirty years; what goes beyond, no calendar can hold


def _limit_problems(step: Step, where: str) -> list[dict[str, str]]:
    timeout = step.timeout_seconds
    limits = {
        "retries": (step.retries >= 0, "0 or more"),
        "retry_delay_seconds": (0 <= step.retry_delay_seconds < _SECONDS_END, "0 or more"),
        "timeout_seconds": (timeout is None or 0 < timeout < _SECONDS_END, "more than 0"),
    }
    return [
        _problem(
            f"{where}.{name}",
            f"Step {step.name!r}: {name} = {getattr(step, name)}, expected a number, {expected}.",
        )
        for name, (is_right, expected) in limits.items()
        if not is_right
    ]


def _word_problem(graph: Graph, step: Step, word: Argument) -> str:
    if word.kind is ArgumentKind.PARAMETER and word.value not in {p.name for p in graph.parameters}:
        return f"Step {step.name!r} uses {word.value!r}, which is no parameter of the pipeline."
    ports = {i.name for i in step.inputs} | {o.name for o in step.outputs}
    if word.kind in (ArgumentKind.INPUT, ArgumentKind.OUTPUT) and word.value not in ports:
        return (
            f"The arguments of step {step.name!r} name {word.value!r}, which is neither one of its "
            "inputs nor one of its outputs."
        )
    return ""


def _input_problem(graph: Graph, step: Step, item: Input) -> str:
    subject = f"Input {item.name!r} of step {step.name!r}"
    if item.source is SourceKind.STEP:
        producer = graph.by_id.get(item.step_id or "")
        if producer is None:
            return f"{subject} comes from an unknown step."
        if item.output not in {o.name for o in producer.outputs}:
            return f"{subject}: step {producer.name!r} has no output {item.output!r}."
    if item.source is SourceKind.PARAMETER:
        kinds = {p.name: p.kind for p in graph.parameters}
        if kinds.get(item.parameter or "") is not ParameterKind.DATA_PATH:
            return f"{subject} needs a data path parameter {item.parameter!r}."
    return ""


def _cycle(graph: Graph) -> list[dict[str, str]]:
    try:
        TopologicalSorter(graph.predecessors).prepare()
    except CycleError as error:
        names = " -> ".join(repr(graph.by_id[step_id].name) for step_id in reversed(error.args[1]))
        return [_problem("steps", f"The steps wait for each other in a circle: {names}.")]
    return []


# ---- parameters ----------------------------------------------------------------------------------


def resolve_parameters(graph: Graph, assignments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value of every parameter: the assigned one, else its default.

    Scalars may come as text, as they did over the old REST interface ("5" for an integer), and a
    boolean and 0/1 may stand for each other; whatever does not fit is refused.

    Args:
        graph: the pipeline.
        assignments: parameter name to value.

    Raises:
        InvalidParameters: unknown names and values of a wrong type, all of them in `errors`.
    """
    known = {parameter.name: parameter for parameter in graph.parameters}
    found = []
    values = {parameter.name: parameter.default for parameter in graph.parameters}
    for name, value in assignments.items():
        if name not in known:
            names = ", ".join(sorted(known)) or "none"
            message = f"The pipeline has no parameter {name!r} (it has: {names})."
            found.append(_problem(f"parameters.{name}", message))
            continue
        try:
            values[name] = coerced(known[name].kind, value)
        except ValueError:
            message = _misfit("The value of parameter", known[name], value)
            found.append(_problem(f"parameters.{name}", message))
    if found:
        raise InvalidParameters(" ".join(p["message"] for p in found), errors=found)
    return values


def coerced(kind: ParameterKind, value: Any) -> Any:
    """Return `value` as `kind`; raise ValueError if it is something else."""
    match kind:
        case ParameterKind.STRING:
            if isinstance(value, str):
                return value
            if isinstance(value, (bool, int, float)):
                return str(value)
        case ParameterKind.INTEGER:
            if isinstance(value, (bool, int)):
                return int(value)
            if isinstance(value, float) and value.is_integer():
                return int(value)
            if isinstance(value, str):
                return int(_BOOLEAN_TEXT.get(value.lower(), value))
        case ParameterKind.FLOAT:
            if isinstance(value, (bool, int, float, str)):
                return _float(value)
        case ParameterKind.BOOLEAN:
            return _boolean(value)
        case _:  # DATA_PATH
            return _data_path(value)
    raise ValueError(value)


_BOOLEAN_TEXT = {"true": "1", "false": "0"}


def _float(value: bool | int | float | str) -> float:
    try:
        number = float(value)
    except OverflowError:
        raise ValueError(value) from None
    if not isfinite(number):  # JSON has no word for it
        raise ValueError(value)
    return number


def _boolean(value: Any) -> bool:
    if isinstance(value, str):
        value = {"true": 1, "1": 1, "false": 0, "0": 0}.get(value.lower(), value)
    if isinstance(value, (bool, int)) and value in (0, 1):
        return bool(value)
    raise ValueError(value)


def _data_path(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not isinstance(value.get("datastore"), str):
        raise ValueError(value)
    path = value.get("path")
    if path is not None and not isinstance(path, str):
        raise ValueError(value)
    return {"datastore": value["datastore"], "path": path}


def as_word(value: Any) -> str:
    """Return a parameter's value as the script sees it on its command line."""
    return value if isinstance(value, str) else str(value)


# ---- which steps may start -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Advance:
    """What must happen to a run next; all fields empty when it just has to wait."""

    queue: tuple[str, ...] = ()  # steps that are ready to start
    bypass: tuple[str, ...] = ()  # steps that can never start
    cancel: tuple[str, ...] = ()  # steps to be cancelled, running ones included
    end: str | None = None  # the run's last event: "succeed", "fail" or "cancel"


def advance(
    graph: Graph,
    states: Mapping[str, StepState],
    *,
    continue_on_step_failure: bool,
    is_canceling: bool,
) -> Advance:
    """Decide what must happen next to a run whose steps are in `states`.

    A failed step stops the pipeline: whatever has not ended is cancelled, running steps too. With
    `continue_on_step_failure` the independent branches go on, and what depends on the failed step
    is bypassed; the pipeline still ends as failed. A cancellation cancels whatever has not ended.

    Args:
        graph: the pipeline.
        states: the state of every step by its id.
        continue_on_step_failure: whether other branches go on after a failure.
        is_canceling: whether somebody asked for the run to be cancelled.
    """
    open_steps = tuple(step.id for step in graph.steps if states[step.id] not in STEP_ENDS)
    if not open_steps:
        return Advance(end=_end(states, is_canceling=is_canceling))
    if is_stopping(
        states, continue_on_step_failure=continue_on_step_failure, is_canceling=is_canceling
    ):
        return Advance(cancel=open_steps)
    waiting = [step_id for step_id in open_steps if states[step_id] is StepState.NOT_STARTED]
    bypass = tuple(s for s in waiting if _is_cut_off(graph, states, s))
    ready = tuple(s for s in waiting if _is_ready(graph, states, s))
    return Advance(queue=ready, bypass=bypass)


def is_stopping(
    states: Mapping[str, StepState], *, continue_on_step_failure: bool, is_canceling: bool
) -> bool:
    """Say whether a run in these states is being brought to its end, so that running steps must
    stop."""
    has_failed = StepState.FAILED in states.values()
    return is_canceling or (has_failed and not continue_on_step_failure)


def _end(states: Mapping[str, StepState], *, is_canceling: bool) -> str:
    if is_canceling and StepState.CANCELED in states.values():
        return "cancel"
    return "fail" if StepState.FAILED in states.values() else "succeed"


def _is_ready(graph: Graph, states: Mapping[str, StepState], step_id: str) -> bool:
    return all(states[p] is StepState.FINISHED for p in graph.predecessors[step_id])


def _is_cut_off(graph: Graph, states: Mapping[str, StepState], step_id: str) -> bool:
    return any(
        states[p] in STEP_ENDS and states[p] is not StepState.FINISHED
        for p in graph.predecessors[step_id]
    )
