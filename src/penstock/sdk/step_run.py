"""Step runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import penstock
from penstock.core.states import STEP_ENDS
from penstock.errors import NotFound
from penstock.sdk.client import Patience
from penstock.sdk.exceptions import ExperimentExecutionException
from penstock.sdk.port_data import PortDataReference, StepRunOutput
from penstock.sdk.run import Document, Run
from penstock.sdk.run_files import STANDARD_LOG
from penstock.sdk.watching import LogTail
from penstock.wire import OutputDocument, StepRunDocument


class StepRun(Run):
    """One step of a pipeline run, over all its attempts."""

    _collection = "step-runs"
    _type = "azureml.StepRun"

    def __init__(
        self,
        experiment: penstock.Experiment,
        step_run_id: str,
        pipeline_run_id: str,
        node_id: str,
        **kwargs: Any,
    ) -> None:
        """Refer to a step run by its id; the server is asked when something is wanted of it."""
        super().__init__(experiment, step_run_id)
        self._pipeline_run_id = pipeline_run_id
        self._node_id = node_id
        self._name: str | None = None

    @classmethod
    def _of_run(cls, experiment: penstock.Experiment, document: StepRunDocument) -> StepRun:
        step = cls(experiment, document.id, document.run_id, document.step_id)
        step._name = document.name
        return step

    @classmethod
    def _of(cls, workspace: penstock.Workspace, document: StepRunDocument) -> StepRun:
        run = penstock.PipelineRun.get(workspace, document.run_id)
        return cls._of_run(run.experiment, document)

    def _read(self) -> StepRunDocument:
        document = self._workspace.client.read(StepRunDocument, self._route())
        self._name = document.name
        self._pipeline_run_id = document.run_id
        return document

    # ---- what it is ------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The step's name."""
        return self._name if self._name is not None else self._read().name

    @property
    def pipeline_run_id(self) -> str:
        """The id of the pipeline run."""
        return self._pipeline_run_id or self._read().run_id

    @property
    def parent(self) -> penstock.PipelineRun:
        """The pipeline run."""
        return penstock.PipelineRun(self._experiment, self.pipeline_run_id)

    @property
    def attempt(self) -> int:
        """The number of the newest attempt; 0 before the first."""
        return self._read().attempt

    def get_status(self) -> str:
        """Return the state: `Queued`, `Running`, `Finished`, `Failed`, `Canceled`, …"""
        return self._read().state.value

    def _details(self, document: Document) -> dict[str, Any]:
        details = super()._details(document)
        assert isinstance(document, StepRunDocument)
        details["exitCode"] = document.exit_code
        details["attempt"] = document.attempt
        return details

    @property
    def _folder_name(self) -> str:
        return Path(self.name.replace("/", "_")).name or self._id

    # ---- logs ------------------------------------------------------------------------------------

    def get_job_log(self) -> str:
        """Return what the newest attempt has printed."""
        return self.get_stdout_log()

    def get_stdout_log(self) -> str:
        """Return what the newest attempt has printed; errors are in it in their place."""
        try:
            return self._files.text(STANDARD_LOG)
        except NotFound:
            return ""

    def get_stderr_log(self) -> str:
        """Return what `get_stdout_log` does: both go to one file, in the order of printing."""
        return self.get_stdout_log()

    # ---- outputs ---------------------------------------------------------------------------------

    def get_outputs(self) -> dict[str, StepRunOutput]:
        """Return the outputs by name."""
        documents = self._workspace.client.read_list(OutputDocument, self._route("outputs"))
        return {
            document.name: StepRunOutput(
                self._workspace, self.pipeline_run_id, self, document.name, document
            )
            for document in documents
        }

    def get_output(self, name: str) -> StepRunOutput:
        """Return an output by name; raise NotFound if the step has none of that name."""
        outputs = self.get_outputs()
        if name not in outputs:
            known = ", ".join(sorted(outputs)) or "none"
            raise NotFound(
                f"The step run {self.name!r} has no output {name!r} (it has: {known}).",
                kind="output",
                id=name,
            )
        return outputs[name]

    def get_output_data(self, name: str) -> PortDataReference:
        """Return where an output lies; raise NotFound if the step has none of that name."""
        return self.get_output(name).get_port_data_reference()

    # ---- ending ----------------------------------------------------------------------------------

    def complete(self) -> None:
        """Inside the step, send what was logged. Elsewhere raise NotImplementedError."""
        if not self._is_own:
            raise NotImplementedError("A step run ends with its process.")
        super().complete()

    def fail(self, error_details: Any = None, error_code: Any = None) -> None:
        """Inside the step, print the error; the exit code decides. Elsewhere raise."""
        if not self._is_own:
            raise NotImplementedError("A step run ends with its process.")
        super().fail(error_details, error_code)

    def child_run(self, name: Any = None, run_id: Any = None, outputs: Any = None) -> Run:
        """Raise NotImplementedError: a step run has no children."""
        raise NotImplementedError("A step run has no children; submit a pipeline instead.")

    def wait_for_completion(
        self,
        show_output: bool = True,
        timeout_seconds: float = sys.maxsize,
        raise_on_error: bool = True,
    ) -> str:
        """Wait until the step has ended, and return its status as `get_status` does.

        Args:
            show_output: print what the step prints.
            timeout_seconds: how long to wait.
            raise_on_error: raise when the step has failed.

        Raises:
            ActivityFailedException: the step has failed.
            ExperimentExecutionException: it was interrupted from the keyboard; the step goes on.
        """
        if show_output:
            print(f"StepRunId: {self._id}")
            print(f"Link to the step run: {self.get_portal_url()}")
        try:
            document = self._watched(Patience(timeout_seconds), show_output)
        except KeyboardInterrupt:
            raise interrupted(self._id) from None
        if show_output:
            print(f"\nStepRun({document.name}) Execution Summary\n==============================")
            print(f"StepRun( {document.name} ) Status: {document.state}")
        if raise_on_error and document.state == "Failed":
            raise self._failure(document)
        return document.state.value

    def _watched(self, patience: Patience, show_output: bool) -> StepRunDocument:
        tail = LogTail(self._workspace.client, self._route("log"), print)
        while True:
            document = self._read()
            has_news = False
            if show_output and document.attempt:
                tail.turn_to(document.attempt)
                has_news = tail.read()
            if (document.state in STEP_ENDS and not has_news) or patience.is_over:
                return document
            patience.wait()


def interrupted(run_id: str) -> ExperimentExecutionException:
    """Return the error for watching that was interrupted from the keyboard."""
    return ExperimentExecutionException(
        f"Watching the run {run_id} was interrupted. The run goes on; cancel() stops it."
    )
