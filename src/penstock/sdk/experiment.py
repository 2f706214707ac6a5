"""Experiments: names under which runs are grouped."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

import penstock
from penstock.sdk.exceptions import UserErrorException
from penstock.sdk.notices import deprecated, notice
from penstock.sdk.run import Run
from penstock.sdk.run_filters import has_tags
from penstock.wire import ExperimentChanges, ExperimentDocument

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,254}")


@runtime_checkable
class Submittable(Protocol):
    """What Experiment.submit takes: a Pipeline, a PublishedPipeline, …"""

    def submit_to(
        self,
        experiment: penstock.Experiment,
        tags: Mapping[str, str] | None,
        wishes: dict[str, Any],
    ) -> Run:
        """Start a run in `experiment`, taking the arguments it knows out of `wishes`."""
        ...


class ViewType:
    """Which experiments are listed."""

    ActiveOnly = "ActiveOnly"
    ArchivedOnly = "ArchivedOnly"
    All = "All"


class Experiment:
    """A name under which runs are grouped. It is made when it is first used."""

    def __init__(self, workspace: penstock.Workspace, name: str, **kwargs: Any) -> None:
        """Find an experiment, or make it.

        Args:
            workspace: where.
            name: 1 to 255 letters, digits, `_` and `-`, the first a letter or digit.
            kwargs: taken, not used.

        Raises:
            UserErrorException: the name is not one.
        """
        self._workspace = workspace
        self._name = checked_name(name)
        path = workspace.route("experiments", self._name)
        self._cached: ExperimentDocument | None = workspace.client.send(
            ExperimentDocument, "PUT", path
        )

    @classmethod
    def _known(
        cls,
        workspace: penstock.Workspace,
        name: str,
        document: ExperimentDocument | None = None,
    ) -> Experiment:
        """Return an experiment that exists; nothing is asked of the server."""
        experiment = cls.__new__(cls)
        experiment._workspace = workspace
        experiment._name = name
        experiment._cached = document
        return experiment

    def __repr__(self) -> str:
        return f"Experiment(Name: {self._name},\nWorkspace: {self._workspace.name})"

    @property
    def _document(self) -> ExperimentDocument:
        if self._cached is None:
            self.refresh()
        assert self._cached is not None
        return self._cached

    @property
    def workspace(self) -> penstock.Workspace:
        """The workspace."""
        return self._workspace

    @property
    def workspace_object(self) -> penstock.Workspace:
        """The workspace; the older name."""
        return self._workspace

    @property
    def name(self) -> str:
        """The name."""
        return self._name

    @property
    def id(self) -> str:
        """The id."""
        return self._document.id

    @property
    def archived_time(self) -> datetime | None:
        """When it was archived, UTC."""
        return self._document.archived_at

    @property
    def tags(self) -> dict[str, str]:
        """The tags."""
        return dict(self._document.tags)

    def refresh(self) -> None:
        """Ask the server what it knows of the experiment now."""
        path = self._workspace.route("experiments", self._name)
        self._cached = self._workspace.client.read(ExperimentDocument, path)

    def get_portal_url(self) -> str:
        """Return the experiment's address in the API."""
        return self._workspace.client.url_of(self._workspace.route("experiments", self._name))

    @staticmethod
    def list(
        workspace: penstock.Workspace,
        experiment_name: str | None = None,
        view_type: str = ViewType.ActiveOnly,
        tags: Any = None,
    ) -> list[Experiment]:
        """Return the experiments, newest first.

        Args:
            workspace: where.
            experiment_name: only the one of this name.
            view_type: a value of ViewType.
            tags: a tag's name, a list of names, or a dictionary of names to values.
        """
        if view_type not in (ViewType.ActiveOnly, ViewType.ArchivedOnly, ViewType.All):
            raise UserErrorException(
                field="view_type", value=view_type, expected="ActiveOnly, ArchivedOnly or All"
            )
        with_archived = "false" if view_type == ViewType.ActiveOnly else "true"
        documents = workspace.client.pages(
            ExperimentDocument, workspace.route("experiments"), include_archived=with_archived
        )
        return [
            Experiment._known(workspace, document.name, document)
            for document in documents
            if (experiment_name is None or document.name == experiment_name)
            and (view_type != ViewType.ArchivedOnly or document.archived_at is not None)
            and has_tags(document.tags, tags)
        ]

    # ---- runs ------------------------------------------------------------------------------------

    def submit(self, config: Any, tags: Mapping[str, str] | None = None, **kwargs: Any) -> Any:
        """Start a run of a Pipeline or a PublishedPipeline in this experiment.

        Args:
            config: what to run.
            tags: of the run.
            kwargs: `pipeline_parameters`, `continue_on_step_failure`, `regenerate_outputs`,
                `parent_run_id`; whatever else is given is left out, with a notice.

        Raises:
            UserErrorException: `config` is nothing that can be run.
        """
        if not isinstance(config, Submittable):
            raise UserErrorException(
                field="config", value=config, expected="a Pipeline or a PublishedPipeline"
            )
        if "pipeline_params" in kwargs:
            deprecated("pipeline_params", "pipeline_parameters")
            kwargs.setdefault("pipeline_parameters", kwargs.pop("pipeline_params"))
        run = config.submit_to(self, tags, kwargs)
        for name in kwargs:
            notice(f"Experiment.submit has no use for {name!r} with a {type(config).__name__}.")
        return run

    def get_runs(
        self,
        type: str | None = None,
        tags: Any = None,
        properties: Mapping[str, str] | None = None,
        include_children: bool = False,
    ) -> Iterator[Run]:
        """Yield the runs, newest first.

        Args:
            type: `azureml.PipelineRun` or `azureml.StepRun`.
            tags: a tag's name, a list of names, or a dictionary of names to values.
            properties: values that properties must have.
            include_children: the step runs of each run after it.
        """
        return Run.list(self, type, tags, properties, None, include_children)

    # ---- changing --------------------------------------------------------------------------------

    def archive(self) -> None:
        """Leave it out of lists; its runs stay."""
        self._change(ExperimentChanges(is_archived=True))

    def reactivate(self, new_name: str | None = None) -> None:
        """Bring it back into lists.

        Raises:
            UserErrorException: another name is asked for.
        """
        if new_name is not None and new_name != self._name:
            raise UserErrorException(
                "An experiment keeps its name.", field="new_name", value=new_name
            )
        self._change(ExperimentChanges(is_archived=False))

    def tag(self, key: str, value: str | None = None) -> None:
        """Set a tag."""
        self.set_tags({key: "" if value is None else value})

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Set tags; others stay."""
        self.refresh()
        self._change(
            ExperimentChanges(tags={**self.tags, **{str(n): str(v) for n, v in tags.items()}})
        )

    def remove_tags(self, tags: Any) -> None:
        """Remove tags by name."""
        self.refresh()
        names = {tags} if isinstance(tags, str) else set(tags)
        self._change(ExperimentChanges(tags={n: v for n, v in self.tags.items() if n not in names}))

    def _change(self, changes: ExperimentChanges) -> None:
        path = self._workspace.route("experiments", self._name)
        self._cached = self._workspace.client.send(ExperimentDocument, "PATCH", path, changes)


def checked_name(name: Any) -> str:
    """Return an experiment's name; raise UserErrorException if it is not one."""
    if isinstance(name, str) and _NAME.fullmatch(name):
        return name
    raise UserErrorException(
        field="experiment name",
        value=name,
        expected="1 to 255 letters, digits, underscores and dashes, the first a letter or digit",
    )
