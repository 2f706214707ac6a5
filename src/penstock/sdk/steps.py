"""Steps: the nodes of a pipeline, their order, and what each kind of step has in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Number
from pathlib import Path
from typing import Any

from penstock.core.pipeline import Argument, ArgumentKind, Input, Output, SourceKind, Step
from penstock.errors import Invalid, InvalidPipeline
from penstock.sdk.data import DataPath, DataReference
from penstock.sdk.parameters import PipelineParameter
from penstock.sdk.ports import (
    InputPortBinding,
    OutputPortBinding,
    bound_data,
    input_binding,
    is_data_path_pair,
)


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a step has to know of its pipeline to become a node of the graph."""

    ids: Mapping[PipelineStep, str]  # of every step of the pipeline
    snapshot_ids: Mapping[PipelineStep, str]  # absent while nothing is uploaded
    compute: Callable[[str], str]  # from the name that was asked for to a registered one
    default_datastore: str | None


class PipelineStep:
    """A node of a pipeline: reads inputs, writes outputs, runs after other steps.

    This class is what all kinds of steps have in common; make one of those.
    """

    step_type = "PipelineStep"

    def __init__(
        self,
        name: str,
        inputs: Sequence[Any] | None,
        outputs: Sequence[Any] | None,
        arguments: Sequence[Any] | None = None,
        fix_port_name_collisions: bool = False,
        resource_inputs: Sequence[Any] | None = None,
    ) -> None:
        """Check and keep what all steps have.

        Args:
            name: what people call the step; several steps may have the same name.
            inputs: data that the step reads.
            outputs: data that the step writes.
            arguments: the words of the command line; data among them must be an input or output,
                and the script gets its local path.
            fix_port_name_collisions: an input of an output's name is called INPUT_<name> instead
                of being refused.
            resource_inputs: further inputs.

        Raises:
            Invalid: a wrong type, one name for two ports, data among the arguments that is neither
                input nor output.
        """
        if not isinstance(name, str) or not name:
            raise Invalid(field="name", value=name, expected="the step's name")
        self.name = name
        self.outputs = [_checked_output(name, item) for item in _listed(name, "outputs", outputs)]
        items = [*_listed(name, "inputs", inputs), *(resource_inputs or [])]
        bindings = [input_binding(name, item) for item in items]
        self.inputs = _without_collisions(name, bindings, self.outputs, fix_port_name_collisions)
        words = _listed(name, "arguments", arguments)
        self.arguments = tuple(self._argument(at, word) for at, word in enumerate(words))
        _check_pairs(name, items, words)
        self.parameters = [*_parameters(words), *_parameters(items)]
        self.run_after_steps: list[PipelineStep] = []
        for output in self.outputs:
            output.producer = self  # a cell of a notebook that is run again makes the step anew

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r})"

    def run_after(self, step: PipelineStep | StepSequence | Sequence[Any]) -> None:
        """Let this step start only when `step` (or every one of several) has ended well."""
        for other in flattened(step):
            if other not in self.run_after_steps:
                self.run_after_steps.append(other)

    @property
    def producers(self) -> list[PipelineStep]:
        """The steps that write this step's inputs.

        Raises:
            InvalidPipeline: an input is intermediate data that no step writes.
        """
        found = []
        for binding in self.inputs:
            data = binding.bind_object
            if isinstance(data, OutputPortBinding):
                if data.producer is None:
                    raise InvalidPipeline(
                        f"Input {binding.name!r} of step {self.name!r} is the output of no step. "
                        "Put the PipelineData into the `outputs` of the step that writes it.",
                        field=f"steps[{self.name}].inputs[{binding.name}]",
                    )
                found.append(data.producer)
        return found

    def check_files(self, default_source_directory: Path | None) -> Path | None:
        """Return the directory with the step's files, or None if it has none.

        Raises:
            Invalid: files of the step are not there.
        """
        return None

    def node(self, around: Surroundings) -> Step:
        """Return the step as it stands in the graph."""
        raise InvalidPipeline(
            f"{self!r} cannot run: make a step of a kind such as PythonScriptStep.",
            field=f"steps[{self.name}]",
        )

    # ---- for the kinds of steps ------------------------------------------------------------------

    def node_inputs(self, around: Surroundings) -> tuple[Input, ...]:
        """Return the inputs as they stand in the graph."""
        return tuple(_input(binding, around) for binding in self.inputs)

    def node_outputs(self, around: Surroundings) -> tuple[Output, ...]:
        """Return the outputs as they stand in the graph."""
        return tuple(output.to_output(around.default_datastore) for output in self.outputs)

    def node_run_after(self, around: Surroundings) -> tuple[str, ...]:
        """Return the ids of the steps that come first."""
        return tuple(_id_of(around, self.name, other) for other in self.run_after_steps)

    def _argument(self, at: int, word: Any) -> Argument:
        """Return a word of the command line as it stands in the graph."""
        if isinstance(word, PipelineParameter) and not isinstance(word.default_value, DataPath):
            return Argument(kind=ArgumentKind.PARAMETER, value=word.name)
        if isinstance(word, (str, Number, Path)):
            return Argument(kind=ArgumentKind.LITERAL, value=str(word))
        for binding in self.inputs:
            if word is binding or bound_data(word) is binding.bind_object:
                return Argument(kind=ArgumentKind.INPUT, value=binding.name)
        for output in self.outputs:
            if word is output:
                return Argument(kind=ArgumentKind.OUTPUT, value=output.output_name)
        name = _data_name(word)
        if name is not None and name in {binding.name for binding in self.inputs}:
            return Argument(kind=ArgumentKind.INPUT, value=name)
        raise self._bad_argument(at, word)

    def _bad_argument(self, at: int, word: Any) -> Invalid:
        where = f"arguments[{at}]"
        if _is_data(word):
            return Invalid(
                f"{where} of step {self.name!r} is {word!r}, which is neither among its inputs nor "
                "among its outputs. Add it to one of them.",
                field=where,
            )
        hint = None
        if isinstance(word, PipelineParameter):
            hint = "Give the pair (PipelineParameter(name, DataPath), DataPathComputeBinding())."
        return Invalid(
            f"{where} of step {self.name!r} = {word!r} is not valid: expected text, a number, a "
            "PipelineParameter, or an input or output of the step.",
            field=where,
            hint=hint,
        )


