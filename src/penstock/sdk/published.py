"""Published pipelines: immutable, submittable, enabled and disabled."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import penstock
from penstock.core.model import Status
from penstock.core.pipeline import Graph
from penstock.errors import Invalid
from penstock.sdk.notices import deprecated
from penstock.sdk.parameters import wire_assignments
from penstock.sdk.submission import submit_run
from penstock.wire import GRAPH, PipelineChanges, PublishedPipelineDocument, SubmitRequest


class PublishedPipeline:
    """A pipeline as it was published. Only its status changes."""

    def __init__(
        self,
        name: str,
        graph_id: str,
        description: str | None,
        version: str | None,
        published_pipeline_id: str,
        status: str,
        endpoint: str,
        total_run_steps: int | None,
        workspace: penstock.Workspace,
        continue_on_step_failure: bool | None = None,
        *,
        created_at: datetime | None = None,
        updated_at: datetime | None = None,
        created_by: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Hold what is known of a published pipeline; get one with `get` or `list`."""
        self._name = name
        self._graph_id = graph_id
        self._description = description
        self._version = version
        self._id = published_pipeline_id
        self._status = str(status)
        self._endpoint = endpoint
        self._total_run_steps = total_run_steps
        self._continue_on_step_failure = continue_on_step_failure
        self._created_at = created_at
        self._updated_at = updated_at
        self._created_by = created_by
        self.workspace = workspace

    @classmethod
    def _of(
        cls, workspace: penstock.Workspace, document: PublishedPipelineDocument
    ) -> PublishedPipeline:
        return cls(
            document.name,
            document.graph_id,
            document.description,
            document.version,
            document.id,
            document.status.value,
            document.endpoint,
            document.step_count,
            workspace,
            document.continue_on_step_failure,
            created_at=document.created_at,
            updated_at=document.updated_at,
            created_by=document.created_by,
        )

    # ---- looking up ------------------------------------------------------------------------------

    @staticmethod
    def get(workspace: penstock.Workspace, id: str) -> PublishedPipeline:
        """Return the published pipeline of an id.

        Raises:
            Invalid: `id` is not text, e.g. the object itself.
            NotFound: there is none of that id.
        """
        path = workspace.route("pipelines", checked_id(id))
        document = workspace.client.read(PublishedPipelineDocument, path)
        return PublishedPipeline._of(workspace, document)

    @staticmethod
    def list(
        workspace: penstock.Workspace, active_only: bool = True
    ) -> builtins.list[PublishedPipeline]:
        """Return the published pipelines, newest first; disabled ones only when asked for."""
        documents = workspace.client.pages(
            PublishedPipelineDocument,
            workspace.route("pipelines"),
            active_only="true" if active_only else "false",
        )
        return [PublishedPipeline._of(workspace, document) for document in documents]

    @staticmethod
    def get_all(
        workspace: penstock.Workspace, active_only: bool = True
    ) -> builtins.list[PublishedPipeline]:
        """Do what `list` does; the older name."""
        deprecated("PublishedPipeline.get_all", "PublishedPipeline.list")
        return PublishedPipeline.list(workspace, active_only)

    # ---- what is known ---------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The id: what a schedule's `pipeline_id` takes."""
        return self._id

    @property
    def name(self) -> str:
        """The name, which others may have too."""
        return self._name

    @property
    def description(self) -> str | None:
        """What it is for."""
        return self._description

    @property
    def version(self) -> str | None:
        """The version, free text."""
        return self._version

    @property
    def graph_id(self) -> str:
        """The id of its graph; two pipelines of the same steps share one."""
        return self._graph_id

    @property
    def status(self) -> str:
        """`Active` or `Disabled`."""
        return self._status

    @property
    def endpoint(self) -> str:
        """The URL that starts a run when posted to."""
        return self._endpoint

    @property
    def total_run_steps(self) -> int | None:
        """How many steps it has."""
        return self._total_run_steps

    @property
    def continue_on_step_failure(self) -> bool | None:
        """What its runs do that do not say otherwise."""
        return self._continue_on_step_failure

    @property
    def created_at(self) -> datetime | None:
        """When it was published, UTC."""
        return self._created_at

    @property
    def updated_at(self) -> datetime | None:
        """When its status last changed, UTC."""
        return self._updated_at

    @property
    def created_by(self) -> str | None:
        """Who published it."""
        return self._created_by

    def __str__(self) -> str:
        lines = {
            "Name": self.name,
            "Id": self.id,
            "Status": self.status,
            "Endpoint": self.endpoint,
        }
        return f"Pipeline({shown(lines)})"

    __repr__ = __str__

    def get_graph(self) -> Graph:
        """Return its steps and parameters."""
        path = self.workspace.route("graphs", self.graph_id)
        return GRAPH.validate_json(self.workspace.client.request("GET", path).content)

    def get_step_names(self) -> builtins.list[str]:
        """Return the names of its steps."""
        return [step.name for step in self.get_graph().steps]

    # ---- changing and running --------------------------------------------------------------------

    def enable(self) -> None:
        """Let it be run and scheduled again."""
        self._change(Status.ACTIVE)

    def disable(self) -> None:
        """Hide it and let nothing start it.

        Raises:
            InUse: active schedules refer to it; they are named.
        """
        self._change(Status.DISABLED)

    def _change(self, status: Status) -> None:
        path = self.workspace.route("pipelines", self.id)
        changes = PipelineChanges(status=status)
        document = self.workspace.client.send(PublishedPipelineDocument, "PATCH", path, changes)
        self._status = document.status.value
        self._updated_at = document.updated_at

    def submit(
        self,
        workspace: penstock.Workspace,
        experiment_name: str,
        pipeline_parameters: Mapping[str, Any] | None = None,
        parent_run_id: str | None = None,
        continue_on_step_failure: bool | None = None,
        *,
        regenerate_outputs: bool = False,
        tags: Mapping[str, str] | None = None,
    ) -> penstock.PipelineRun:
        """Start a run.

        Args:
            workspace: where.
            experiment_name: under which the run is found; made when there is none.
            pipeline_parameters: values for parameters; the others keep their defaults.
            parent_run_id: the run to which this one belongs.
            continue_on_step_failure: None: as it was published.
            regenerate_outputs: run every step, whatever earlier results there are.
            tags: of the run.

        Raises:
            InvalidParameters: unknown parameters and values of a wrong type, all of them.
            Conflict: the published pipeline is disabled.
        """
        request = SubmitRequest.made(
            experiment=experiment_name,
            pipeline_id=self.id,
            parameters=wire_assignments(pipeline_parameters),
            continue_on_step_failure=continue_on_step_failure,
            regenerate_outputs=regenerate_outputs,
            parent_run_id=parent_run_id,
            tags={name: str(value) for name, value in (tags or {}).items()},
        )
        return submit_run(workspace, request)

    def submit_to(
        self,
        experiment: penstock.Experiment,
        tags: Mapping[str, str] | None,
        wishes: dict[str, Any],
    ) -> penstock.PipelineRun:
        """Start a run for Experiment.submit; the arguments used are taken out of `wishes`."""
        return self.submit(
            experiment.workspace,
            experiment.name,
            wishes.pop("pipeline_parameters", None),
            wishes.pop("parent_run_id", None),
            wishes.pop("continue_on_step_failure", None),
            regenerate_outputs=bool(wishes.pop("regenerate_outputs", False)),
            tags=tags,
        )


def checked_id(id: Any, field: str = "id") -> str:
    """Return an id; raise Invalid for an object that only has one, and for anything else."""
    if isinstance(id, str) and id:
        return id
    hint = f"Pass its id: write {field}=….id." if hasattr(id, "id") else None
    raise Invalid(
        f"{field} = {type(id).__name__} object is not valid: expected the id, which is text."
        if hint
        else f"{field} = {id!r} is not valid: expected the id, which is text.",
        field=field,
        hint=hint,
    )


def shown(lines: Mapping[str, Any]) -> str:
    """Return the lines of an object's text, as scripts look for them."""
    return ",\n".join(f"{name}: {value}" for name, value in lines.items())
