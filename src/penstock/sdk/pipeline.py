"""Pipelines: steps put together, checked, submitted and published."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

import penstock
from penstock.core import pipeline as graphs
from penstock.core.pipeline import Graph
from penstock.errors import Invalid
from penstock.sdk import compute, snapshot
from penstock.sdk.data import place_name
from penstock.sdk.graph_building import graph_of, ordered_steps, source_directories
from penstock.sdk.parameters import checked_assignments
from penstock.sdk.published import PublishedPipeline
from penstock.sdk.script_step import PythonScriptStep
from penstock.sdk.steps import PipelineStep
from penstock.sdk.submission import submit_run
from penstock.wire import (
    PublishedPipelineDocument,
    PublishRequest,
    SubmitRequest,
    ValidationDocument,
)


class Pipeline:
    """Steps that belong together. Making one sends nothing; `submit` and `publish` do.

    Steps without a common input or output, and without `run_after`, run in parallel.
    """

    def __init__(
        self,
        workspace: penstock.Workspace,
        steps: Any,
        description: str | None = None,
        default_datastore: penstock.Datastore | str | None = None,
        default_source_directory: str | Path | None = None,
        resolve_closure: bool = True,
        **kwargs: Any,
    ) -> None:
        """Put steps together.

        Args:
            workspace: where the pipeline will run.
            steps: steps, StepSequences, nested lists of them, or just the last step.
            description: of the runs.
            default_datastore: where outputs go that name no datastore.
            default_source_directory: of steps that name none.
            resolve_closure: add the steps that the given ones depend on.
            kwargs: `enable_email_notification` is taken and not used.

        Raises:
            Invalid: something that is no step, a script that does not exist, an unknown argument.
            InvalidPipeline: an input that no step writes, two parameters of one name with
                different defaults, a dependency that `resolve_closure=False` leaves out.
        """
        _refuse_unknown(kwargs, "Pipeline")
        self.workspace = workspace
        self.description = description
        self._default_datastore = place_name(default_datastore)
        self.steps = ordered_steps(steps, resolve_closure=resolve_closure)
        default = Path(default_source_directory) if default_source_directory else None
        self._directories = source_directories(self.steps, default)
        self._graph = self._built({}, registered=[], is_dry=True)

    def __repr__(self) -> str:
        return f"Pipeline(steps={[step.name for step in self.steps]!r})"

    @property
    def graph(self) -> Graph:
        """The pipeline as it will run, before its files are uploaded."""
        return self._graph

    def service_endpoint(self) -> str:
        """Return the server's address."""
        return self.workspace.client.url

    def _built(
        self, snapshot_ids: Mapping[PipelineStep, str], registered: list[str], *, is_dry: bool
    ) -> Graph:
        def resolve(name: str) -> str:
            return name if is_dry else compute.resolved_name(name, registered)

        return graph_of(
            self.steps,
            snapshot_ids=snapshot_ids,
            compute=resolve,
            default_datastore=self._default_datastore,
        )

    def _uploaded_graph(self) -> Graph:
        """Return the graph with the files uploaded as they are now."""
        graphs.validated(self._graph)
        directories = dict.fromkeys(self._directories.values())
        files = {directory: snapshot.source_files(directory) for directory in directories}
        for step, directory in self._directories.items():
            if isinstance(step, PythonScriptStep):
                snapshot.check_script(files[directory], directory, step.script_name)
        ids = {
            directory: snapshot.uploaded(self.workspace, files[directory]) for directory in files
        }
        by_step = {step: ids[directory] for step, directory in self._directories.items()}
        registered = compute.registered_names(self.workspace)
        return self._built(by_step, registered, is_dry=False)

    def validate(self) -> list[str]:
        """Return every reason why the pipeline cannot run, [] when it can; print a line per step.

        The files are uploaded, since the server checks them too.
        """
        errors = [problem["message"] for problem in graphs.problems(self._graph)]
        if errors:
            return errors
        for step in self.steps:
            print(f"Step {step.name} is ready to be created [{self._id_of(step)}]")
        graph = self._uploaded_graph()
        path = self.workspace.route("graphs", "validate")
        answer = self.workspace.client.send(
            ValidationDocument, "POST", path, _GraphBody(graph=graph)
        )
        return [error["message"] for error in answer.errors]

    def _id_of(self, step: PipelineStep) -> str:
        return self._graph.steps[self.steps.index(step)].id

    def submit(
        self,
        experiment_name: str,
        pipeline_parameters: Mapping[str, Any] | None = None,
        continue_on_step_failure: bool = False,
        regenerate_outputs: bool = False,
        parent_run_id: str | None = None,
        credential_passthrough: bool | None = None,
        *,
        tags: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> penstock.PipelineRun:
        """Upload the files and start a run.

        Args:
            experiment_name: under which the run is found; made when there is none.
            pipeline_parameters: values for parameters; the others keep their defaults.
            continue_on_step_failure: let branches go on that do not depend on a failed step.
            regenerate_outputs: run every step, whatever earlier results there are.
            parent_run_id: the run to which this one belongs.
            credential_passthrough: taken, not used.
            tags: of the run.
            kwargs: none.

        Raises:
            Invalid: an unknown argument, or a bad experiment name.
            InvalidPipeline: the pipeline cannot run; every reason is listed.
            InvalidParameters: unknown parameters and values of a wrong type, all of them.
            SnapshotException: a source directory is over the limits.
        """
        _refuse_unknown(kwargs, "Pipeline.submit")
        parameters = checked_assignments(self._graph.parameters, pipeline_parameters)
        request = SubmitRequest.made(
            experiment=experiment_name,
            graph=self._uploaded_graph(),
            parameters=parameters,
            continue_on_step_failure=continue_on_step_failure,
            regenerate_outputs=regenerate_outputs,
            parent_run_id=parent_run_id,
            description=self.description or "",
            tags={name: str(value) for name, value in (tags or {}).items()},
        )
        return submit_run(self.workspace, request)

    def submit_to(
        self,
        experiment: penstock.Experiment,
        tags: Mapping[str, str] | None,
        wishes: dict[str, Any],
    ) -> penstock.PipelineRun:
        """Start a run for Experiment.submit; the arguments used are taken out of `wishes`."""
        return self.submit(
            experiment.name,
            wishes.pop("pipeline_parameters", None),
            bool(wishes.pop("continue_on_step_failure", None)),
            bool(wishes.pop("regenerate_outputs", False)),
            wishes.pop("parent_run_id", None),
            wishes.pop("credential_passthrough", None),
            tags=tags,
        )

    def publish(
        self,
        name: str | None = None,
        description: str | None = None,
        version: str | None = None,
        continue_on_step_failure: bool | None = None,
        **kwargs: Any,
    ) -> PublishedPipeline:
        """Upload the files and publish the pipeline; nothing runs.

        Args:
            name: not unique: publishing again makes another published pipeline of the same name.
            description: for people.
            version: free text.
            continue_on_step_failure: what runs do that do not say otherwise.
            kwargs: `enable_email_notification` is taken and not used.

        Raises:
            InvalidPipeline: the pipeline cannot run; every reason is listed.
            SnapshotException: a source directory is over the limits.
        """
        _refuse_unknown(kwargs, "Pipeline.publish")
        request = PublishRequest.made(
            graph=self._uploaded_graph(),
            name=name,
            description=description if description is not None else self.description,
            version=version,
            continue_on_step_failure=continue_on_step_failure,
        )
        path = self.workspace.route("pipelines")
        document = self.workspace.client.send(PublishedPipelineDocument, "POST", path, request)
        return PublishedPipeline._of(self.workspace, document)


class _GraphBody(BaseModel):
    """The body of a validation."""

    graph: Graph


def _refuse_unknown(kwargs: Mapping[str, Any], what: str) -> None:
    unknown = sorted(set(kwargs) - {"enable_email_notification"})
    if unknown:
        raise Invalid(
            f"{what} has no argument {unknown[0]!r}.", field=unknown[0], value=kwargs[unknown[0]]
        )
