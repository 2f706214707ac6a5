"""What is known of a schedule."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self

import penstock
from penstock.sdk.published import shown
from penstock.sdk.recurrence import ScheduleRecurrence, details_text
from penstock.wire import ScheduleDocument


class ScheduleRecord:
    """A schedule's properties as the last answer had them; `refresh` asks again."""

    def __init__(
        self,
        workspace: penstock.Workspace,
        id: str,
        name: str,
        description: str | None,
        pipeline_id: str | None,
        status: str,
        recurrence: ScheduleRecurrence | None,
        datastore_name: str | None,
        polling_interval: int | None,
        data_path_parameter_name: str | None,
        continue_on_step_failure: bool | None,
        path_on_datastore: str | None,
        pipeline_endpoint_id: str | None = None,
        *,
        document: ScheduleDocument | None = None,
    ) -> None:
        """Hold what is known of a schedule; get one with `get`, `list` or `create`."""
        self._workspace = workspace
        self._id = id
        self._name = name
        self._description = description
        self._pipeline_id = pipeline_id
        self._status = status
        self._recurrence = recurrence
        self._datastore_name = datastore_name
        self._polling_interval = polling_interval
        self._data_path_parameter_name = data_path_parameter_name
        self._continue_on_step_failure = continue_on_step_failure
        self._path_on_datastore = path_on_datastore
        self._pipeline_endpoint_id = pipeline_endpoint_id
        self._cached = document

    @classmethod
    def _of(cls, workspace: penstock.Workspace, document: ScheduleDocument) -> Self:
        change = document.data_change
        rule = document.recurrence
        return cls(
            workspace,
            document.id,
            document.name,
            document.description,
            document.pipeline_id,
            document.status.value,
            ScheduleRecurrence.from_rule(rule) if rule else None,
            change.datastore if change else None,
            change.polling_minutes if change else None,
            change.data_path_parameter if change else None,
            document.continue_on_step_failure,
            change.path if change else None,
            document.pipeline_endpoint_id,
            document=document,
        )

    def refresh(self) -> None:
        """Ask the server what it knows of the schedule now."""
        self._take(self._workspace.client.read(ScheduleDocument, self._route()))

    def _take(self, document: ScheduleDocument) -> None:
        vars(self).update(vars(type(self)._of(self._workspace, document)))

    def _route(self, *parts: str) -> str:
        return self._workspace.route("schedules", self._id, *parts)

    @property
    def _document(self) -> ScheduleDocument:
        if self._cached is None:
            self.refresh()
        assert self._cached is not None
        return self._cached

    # ---- what it is ------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The id."""
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
    def pipeline_id(self) -> str | None:
        """The published pipeline that it starts."""
        return self._pipeline_id

    @property
    def pipeline_endpoint_id(self) -> str | None:
        """The pipeline endpoint that it starts."""
        return self._pipeline_endpoint_id

    @property
    def status(self) -> str:
        """`Active` or `Disabled`."""
        return self._status

    @property
    def recurrence(self) -> ScheduleRecurrence | None:
        """When it fires; None when it watches a datastore."""
        return self._recurrence

    @property
    def datastore_name(self) -> str | None:
        """The datastore that it watches; None when it has a recurrence."""
        return self._datastore_name

    @property
    def polling_interval(self) -> int | None:
        """Minutes between two looks at the datastore; None when it has a recurrence."""
        return self._polling_interval

    @property
    def data_path_parameter_name(self) -> str | None:
        """The parameter that gets the changed file."""
        return self._data_path_parameter_name

    @property
    def path_on_datastore(self) -> str | None:
        """The folder that it watches; None is the datastore's root."""
        return self._path_on_datastore

    @property
    def continue_on_step_failure(self) -> bool | None:
        """What its runs do; None: as the pipeline was published."""
        return self._continue_on_step_failure

    @property
    def experiment_name(self) -> str:
        """The experiment of its runs."""
        return self._document.experiment

    @property
    def pipeline_parameters(self) -> dict[str, Any]:
        """The values that its runs get."""
        return dict(self._document.parameters)

    @property
    def catch_up(self) -> str:
        """What happens to times missed while the server was down."""
        return self._document.catch_up.value

    @property
    def overlap(self) -> str:
        """What happens while an earlier run is active."""
        return self._document.overlap.value

    @property
    def next_fire_time(self) -> datetime | None:
        """When it fires next, UTC; None when it is disabled or watches a datastore."""
        return self._document.next_fire_time

    @property
    def quarantined_reason(self) -> str | None:
        """Why it stopped itself, after too many submissions had failed."""
        return self._document.quarantined_reason

    @property
    def created_at(self) -> datetime:
        """When it was created, UTC."""
        return self._document.created_at

    @property
    def updated_at(self) -> datetime:
        """When it was last changed, UTC."""
        return self._document.updated_at

    @property
    def created_by(self) -> str:
        """Who created it."""
        return self._document.created_by

    def __str__(self) -> str:
        # The first word is a slip of the old SDK; scripts look for what follows.
        lines: dict[str, Any] = {
            "Name": self.name,
            "Id": self.id,
            "Status": self.status,
            "Pipeline Id": self.pipeline_id,
            "Pipeline Endpoint Id": self.pipeline_endpoint_id,
        }
        if self.recurrence is not None:
            lines["Recurrence Details"] = details_text(self.recurrence)
        else:
            lines["Datastore"] = self.datastore_name
            if self.path_on_datastore:
                lines["Path on Datastore"] = self.path_on_datastore
        return f"Pipeline({shown(lines)})"

    __repr__ = __str__
