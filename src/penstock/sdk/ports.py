"""Inputs and outputs of steps: intermediate data, and bindings of data to a step's ports."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import penstock
from penstock.core.pipeline import Output
from penstock.errors import Invalid
from penstock.sdk.data import (
    VARIABLE_PREFIX,
    DataPath,
    DataPathComputeBinding,
    DataReference,
    checked_mode,
    checked_port_name,
    place_name,
)
from penstock.sdk.parameters import PipelineParameter


class OutputPortBinding:
    """An output of a step: a name, and where and how its data is kept."""

    def __init__(
        self,
        name: str,
        datastore: penstock.Datastore | None = None,
        output_name: str | None = None,
        bind_mode: str = "mount",
        path_on_compute: str | None = None,
        is_directory: bool | None = None,
        overwrite: bool | None = None,
        data_type: Any = None,
        pipeline_output_name: str | None = None,
        training_output: Any = None,
        dataset_registration: Any = None,
        dataset_output: Any = None,
    ) -> None:
        """Describe an output.

        Args:
            name: letters, digits and underscores.
            datastore: where it is kept; None: the pipeline's default datastore.
            output_name: the name of the port; `name` when None.
            bind_mode: mount (the script writes to the place itself) or upload (copied afterwards).
            path_on_compute: where the script writes in upload mode.
            is_directory: whether the output is a folder.
            overwrite: whether uploading replaces what is there.
            data_type: kept, not used.
            pipeline_output_name: the name under which the whole pipeline shows this output.
            training_output: kept, not used.
            dataset_registration: kept, not used.
            dataset_output: kept, not used.

        Raises:
            Invalid: a wrong name or mode.
        """
        self._name = checked_port_name("name", name)
        self._output_name = checked_port_name("output_name", output_name or name)
        self._datastore = datastore
        self._bind_mode = checked_mode("bind_mode", bind_mode)
        self._path_on_compute = path_on_compute
        self._is_directory = is_directory
        self._overwrite = overwrite
        self._data_type = data_type
        self._pipeline_output_name = pipeline_output_name
        self._training_output = training_output
        self.producer: Any = None  # the step that writes it, set when that step is made

    @property
    def name(self) -> str:
        """The name of the data."""
        return self._name

    @property
    def output_name(self) -> str:
        """The name of the port."""
        return self._output_name

    @property
    def bind_mode(self) -> str:
        """The mode: mount or upload."""
        return self._bind_mode

    @property
    def datastore(self) -> penstock.Datastore | None:
        """Where the data is kept; None: the pipeline's default datastore."""
        return self._datastore

    @property
    def path_on_compute(self) -> str | None:
        """Where the script writes in upload mode."""
        return self._path_on_compute

    @property
    def is_directory(self) -> bool | None:
        """Whether the output is a folder."""
        return self._is_directory

    @property
    def overwrite(self) -> bool | None:
        """Whether uploading replaces what is there."""
        return self._overwrite

    @property
    def data_type(self) -> Any:
        """The data type that was given."""
        return self._data_type

    @property
    def training_output(self) -> Any:
        """The training output that was given."""
        return self._training_output

    @property
    def pipeline_output_name(self) -> str | None:
        """The name under which the whole pipeline shows this output."""
        return self._pipeline_output_name

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self._name!r})"

    def __str__(self) -> str:
        return f"${self.get_env_variable_name()}"

    def get_env_variable_name(self) -> str:
        """Return the environment variable in which a step finds the data's local path."""
        return f"{VARIABLE_PREFIX}{self._output_name}"

    def to_output(self, default_datastore: str | None) -> Output:
        """Return the output as it stands in the graph."""
        return Output(
            name=self._output_name,
            datastore=place_name(self._datastore) or default_datastore,
            mode=self._bind_mode,
            is_directory=self._is_directory,
            overwrite=self._overwrite,
            path_on_compute=self._path_on_compute,
            pipeline_output_name=self._pipeline_output_name,
        )


class Readable(ABC):
    """Data that a step can read: how it becomes an input."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The name that its inputs have unless they are given another."""

    def as_download(
        self,
        input_name: str | None = None,
        path_on_compute: str | None = None,
        overwrite: bool | None = None,
    ) -> InputPortBinding:
        """Return this data as an input that is copied to the step before it starts."""
        return self.create_input_binding(input_name, "download", path_on_compute, overwrite)

    def as_mount(self, input_name: str | None = None) -> InputPortBinding:
        """Return this data as an input that is the place itself."""
        return self.create_input_binding(input_name, "mount")

    def as_input(self, input_name: str) -> InputPortBinding:
        """Return this data as an input of another name."""
        return self.create_input_binding(input_name)

    def create_input_binding(
        self,
        input_name: str | None = None,
        mode: str | None = None,
        path_on_compute: str | None = None,
        overwrite: bool | None = None,
    ) -> InputPortBinding:
        """Return this data as an input."""
        return InputPortBinding(
            input_name or self.name, self, mode or "mount", path_on_compute, overwrite
        )


class PipelineData(OutputPortBinding, Readable):
    """Intermediate data: an output of one step, and an input of others."""

    def __init__(
        self,
        name: str,
        datastore: penstock.Datastore | None = None,
        output_name: str | None = None,
        output_mode: str = "mount",
        output_path_on_compute: str | None = None,
        output_overwrite: bool | None = None,
        data_type: Any = None,
        is_directory: bool | None = None,
        pipeline_output_name: str | None = None,
        training_output: Any = None,
    ) -> None:
        """Describe intermediate data; the arguments mean what they mean for OutputPortBinding."""
        super().__init__(
            name,
            datastore,
            output_name,
            bind_mode=output_mode,
            path_on_compute=output_path_on_compute,
            is_directory=is_directory,
            overwrite=output_overwrite,
            data_type=data_type,
            pipeline_output_name=pipeline_output_name,
            training_output=training_output,
        )


