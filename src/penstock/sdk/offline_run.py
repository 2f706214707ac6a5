"""The run object of a script that runs outside a pipeline: it prints what it would log."""

from __future__ import annotations

import secrets
import uuid
from pathlib import Path
from typing import Any

from penstock.sdk.logging_run import LoggingRun


class OfflineRun(LoggingRun):
    """Stands in for a run where there is none, so that a step's script can be tried alone.

    Logged values are printed, tags and properties are kept in this object, and files stay where
    they are.
    """

    def __init__(self) -> None:
        """Make up an id."""
        self._id = f"OfflineRun_{uuid.UUID(bytes=secrets.token_bytes(16), version=4)}"
        self.tags: dict[str, str] = {}
        self.properties: dict[str, str] = {}
        self.input_datasets: dict[str, Any] = {}
        self.output_datasets: dict[str, Any] = {}
        self._metrics: dict[str, list[Any]] = {}

    @property
    def id(self) -> str:
        """An id that no server knows."""
        return self._id

    @property
    def name(self) -> str:
        """The id."""
        return self._id

    @property
    def status(self) -> str:
        """Always `Running`."""
        return "Running"

    @property
    def parent(self) -> OfflineRun:
        """The run itself: scripts log to their parent."""
        return self

    def __repr__(self) -> str:
        return f"OfflineRun(id={self._id!r})"

    def __enter__(self) -> OfflineRun:
        return self

    def __exit__(self, *exception: object) -> None:
        """Do nothing: there is no run to end."""

    def _log(self, name: str, kind: str, value: Any, step: int | None = None) -> None:
        self._metrics.setdefault(name, []).append(value)
        print(f"Attempted to log {kind} metric {name}:\n{value}")

    def _keep_file(self, name: str, content: bytes) -> str:
        path = Path("outputs", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path.as_posix()

    def get_metrics(self, name: str | None = None, **kwargs: Any) -> dict[str, Any]:
        """Return what was logged."""
        logged = {key: v[0] if len(v) == 1 else v for key, v in self._metrics.items()}
        return logged if name is None else {k: v for k, v in logged.items() if k == name}

    def tag(self, key: str, value: str | None = None) -> None:
        """Keep a tag in this object."""
        self.tags[key] = "" if value is None else str(value)

    def set_tags(self, tags: dict[str, str]) -> None:
        """Keep tags in this object."""
        self.tags.update(tags)

    def get_tags(self) -> dict[str, str]:
        """Return the tags kept in this object."""
        return self.tags

    def add_properties(self, properties: dict[str, str]) -> None:
        """Keep properties in this object."""
        self.properties.update(properties)

    def get_properties(self) -> dict[str, str]:
        """Return the properties kept in this object."""
        return self.properties

    def upload_file(
        self, name: str, path_or_stream: Any, datastore_name: str | None = None
    ) -> None:
        """Leave the file where it is."""

    def upload_folder(self, name: str, path: Any, datastore_name: str | None = None) -> None:
        """Leave the folder where it is."""

    def child_run(self, name: str | None = None, **kwargs: Any) -> OfflineRun:
        """Return another offline run."""
        return OfflineRun()

    def get_status(self) -> str:
        """Return `Running`."""
        return self.status

    def get_details(self) -> dict[str, Any]:
        """Return the id and the status."""
        return {"runId": self._id, "status": self.status}

    def flush(self, timeout_seconds: float = 300) -> None:
        """Do nothing: nothing is on its way."""

    def complete(self) -> None:
        """Do nothing: there is no run to end."""

    def fail(self, error_details: Any = None, error_code: Any = None) -> None:
        """Do nothing: there is no run to end."""

    def cancel(self) -> None:
        """Do nothing: there is no run to end."""
