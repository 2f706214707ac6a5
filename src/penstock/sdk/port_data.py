"""Where a finished step's outputs lie, and how to fetch them."""

from __future__ import annotations

from typing import Any

import penstock
from penstock.errors import NotFound
from penstock.sdk.data import DataReference
from penstock.sdk.datastore import Datastore
from penstock.sdk.ports import Readable
from penstock.wire import OutputDocument


class PortDataReference(Readable):
    """The place on a datastore where an output of a step run lies."""

    def __init__(
        self,
        context: penstock.Workspace,
        pipeline_run_id: str,
        data_reference: DataReference,
        step_run: penstock.StepRun | None = None,
    ) -> None:
        """Refer to an output; get one from a step run or a pipeline run."""
        self._workspace = context
        self.pipeline_run_id = pipeline_run_id
        self._data_reference = data_reference
        self._step_run = step_run

    def __repr__(self) -> str:
        return (
            f"PortDataReference(name={self.name!r}, datastore_name={self.datastore_name!r}, "
            f"path_on_datastore={self.path_on_datastore!r})"
        )

    @property
    def name(self) -> str:
        """The name of the output."""
        return self._data_reference.data_reference_name

    @property
    def data_reference_name(self) -> str:
        """The name of the output."""
        return self.name

    @property
    def datastore_name(self) -> str:
        """The datastore's name."""
        return self._data_reference.datastore_name

    @property
    def datastore(self) -> Datastore:
        """The datastore."""
        return Datastore(self._workspace, self.datastore_name)

    @property
    def path_on_datastore(self) -> str:
        """The file or folder on the datastore."""
        return self._data_reference.path_on_datastore or ""

    def download(
        self,
        local_path: str,
        overwrite: bool | None = None,
        show_progress: bool | None = None,
    ) -> int:
        """Write the output below a local folder, under its path on the datastore.

        Args:
            local_path: the folder.
            overwrite: replace local files; otherwise they stay as they are.
            show_progress: print a line for each file (None: yes).

        Returns:
            How many files were written.

        Raises:
            NotFound: the step has written nothing there.
        """
        count = self.datastore.download(
            local_path, self.path_on_datastore, bool(overwrite), show_progress is not False
        )
        if count == 0 and not any(self.datastore._paths(self.path_on_datastore)):
            raise NotFound(
                f"The output {self.name!r} is empty: nothing is at {self.path_on_datastore!r} on "
                f"datastore {self.datastore_name!r}. The step that writes it makes the folder "
                "itself.",
                kind="output",
                id=self.name,
            )
        return count


class StepRunOutput:
    """An output of a step run."""

    def __init__(
        self,
        context: penstock.Workspace,
        pipeline_run_id: str,
        step_run: penstock.StepRun,
        name: str,
        step_output: Any,
    ) -> None:
        """Refer to an output; get one from a step run."""
        self.context = context
        self.pipeline_run_id = pipeline_run_id
        self.step_run = step_run
        self.name = name
        self.step_output: OutputDocument = step_output

    def __repr__(self) -> str:
        return f"StepRunOutput(name={self.name!r})"

    def get_port_data_reference(self) -> PortDataReference:
        """Return where the output lies."""
        place = DataReference(self.step_output.datastore, self.name, self.step_output.path)
        return PortDataReference(self.context, self.pipeline_run_id, place, self.step_run)