class StepSequence:
    """Steps that run one after the other; a list among them runs in parallel."""

    def __init__(self, steps: Sequence[Any] | None = None) -> None:
        """Keep the steps; each runs after the one before it, once they are in a pipeline."""
        self._steps = list(steps or [])

    def __iter__(self) -> Iterator[Any]:
        return iter(self._steps)

    def __len__(self) -> int:
        return len(self._steps)

    def link(self) -> None:
        """Let each step run after the one before it."""
        for before, after in zip(self._steps, self._steps[1:], strict=False):
            for step in flattened(after):
                step.run_after(before)


def flattened(steps: Any) -> list[PipelineStep]:
    """Return the steps in nested lists and sequences, in order; sequences are linked.

    Raises:
        Invalid: something among them is not a step.
    """
    if isinstance(steps, PipelineStep):
        return [steps]
    if isinstance(steps, StepSequence):
        steps.link()
    elif not isinstance(steps, (list, tuple)):
        raise Invalid(field="steps", value=steps, expected="steps, StepSequences, or lists of them")
    return [leaf for step in steps for leaf in flattened(step)]


# ---- checking ------------------------------------------------------------------------------------


def _listed(step: str, field: str, items: Sequence[Any] | None) -> list[Any]:
    if items is None:
        return []
    if isinstance(items, (list, tuple)) and not is_data_path_pair(items):
        return list(items)
    raise Invalid(field=f"{field} of step {step!r}", value=items, expected="a list")


def _checked_output(step: str, item: Any) -> OutputPortBinding:
    if isinstance(item, OutputPortBinding):
        return item
    raise Invalid(
        field=f"outputs of step {step!r}", value=item, expected="PipelineData or OutputPortBinding"
    )


def _without_collisions(
    step: str, inputs: list[InputPortBinding], outputs: list[OutputPortBinding], fix: bool
) -> list[InputPortBinding]:
    """Return the inputs, none with an output's name."""
    taken = {output.output_name for output in outputs}
    collisions = [binding.name for binding in inputs if binding.name in taken]
    if collisions and not fix:
        raise Invalid(
            field=f"inputs of step {step!r}",
            value=collisions[0],
            expected="a name that no output of the step has",
        )
    return [b.named(f"INPUT_{b.name}") if b.name in taken else b for b in inputs]


def _check_pairs(step: str, inputs: Iterable[Any], words: Iterable[Any]) -> None:
    """Refuse a data-path parameter among the inputs that is not also among the arguments."""
    mentioned = {id(bound_data(word)) for word in words}
    for item in inputs:
        if is_data_path_pair(item) and id(item[0]) not in mentioned:
            raise Invalid(
                f"The data path parameter {item[0].name!r} is among the inputs of step {step!r} "
                "but not among its arguments. Put the pair (PipelineParameter, "
                "DataPathComputeBinding) into both.",
                field="arguments",
            )


def _parameters(items: Iterable[Any]) -> Iterator[PipelineParameter]:
    for item in items:
        data = bound_data(item)
        if isinstance(data, PipelineParameter):
            yield data


def _is_data(word: Any) -> bool:
    return isinstance(word, (OutputPortBinding, InputPortBinding)) or _data_name(word) is not None


def _data_name(word: Any) -> str | None:
    """Return the name of data that may be mentioned by equal objects as well as by the same one."""
    if isinstance(word, DataReference):
        return word.data_reference_name
    if is_data_path_pair(word):
        return str(word[0].name)
    return None


# ---- into the graph ------------------------------------------------------------------------------


def _id_of(around: Surroundings, step: str, other: PipelineStep) -> str:
    if other not in around.ids:
        raise InvalidPipeline(
            f"Step {step!r} needs step {other.name!r}, which is not among the pipeline's steps. "
            "Add it, or leave out resolve_closure=False.",
            field=f"steps[{step}]",
        )
    return around.ids[other]


def _input(binding: InputPortBinding, around: Surroundings) -> Input:
    data = binding.bind_object
    how: dict[str, Any] = {
        "name": binding.name,
        "mode": binding.bind_mode,
        "path_on_compute": binding.path_on_compute,
        "overwrite": bool(binding.overwrite),
    }
    if isinstance(data, OutputPortBinding):
        producer = _id_of(around, binding.name, data.producer)
        return Input(source=SourceKind.STEP, step_id=producer, output=data.output_name, **how)
    if isinstance(data, PipelineParameter):
        return Input(source=SourceKind.PARAMETER, parameter=data.name, **how)
    return Input(
        source=SourceKind.DATASTORE,
        datastore=data.datastore_name,
        path=data.path_on_datastore,
        **how,
    )
