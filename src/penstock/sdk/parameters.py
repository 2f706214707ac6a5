"""Pipeline parameters: named inputs of a pipeline with a default."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from penstock.core.pipeline import Parameter, ParameterKind
from penstock.errors import Invalid, InvalidParameters, InvalidPipeline
from penstock.sdk.data import DataPath

# In this order: True is an int to Python.
_KINDS: tuple[tuple[type, ParameterKind], ...] = (
    (bool, ParameterKind.BOOLEAN),
    (int, ParameterKind.INTEGER),
    (float, ParameterKind.FLOAT),
    (str, ParameterKind.STRING),
    (DataPath, ParameterKind.DATA_PATH),
)
_EXACT = tuple(known for known, _ in _KINDS)
# What may be assigned to a parameter of each kind in a submission.
_FITTING: Mapping[ParameterKind, tuple[type, ...]] = {
    ParameterKind.BOOLEAN: (int,),
    ParameterKind.INTEGER: (int,),
    ParameterKind.FLOAT: (int, float),
    ParameterKind.STRING: (str,),
    ParameterKind.DATA_PATH: (DataPath,),
}


def kind_of(value: Any) -> ParameterKind | None:
    """Return the kind of parameter whose value this can be; None if there is none."""
    return next((kind for known, kind in _KINDS if isinstance(value, known)), None)


class PipelineParameter:
    """A named input of a pipeline; its default shows its type.

    It stands in a step's `arguments`; one with a DataPath as default stands together with a
    DataPathComputeBinding in `inputs` and `arguments`.
    """

    def __init__(self, name: str, default_value: Any) -> None:
        """Name a parameter.

        Args:
            name: unique in the pipeline.
            default_value: an int, float, bool, str or DataPath.

        Raises:
            Invalid: no name, or a default of another type.
        """
        if not isinstance(name, str) or not name:
            raise Invalid(field="name", value=name, expected="the parameter's name")
        if kind_of(default_value) is None:
            raise Invalid(
                field="default_value",
                value=default_value,
                expected="an int, float, bool, str or DataPath",
                hint=f"The default decides the type of the parameter {name!r}.",
            )
        self.name = name
        self.default_value = default_value

    @property
    def kind(self) -> ParameterKind:
        """What it holds."""
        kind = kind_of(self.default_value)
        assert kind is not None, "checked at birth"
        return kind

    def __str__(self) -> str:
        return f"PipelineParameter_Name:{self.name}_Default:{self.default_value}"

    def __repr__(self) -> str:
        return f"PipelineParameter(name={self.name!r}, default_value={self.default_value!r})"

    def to_parameter(self) -> Parameter:
        """Return the parameter as it stands in the graph."""
        return Parameter(name=self.name, kind=self.kind, default=to_value(self.default_value))


def to_value(value: Any) -> Any:
    """Return a parameter's value as it goes over the wire."""
    return value.to_value() if isinstance(value, DataPath) else value


def collected(parameters: Iterable[PipelineParameter]) -> tuple[Parameter, ...]:
    """Return the parameters of a pipeline, each once, in the order in which they first occur.

    Raises:
        InvalidPipeline: two parameters have one name and different defaults.
    """
    found: dict[str, PipelineParameter] = {}
    for parameter in parameters:
        other = found.setdefault(parameter.name, parameter)
        if parameter.to_parameter() != other.to_parameter():
            raise InvalidPipeline(
                f"There are two parameters of the name {parameter.name!r} with different defaults: "
                f"{other.default_value!r} and {parameter.default_value!r}. Use one "
                "PipelineParameter object wherever the parameter is meant.",
                field="parameters",
            )
    return tuple(parameter.to_parameter() for parameter in found.values())


def checked_assignments(
    parameters: Iterable[Parameter], assignments: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the values of a submission as they go over the wire.

    Raises:
        InvalidParameters: unknown names and values of another type than the default's, all at once.
    """
    known = {parameter.name: parameter for parameter in parameters}
    errors = []
    for name, value in (assignments or {}).items():
        if name not in known:
            names = ", ".join(sorted(known)) or "none"
            message = f"The pipeline has no parameter {name!r} (it has: {names})."
            errors.append({"field": f"pipeline_parameters.{name}", "message": message})
        elif not isinstance(value, _FITTING[known[name].kind]):
            message = (
                f"Parameter {name!r} is of the type {known[name].kind}: "
                f"{value!r} of the type {type(value).__name__} does not fit."
            )
            errors.append({"field": f"pipeline_parameters.{name}", "message": message})
    if errors:
        raise InvalidParameters(" ".join(error["message"] for error in errors), errors=errors)
    return wire_assignments(assignments)


def wire_assignments(assignments: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return assignments as they go over the wire, refusing what cannot be a parameter's value.

    Raises:
        InvalidParameters: a value is of a type that no parameter has.
    """
    if assignments is not None and not isinstance(assignments, Mapping):
        raise InvalidParameters(
            field="pipeline_parameters",
            value=assignments,
            expected="a dictionary of names to values",
        )
    for name, value in (assignments or {}).items():
        if type(value) not in _EXACT:  # subclasses (numpy's floats) are somebody else's types
            raise InvalidParameters(
                f"pipeline_parameters[{name!r}] = {value!r} is of the type {type(value).__name__}: "
                "expected str, int, float, bool or DataPath.",
                field=f"pipeline_parameters.{name}",
            )
    return {name: to_value(value) for name, value in (assignments or {}).items()}
