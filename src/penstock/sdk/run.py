"""Runs: what every run can be asked and told, whether a pipeline's or a step's."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import penstock
from penstock.errors import Conflict, NotFound, RunFailed
from penstock.sdk import metrics
from penstock.sdk.client import Patience
from penstock.sdk.exceptions import (
    ActivityFailedException,
    UserErrorException,
)
from penstock.sdk.filing_run import FilingRun
from penstock.sdk.logging_run import LoggingRun
from penstock.sdk.notices import deprecated
from penstock.sdk.offline_run import OfflineRun
from penstock.sdk.run_context import current_run
from penstock.sdk.run_files import NoFiles, RunFiles
from penstock.sdk.run_filters import fits, tag_filter
from penstock.wire import MetricDocument, RunChanges, RunDocument, StepRunDocument

ENDED = ("Completed", "Failed", "Canceled")
"""The words of `Run.status` for a run that has ended."""

Document = RunDocument | StepRunDocument


class Run(FilingRun, LoggingRun):
    """One execution. What is asked is asked of the server each time; nothing here grows old.

    Get the run of a step's own process with `Run.get_context()`.
    """

    # Where runs of this kind are in the API, and the old service's word for the kind.
    _collection: str = ""
    _type = "azureml.run"

    def __init__(
        self,
        experiment: penstock.Experiment,
        run_id: str,
        outputs: Any = None,
        **kwargs: Any,
    ) -> None:
        """Refer to a run by its id; the server is asked when something is wanted of it.

        Args:
            experiment: the run's experiment.
            run_id: its id, of a pipeline run or a step run.
            outputs: taken, not used.
            kwargs: taken, not used.
        """
        if not isinstance(run_id, str) or not run_id:
            raise UserErrorException(field="run_id", value=run_id, expected="the id of a run")
        self._experiment = experiment
        self._id = run_id
        self._is_own = False  # True for the run of this process

    def __repr__(self) -> str:
        return f"Run(Experiment: {self._experiment.name},\nId: {self._id},\nType: {self._type})"

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *exception: object) -> None:
        """Send what was logged. The exit code of the process ends the run, not this."""
        self.flush()

    # ---- finding runs ----------------------------------------------------------------------------

    @classmethod
    def get_context(
        cls, allow_offline: bool = True, used_for_context_manager: bool = False, **kwargs: Any
    ) -> penstock.StepRun | OfflineRun:
        """Return the run that this process is a step of.

        Args:
            allow_offline: outside a run, return an object that prints what is logged to it.
            used_for_context_manager: taken, not used.
            kwargs: taken, not used.

        Raises:
            RunEnvironmentException: there is no run, and `allow_offline` is False.
        """
        return current_run(allow_offline=allow_offline)

    @classmethod
    def get_submitted_run(cls, **kwargs: Any) -> penstock.StepRun | OfflineRun:
        """Do what `get_context` does; the older name."""
        deprecated("Run.get_submitted_run", "Run.get_context")
        return cls.get_context(**kwargs)

    @staticmethod
    def get(workspace: penstock.Workspace, run_id: str) -> Run:
        """Return a pipeline run or a step run by its id.

        Raises:
            NotFound: there is no run of that id.
        """
        document = _found(workspace, run_id)
        if isinstance(document, RunDocument):
            return penstock.PipelineRun._of(workspace, document)
        return penstock.StepRun._of(workspace, document)

    @staticmethod
    def list(
        experiment: penstock.Experiment,
        type: str | None = None,
        tags: Any = None,
        properties: Mapping[str, str] | None = None,
        status: str | None = None,
        include_children: bool = False,
    ) -> Iterator[Run]:
        """Yield the runs of an experiment, newest first.

        Args:
            experiment: the experiment.
            type: `azureml.PipelineRun` or `azureml.StepRun`; None: both, where asked for.
            tags: a tag's name, a list of names, or a dictionary of names to values.
            properties: values that properties must have.
            status: a word of `Run.status`, e.g. `Completed`.
            include_children: the step runs of each run after it.
        """
        workspace = experiment.workspace
        for document in workspace.client.pages(
            RunDocument, workspace.route("runs"), experiment=experiment.name, tag=tag_filter(tags)
        ):
            run = penstock.PipelineRun._of(workspace, document)
            if fits(run, document, type, properties, status):
                yield run
            if include_children:
                yield from run.get_children(type=type, properties=properties, status=status)

    # ---- what it is ------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The id."""
        return self._id

    @property
    def experiment(self) -> penstock.Experiment:
        """The experiment."""
        return self._experiment

    @property
    def type(self) -> str:
        """The kind of run, e.g. `azureml.PipelineRun`."""
        return self._type

    @property
    def name(self) -> str:
        """What people call it: a step's name, otherwise the id."""
        return self._id

    @property
    def display_name(self) -> str:
        """The same as `name`."""
        return self.name

    @property
    def description(self) -> str:
        """What it is for; may be set."""
        return getattr(self._read(), "description", "")

    @description.setter
    def description(self, text: str) -> None:
        self._change(RunChanges.made(description=text))

    @property
    def status(self) -> str:
        """The state in the words of the run history: `Running`, `Completed`, `Failed`, …"""
        return self._read().history_status

    def get_status(self) -> str:
        """Return the state in the words of the run history; pipeline and step runs have others."""
        return self.status

    @property
    def parent(self) -> Run | None:
        """The run to which this one belongs."""
        return None

    @property
    def _workspace(self) -> penstock.Workspace:
        return self._experiment.workspace

    def _read(self) -> Document:
        """Return what the server knows of the run now."""
        document = _found(self._workspace, self._id)
        self._collection = "runs" if isinstance(document, RunDocument) else "step-runs"
        return document

    def _route(self, *parts: str) -> str:
        if not self._collection:
            self._read()
        return self._workspace.route(self._collection, self._id, *parts)

    def get_portal_url(self) -> str:
        """Return the run's address in the API."""
        return self._workspace.client.url_of(self._route())

    def get_details(self) -> dict[str, Any]:
        """Return what is known of the run, in the shape of the old service."""
        return self._details(self._read())

    def _details(self, document: Document) -> dict[str, Any]:
        details: dict[str, Any] = {
            "runId": document.id,
            "target": getattr(document, "compute", "local"),
            "status": document.history_status,
            "startTimeUtc": _utc_text(document.started_at),
            "endTimeUtc": _utc_text(document.ended_at),
            "properties": dict(document.properties),
            "inputDatasets": [],
            "outputDatasets": [],
            "logFiles": {name: self._files.url_of(name) for name in self._log_names()},
        }
        if document.error:
            details["error"] = {"error": {"code": "UserError", "message": document.error}}
        return details

    def get_details_with_logs(self) -> dict[str, Any]:
        """Return what `get_details` does, with the text of the logs instead of their addresses."""
        details = self.get_details()
        details["logFiles"] = {name: self._files.text(name) for name in self._log_names()}
        return details

    # ---- children --------------------------------------------------------------------------------

    def get_children(
        self,
        recursive: bool = False,
        tags: Any = None,
        properties: Mapping[str, str] | None = None,
        type: str | None = None,
        status: str | None = None,
    ) -> Iterator[Run]:
        """Yield the runs that belong to this one."""
        yield from ()

    # ---- tags and properties ---------------------------------------------------------------------

    @property
    def tags(self) -> dict[str, str]:
        """The tags."""
        return dict(self._read().tags)

    @property
    def properties(self) -> dict[str, str]:
        """The properties."""
        return dict(self._read().properties)

    def get_tags(self) -> dict[str, str]:
        """Return the tags."""
        return self.tags

    def get_properties(self) -> dict[str, str]:
        """Return the properties."""
        return self.properties

    def tag(self, key: str, value: str | None = None) -> None:
        """Set a tag."""
        self.set_tags({key: "" if value is None else value})

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Set tags; others stay."""
        self._change(RunChanges.made(tags=_texts(tags)))

    def remove_tags(self, tags: Any) -> None:
        """Remove tags by name: one, a list of them, or a dictionary's keys."""
        names = [tags] if isinstance(tags, str) else [*tags]
        self._change(RunChanges.made(removed_tags=names))

    def add_properties(self, properties: Mapping[str, Any]) -> None:
        """Add properties; one that is set cannot change."""
        self._change(RunChanges.made(properties=_texts(properties)))

    def _change(self, changes: RunChanges) -> None:
        path = self._route()
        document = RunDocument if self._collection == "runs" else StepRunDocument
        self._workspace.client.send(document, "PATCH", path, changes)

    # ---- metrics ---------------------------------------------------------------------------------

    @cached_property
    def _buffer(self) -> metrics.MetricBuffer:
        return metrics.MetricBuffer(self._workspace.client, self._route("metrics"))

    def _log(self, name: str, kind: str, value: Any, step: int | None = None) -> None:
        self._buffer.add(name, kind, value, step)

    def flush(self, timeout_seconds: float = 300) -> None:
        """Send what was logged and is still on its way (a second's worth at most)."""
        self._buffer.flush()

    def get_metrics(
        self,
        name: str | None = None,
        recursive: bool = False,
        run_type: str | None = None,
        populate: bool = False,
    ) -> dict[str, Any]:
        """Return what was logged, by name: a value, or a list of them when it was logged often.

        Args:
            name: only this metric.
            recursive: those of the step runs too: a dictionary by run id.
            run_type: taken, not used.
            populate: taken, not used.
        """
        self.flush()
        path = self._route("metrics")
        query: dict[str, Any] = {"name": name}
        if recursive and self._collection == "runs":
            query["recursive"] = "true"
        documents = self._workspace.client.read_list(MetricDocument, path, **query)
        if not recursive:
            return metrics.by_name(documents)
        ids = dict.fromkeys(document.run_id for document in documents)
        return {id: metrics.by_name(d for d in documents if d.run_id == id) for id in ids}

    # ---- files -----------------------------------------------------------------------------------

    @cached_property
    def _files(self) -> RunFiles:
        path = self._route("files")
        kind = NoFiles if self._collection == "runs" else RunFiles
        return kind(self._workspace.client, path)

    # ---- ending ----------------------------------------------------------------------------------

    def complete(self) -> None:
        """Send what was logged. The exit code of the process ends the run, not this."""
        self.flush()

    def fail(self, error_details: Any = None, error_code: Any = None) -> None:
        """Send what was logged and print the error. The exit code of the process ends the run."""
        self.flush()
        if error_details is not None:
            print(f"{error_details}", file=sys.stderr)

    def cancel(self) -> None:
        """Ask for a pipeline run to be cancelled; one that has ended stays as it is.

        Raises:
            Conflict: this is a step run; what can be cancelled is its pipeline run.
        """
        document = self._read()
        if isinstance(document, StepRunDocument):
            raise Conflict(
                f"The step run {self._id} cannot be cancelled alone; cancel its pipeline run "
                f"{document.run_id}."
            )
        self._workspace.client.send(RunDocument, "POST", self._route("cancel"))

    def wait_for_completion(
        self,
        show_output: bool = False,
        wait_post_processing: bool = False,
        raise_on_error: bool = True,
    ) -> Any:
        """Wait until the run has ended and return its details.

        Args:
            show_output: print the state when it changes.
            wait_post_processing: taken, not used.
            raise_on_error: raise when the run has failed.

        Raises:
            ActivityFailedException: the run has failed.
        """
        patience = Patience(sys.maxsize)
        said = None
        while (document := self._read()).history_status not in ENDED:
            if show_output and document.history_status != said:
                said = document.history_status
                print(f"Run {self._id}: {said}")
            patience.wait()
        if raise_on_error and document.history_status == "Failed":
            raise self._failure(document)
        return self._details(document)

    def _failure(self, document: Document) -> RunFailed:
        return ActivityFailedException(
            f"The run {document.id} failed: {document.error or 'no reason is known'}",
            id=document.id,
        )


def get_run(experiment: penstock.Experiment, run_id: str, **kwargs: Any) -> Run:
    """Return a run of an experiment by its id; raise NotFound if there is none."""
    return Run.get(experiment.workspace, run_id)


def _found(workspace: penstock.Workspace, run_id: str) -> Document:
    try:
        return workspace.client.read(RunDocument, workspace.route("runs", run_id))
    except NotFound as error:
        try:
            return workspace.client.read(StepRunDocument, workspace.route("step-runs", run_id))
        except NotFound:
            raise error from None


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): "" if value is None else str(value) for name, value in values.items()}


def _utc_text(instant: datetime | None) -> str | None:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ") if instant else None
