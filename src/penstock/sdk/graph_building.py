"""From steps as people write them to the graph that runs: closure, ids, parameters."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from penstock.core.pipeline import Graph
from penstock.errors import Invalid
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
        InvalidPipeline: an input is the output of no step.
    """
    given = flattened(steps)
    if not given:
        raise Invalid("A pipeline needs at least one step.", field="steps")
    found: dict[PipelineStep, None] = {}
    for step in given:
        _visit(step, found, set(), None if resolve_closure else frozenset(given))
    return list(found)


def _visit(
    step: PipelineStep,
    found: dict[PipelineStep, None],
    open_steps: set[PipelineStep],
    allowed: frozenset[PipelineStep] | None,
) -> None:
    """Add a step after those that it depends on; steps that wait in a circle are added as met."""
    if step in found or step in open_steps or (allowed is not None and step not in allowed):
        return
    open_steps.add(step)
    for before in (*step.producers, *step.run_after_steps):
        _visit(before, found, open_steps, allowed)
    found[step] = None


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
