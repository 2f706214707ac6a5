"""Pipeline runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import penstock
from penstock.core.pipeline import Graph
from penstock.core.states import RunState
from penstock.errors import Invalid, NotFound, RunFailed
from penstock.sdk.exceptions import ActivityFailedException
from penstock.sdk.port_data import PortDataReference
from penstock.sdk.published import PublishedPipeline, checked_id
from penstock.sdk.run import Document, Run
from penstock.sdk.run_files import logs_folder
from penstock.sdk.run_filters import fits, has_tags
from penstock.sdk.step_run import StepRun, interrupted
from penstock.sdk.watching import RunWatch
from penstock.wire import (
    GRAPH,
    PublishedPipelineDocument,
    PublishRequest,
    RunDocument,
    StepRunDocument,
)

_LAST_LINES = 10  # of a failed step's log, in the error


class PipelineRun(Run):
    """One execution of a pipeline."""

    _collection = "runs"
    _type = "azureml.PipelineRun"

    def __init__(self, experiment: penstock.Experiment, run_id: str, **kwargs: Any) -> None:
        """Refer to a run by its id; the server is asked when something is wanted of it."""
        super().__init__(experiment, run_id, **kwargs)

    @classmethod
    def _of(cls, workspace: penstock.Workspace, document: RunDocument) -> PipelineRun:
        return cls(penstock.Experiment._known(workspace, document.experiment), document.id)

    @staticmethod
    def get(workspace: penstock.Workspace, run_id: str) -> PipelineRun:
        """Return a pipeline run by its id; raise NotFound if there is none."""
        path = workspace.route("runs", checked_id(run_id, "run_id"))
        return PipelineRun._of(workspace, workspace.client.read(RunDocument, path))

    @staticmethod
    def get_pipeline_runs(workspace: penstock.Workspace, pipeline_id: str) -> list[PipelineRun]:
        """Return the runs of a published pipeline, newest first."""
        documents = workspace.client.pages(
            RunDocument, workspace.route("runs"), pipeline_id=checked_id(pipeline_id, "pipeline_id")
        )
        return [PipelineRun._of(workspace, document) for document in documents]

    def _read(self) -> RunDocument:
        return self._workspace.client.read(RunDocument, self._route())

    # ---- what it is ------------------------------------------------------------------------------

    def get_status(self) -> str:
        """Return `NotStarted`, `Running`, `Finished`, `Failed` or `Canceled`."""
        return self._read().state.value

    @property
    def cause(self) -> str:
        """What started it, in a sentence."""
        return self._read().cause

    @property
    def schedule_id(self) -> str | None:
        """The schedule that started it."""
        return self._read().schedule_id

    @property
    def fire_time(self) -> datetime | None:
        """The time of the schedule that it stands for, UTC."""
        return self._read().fire_time

    @property
    def created_at(self) -> datetime:
        """When it was submitted, UTC."""
        return self._read().created_at

    @property
    def parameters(self) -> dict[str, Any]:
        """The value of every parameter of the pipeline."""
        return dict(self._read().parameters)

    @property
    def parent(self) -> Run | None:
        """The run to which this one belongs."""
        parent_run_id = self._read().parent_run_id
        return Run.get(self._workspace, parent_run_id) if parent_run_id else None

    def _details(self, document: Document) -> dict[str, Any]:
        details = super()._details(document)
        assert isinstance(document, RunDocument)
        details["submittedBy"] = document.created_by
        details["runSource"] = document.source
        details["cause"] = document.cause
        details["scheduleId"] = document.schedule_id
        return details

    def get_graph(self) -> Graph:
        """Return the steps and parameters that it executes."""
        return GRAPH.validate_json(
            self._workspace.client.request("GET", self._route("graph")).content
        )

    # ---- steps and outputs -----------------------------------------------------------------------

    def get_steps(self) -> Iterator[StepRun]:
        """Yield the step runs, the last started first; those that have not started come first."""
        for document in self._step_documents():
            yield StepRun._of_run(self._experiment, document)

    def get_children(
        self,
        recursive: bool = False,
        tags: Any = None,
        properties: Mapping[str, str] | None = None,
        type: str | None = None,
        status: str | None = None,
    ) -> Iterator[Run]:
        """Yield the step runs, then the pipeline runs that were submitted as this one's children.

        Args:
            recursive: the children of those, too.
            tags: a tag's name, a list of names, or a dictionary of names to values.
            properties: values that properties must have.
            type: `azureml.StepRun` or `azureml.PipelineRun`.
            status: a word of `Run.status`, e.g. `Completed`.
        """
        for step in self._step_documents():
            child = StepRun._of_run(self._experiment, step)
            if has_tags(step.tags, tags) and fits(child, step, type, properties, status):
                yield child
        path = self._workspace.route("runs")
        for document in self._workspace.client.pages(RunDocument, path, parent_run_id=self._id):
            run = PipelineRun._of(self._workspace, document)
            if has_tags(document.tags, tags) and fits(run, document, type, properties, status):
                yield run
            if recursive:
                yield from run.get_children(True, tags, properties, type, status)

    def _step_documents(self) -> list[StepRunDocument]:
        documents = self._workspace.client.read_list(StepRunDocument, self._route("steps"))
        last = datetime.max.replace(tzinfo=UTC)
        return sorted(documents, key=lambda d: d.started_at or last, reverse=True)

    def find_step_run(self, name: str) -> list[StepRun]:
        """Return the step runs of a name; [] when there is none (yet)."""
        return [step for step in self.get_steps() if step.name == name]

    def get_pipeline_output(self, pipeline_output_name: str) -> PortDataReference:
        """Return where an output lies that was given a `pipeline_output_name`.

        Raises:
            NotFound: no step has an output of that name.
        """
        names = []
        for step in self.get_steps():
            for output in step.get_outputs().values():
                if output.step_output.pipeline_output_name == pipeline_output_name:
                    return output.get_port_data_reference()
                names.append(output.step_output.pipeline_output_name)
        known = ", ".join(sorted(name for name in names if name)) or "none"
        raise NotFound(
            f"The run {self._id} has no pipeline output {pipeline_output_name!r} "
            f"(it has: {known}).",
            kind="output",
            id=pipeline_output_name,
        )

    def get_all_logs(self, destination: str | None = None) -> list[str]:
        """Write the logs of every step run below a folder per step, and return their paths."""
        folder = logs_folder(destination)
        return [
            path
            for step in self.get_steps()
            for path in step.get_all_logs(str(folder / step._folder_name))
        ]

    # ---- ending ----------------------------------------------------------------------------------

    def wait_for_completion(
        self,
        show_output: bool = True,
        timeout_seconds: float = sys.maxsize,
        raise_on_error: bool = True,
    ) -> str:
        """Wait until the run has ended, and return its status as `get_status` does.

        A server that goes away and comes back does not end the wait. When the time is over it says
        so and returns; the run goes on.

        Args:
            show_output: print states as they change, and what the steps print.
            timeout_seconds: how long to wait.
            raise_on_error: raise when the run has failed.

        Raises:
            ActivityFailedException: the run has failed; the failed steps' last lines are in it.
            ExperimentExecutionException: it was interrupted from the keyboard; the run goes on.
        """
        if show_output:
            print(f"PipelineRunId: {self._id}")
            print(f"Link to the run: {self.get_portal_url()}")
        watch = RunWatch(
            self._workspace.client,
            self._route(),
            lambda step_run_id: self._workspace.route("step-runs", step_run_id),
            is_quiet=not show_output,
        )
        try:
            document = watch.until_end(timeout_seconds)
        except KeyboardInterrupt:
            raise interrupted(self._id) from None
        if show_output:
            self._print_summary(document, timeout_seconds)
        if raise_on_error and document.state is RunState.FAILED:
            raise self._failure(document)
        return document.state.value

    def _print_summary(self, document: RunDocument, timeout_seconds: float) -> None:
        if document.ended_at is None:
            print(f"Timed out of waiting for run {self._id} after {timeout_seconds} seconds.")
            print("The run goes on.")
            return
        print("\nPipelineRun Execution Summary\n==============================")
        print(f"PipelineRun Status: {document.state}")
        print(self._details(document))

    def _failure(self, document: Document) -> RunFailed:
        message = f"The pipeline run {document.id} failed: {document.error or 'a step failed'}."
        failed = [s for s in self._step_documents() if s.state == "Failed"]
        for step in failed:
            log = StepRun._of_run(self._experiment, step).get_stdout_log()
            lines = "\n".join(f"    {line}" for line in log.splitlines()[-_LAST_LINES:])
            message += f"\nStep {step.name!r} ({step.id}) failed: {step.error}"
            message += f"\nThe end of its log:\n{lines}" if lines else ""
        return ActivityFailedException(
            message, id=document.id, steps=[{"id": s.id, "name": s.name} for s in failed]
        )

    def complete(self) -> None:
        """Raise NotImplementedError: a pipeline run ends with its steps."""
        raise NotImplementedError("A pipeline run ends with its steps.")

    def fail(self, error_details: Any = None, error_code: Any = None) -> None:
        """Raise NotImplementedError: a pipeline run ends with its steps."""
        raise NotImplementedError("A pipeline run ends with its steps.")

    def child_run(self, name: Any = None, run_id: Any = None, outputs: Any = None) -> Run:
        """Raise NotImplementedError: children are submitted, with `parent_run_id`."""
        raise NotImplementedError("Submit a pipeline with parent_run_id instead.")

    # ---- publishing ------------------------------------------------------------------------------

    def publish_pipeline(
        self,
        name: str,
        description: str,
        version: str,
        continue_on_step_failure: bool | None = None,
        **kwargs: Any,
    ) -> PublishedPipeline:
        """Publish the pipeline of this run; the run may be unfinished or failed.

        Args:
            name: not unique.
            description: for people.
            version: free text.
            continue_on_step_failure: what runs do that do not say otherwise.
            kwargs: `enable_email_notification` is taken and not used.
        """
        unknown = sorted(set(kwargs) - {"enable_email_notification"})
        if unknown:
            raise Invalid(f"publish_pipeline has no argument {unknown[0]!r}.", field=unknown[0])
        request = PublishRequest.made(
            run_id=self._id,
            name=name,
            description=description,
            version=version,
            continue_on_step_failure=continue_on_step_failure,
        )
        path = self._workspace.route("pipelines")
        document = self._workspace.client.send(PublishedPipelineDocument, "POST", path, request)
        return PublishedPipeline._of(self._workspace, document)