class InputPortBinding:
    """An input of a step: a name, the data behind it, and how it is reached."""

    def __init__(
        self,
        name: str | None,
        bind_object: Any = None,
        bind_mode: str = "mount",
        path_on_compute: str | None = None,
        overwrite: bool | None = None,
        is_resource: bool = False,
        additional_transformations: Any = None,
        **kwargs: Any,
    ) -> None:
        """Bind data to an input.

        Args:
            name: letters, digits and underscores; the data's own name when None.
            bind_object: PipelineData, an OutputPortBinding, a DataReference, a PortDataReference,
                or a PipelineParameter that holds a DataPath.
            bind_mode: mount (the place itself, read-only by agreement) or download (a copy).
            path_on_compute: where a copy goes.
            overwrite: whether a copy replaces what is there.
            is_resource: kept, not used.
            additional_transformations: kept, not used.
            kwargs: taken, not used.

        Raises:
            Invalid: a wrong name or mode, or data of another type.
        """
        self._bind_object = _checked_bind_object(bind_object)
        self._name = checked_port_name("name", name or self.get_bind_object_name())
        self._bind_mode = checked_mode("bind_mode", bind_mode, is_input=True)
        self._path_on_compute = path_on_compute
        self._overwrite = overwrite
        self._is_resource = is_resource
        self._additional_transformations = additional_transformations

    @property
    def name(self) -> str:
        """The name of the input."""
        return self._name

    @property
    def bind_mode(self) -> str:
        """The mode: mount or download."""
        return self._bind_mode

    @property
    def bind_object(self) -> Any:
        """The data behind the input."""
        return self._bind_object

    @property
    def path_on_compute(self) -> str | None:
        """Where a copy goes."""
        return self._path_on_compute

    @property
    def overwrite(self) -> bool | None:
        """Whether a copy replaces what is there."""
        return self._overwrite

    @property
    def data_reference_name(self) -> str:
        """The name of the input, as its environment variable has it."""
        return self._name

    @property
    def additional_transformations(self) -> Any:
        """The transformations that were given."""
        return self._additional_transformations

    @property
    def is_resource(self) -> bool:
        """What was given."""
        return self._is_resource

    def __repr__(self) -> str:
        return f"InputPortBinding(name={self._name!r}, bind_object={self._bind_object!r})"

    def __str__(self) -> str:
        return f"${VARIABLE_PREFIX}{self._name}"

    def get_bind_object_name(self) -> str:
        """Return the name of the data behind the input."""
        data = self._bind_object
        return str(data.data_reference_name if isinstance(data, DataReference) else data.name)

    def named(self, name: str) -> InputPortBinding:
        """Return the same binding under another name."""
        return InputPortBinding(
            name, self._bind_object, self._bind_mode, self._path_on_compute, self._overwrite
        )


def _checked_bind_object(data: Any) -> Any:
    if isinstance(data, (OutputPortBinding, DataReference)) or _is_port_data(data):
        return data
    if isinstance(data, PipelineParameter) and isinstance(data.default_value, DataPath):
        return data
    raise Invalid(
        field="bind_object",
        value=data,
        expected="PipelineData, a DataReference, an OutputPortBinding, a PortDataReference, or a "
        "PipelineParameter that holds a DataPath",
    )


def _is_port_data(data: Any) -> bool:
    """True for a PortDataReference: where a finished step's output lies."""
    return hasattr(data, "path_on_datastore") and hasattr(data, "pipeline_run_id")


def input_binding(step: str, item: Any) -> InputPortBinding:
    """Return one entry of a step's `inputs` as a binding.

    Raises:
        Invalid: it is nothing that can be an input.
    """
    if isinstance(item, InputPortBinding):
        return item
    if isinstance(item, DataReference):
        return InputPortBinding(
            item.data_reference_name, item, item.mode, item.path_on_compute, item.overwrite
        )
    if isinstance(item, OutputPortBinding) or _is_port_data(item):
        return InputPortBinding(item.name, item)
    if is_data_path_pair(item):
        parameter, binding = item
        return InputPortBinding(
            parameter.name, parameter, binding.mode, binding.path_on_compute, binding.overwrite
        )
    hint = None
    if isinstance(item, PipelineParameter):
        hint = "Give the pair (PipelineParameter(name, DataPath), DataPathComputeBinding())."
    if isinstance(item, DataPath):
        hint = "Make it a DataReference with create_data_reference()."
    raise Invalid(
        field=f"inputs of step {step!r}",
        value=item,
        expected="PipelineData, an InputPortBinding, a DataReference, or a pair of a "
        "PipelineParameter with a DataPath and a DataPathComputeBinding",
        hint=hint,
    )


def is_data_path_pair(item: Any) -> bool:
    """True for (PipelineParameter with a DataPath, DataPathComputeBinding)."""
    return (
        isinstance(item, tuple)
        and len(item) == 2
        and isinstance(item[0], PipelineParameter)
        and isinstance(item[0].default_value, DataPath)
        and isinstance(item[1], DataPathComputeBinding)
    )


def bound_data(item: Any) -> Any:
    """Return what makes two mentions of data the same: the object behind bindings and pairs."""
    if isinstance(item, InputPortBinding):
        return item.bind_object
    return item[0] if is_data_path_pair(item) else item
