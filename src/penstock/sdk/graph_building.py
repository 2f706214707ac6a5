"""From steps as people write them to the graph that runs: closure, ids, parameters."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from penstock.core.pipeline import Graph
from penstock.errors import Invalid, InvalidPipeline
from penstock.sdk.parameters import collected
from penstock.sdk.steps import PipelineStep, Surroundings, flattened


def ordered_steps(steps: Any, *, resolve_closure: bool) -> list[PipelineStep]:
    """Return the steps of a pipeline, each once, those that come first before those that follow.

    The order depends on nothing but the steps as given, so that the same pipeline, built again, is
    the same graph.

    Args:
        steps: a step, a StepSequence, or nested lists of them.
        resolve_closure: add the steps that the given ones depend on.

    Raises:
        Invalid: no steps, or something that is not a step.
        InvalidPipeline: an input is the output of no step, or data the output of two.
    """
    given = flattened(steps)
    if not given:
        raise Invalid("A pipeline needs at least one step.", field="steps")
    found = _with_predecessors(given, None if resolve_closure else frozenset(given))
    _check_one_writer_each(found)
    return found


def _with_predecessors(
    given: Sequence[PipelineStep], allowed: frozenset[PipelineStep] | None
) -> list[PipelineStep]:
    """Return the steps, each after those that it depends on (as far as no circle forbids it).

    Depth first, with a stack of its own: a chain may be longer than Python's.
    """
    found: list[PipelineStep] = []
    seen: set[PipelineStep] = set()
    stack = [(step, False) for step in reversed(given)]
    while stack:
        step, is_ready = stack.pop()
        if is_ready:
            found.append(step)
        elif step not in seen:
            seen.add(step)
            stack.append((step, True))
            before = [*step.producers, *step.run_after_steps]
            stack += [(b, False) for b in reversed(before) if allowed is None or b in allowed]
    return found


def _check_one_writer_each(steps: Sequence[PipelineStep]) -> None:
    """Refuse data that two steps of the pipeline write."""
    writers: dict[int, PipelineStep] = {}
    for step in steps:
        for output in step.outputs:
            other = writers.setdefault(id(output), step)
            if other is not step:
                raise InvalidPipeline(
                    f"{output!r} is the output of two steps, {other.name!r} and {step.name!r}. "
                    "Make a PipelineData for each step that writes.",
                    field=f"steps[{step.name}].outputs",
                )


def step_ids(steps: Sequence[PipelineStep]) -> dict[PipelineStep, str]:
    """Return an id for each step: its name as one word, numbered where a name comes again."""
    ids: dict[PipelineStep, str] = {}
    taken: set[str] = set()
    for step in steps:
        word = re.sub(r"[^A-Za-z0-9_.]+", "-", step.name).strip("-.") or "step"
        number, candidate = 1, word
        while candidate in taken:
            number += 1
            candidate = f"{word}-{number}"
        taken.add(candidate)
        ids[step] = candidate
    return ids


def source_directories(
    steps: Sequence[PipelineStep], default_source_directory: Path | None
) -> dict[PipelineStep, Path]:
    """Return the source directory of each step that has one; raise Invalid for absent files."""
    directories = {step: step.check_files(default_source_directory) for step in steps}
    return {step: path for step, path in directories.items() if path is not None}


def graph_of(
    steps: Sequence[PipelineStep],
    *,
    snapshot_ids: Mapping[PipelineStep, str],
    compute: Callable[[str], str],
    default_datastore: str | None,
) -> Graph:
    """Return the graph of steps in order.

    Raises:
        InvalidPipeline: a step depends on one that is not among them, or two parameters of one name
            have different defaults.
    """
    around = Surroundings(
        ids=step_ids(steps),
        snapshot_ids=snapshot_ids,
        compute=compute,
        default_datastore=default_datastore,
    )
    return Graph(
        steps=tuple(step.node(around) for step in steps),
        parameters=collected(parameter for step in steps for parameter in step.parameters),
    )
