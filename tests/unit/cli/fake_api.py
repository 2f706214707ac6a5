"""A server of plain answers, and a way to run a command against it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from typer.testing import CliRunner, Result

from penstock.cli.main import app
from penstock.cli.session import Outside
from penstock.errors import NotFound, PenstockError, to_problem
from penstock.sdk.client import Client

NOW = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)
RUN_ID = "11111111-1111-1111-1111-111111111111"
SCHEDULE_ID = "22222222-2222-2222-2222-222222222222"
PIPELINE_ID = "33333333-3333-3333-3333-333333333333"


@dataclass
class FakeApi:
    """Answers requests from `answers`: "METHOD /path" to a JSON value, an error, or a function."""

    answers: dict[str, Any] = field(default_factory=dict)
    requests: list[httpx.Request] = field(default_factory=list)
    now: datetime = NOW

    def client(self, environ: Mapping[str, str], *, url: str | None = None) -> Client:
        """What `connect` of the SDK is to a command."""
        return Client(
            url or "http://fake",
            "token",
            transport=httpx.MockTransport(self._answer),
            pause=lambda seconds: None,
        )

    def pause(self, seconds: float) -> None:
        """Let time go by."""
        self.now += timedelta(seconds=seconds)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        path = request.url.path.removeprefix("/api/v1")
        answer = self.answers.get(f"{request.method} {path}", NotFound(kind="path", id=path))
        if isinstance(answer, Callable):  # type: ignore[arg-type]
            answer = answer(request)
        if isinstance(answer, PenstockError):
            return httpx.Response(answer.http_status, json=to_problem(answer))
        return httpx.Response(200, json=answer)

    def requests_for(self, path: str) -> int:
        """How often a path was asked for."""
        return sum(request.url.path == f"/api/v1{path}" for request in self.requests)

    def body(self, index: int = -1) -> Any:
        """The JSON that a command sent."""
        return json.loads(self.requests[index].content)

    def penstock(self, *words: str, environ: Mapping[str, str] | None = None) -> Result:
        """Run a command against this server."""
        fake = self

        class _Clock:
            def now(self) -> datetime:
                return fake.now

        outside = Outside(
            environ=environ or {},
            directory=Path("/nowhere"),
            clock=_Clock(),
            connect=self.client,
            pause=self.pause,
        )
        return CliRunner().invoke(app, list(words), obj=outside)


def a_page(*items: Any, following: str | None = None) -> dict[str, Any]:
    """A page of a list."""
    return {"items": list(items), "next": following}


def a_schedule(**changes: Any) -> dict[str, Any]:
    """A schedule's document."""
    return {
        "id": SCHEDULE_ID,
        "name": "nightly",
        "description": "",
        "pipeline_id": PIPELINE_ID,
        "pipeline_endpoint_id": None,
        "experiment": "e",
        "parameters": {},
        "status": "Active",
        "recurrence": {"frequency": "Day", "interval": 1, "hours": [2], "minutes": [30]},
        "data_change": None,
        "continue_on_step_failure": None,
        "catch_up": "skip",
        "catch_up_window_seconds": 86_400,
        "overlap": "allow",
        "run_on_create": True,
        "next_fire_time": "2027-03-01T12:04:00Z",
        "failures": 0,
        "quarantined_reason": None,
        "created_at": "2027-03-01T10:00:00Z",
        "updated_at": "2027-03-01T10:00:00Z",
        "created_by": "admin",
    } | changes


def a_pipeline(**changes: Any) -> dict[str, Any]:
    """A published pipeline's document."""
    return {
        "id": PIPELINE_ID,
        "name": "diabetes",
        "description": "",
        "version": None,
        "graph_id": "g",
        "status": "Active",
        "continue_on_step_failure": False,
        "step_count": 1,
        "created_at": "2027-03-01T10:00:00Z",
        "updated_at": "2027-03-01T10:00:00Z",
        "created_by": "admin",
        "endpoint": "http://fake/submit",
    } | changes


def a_run(**changes: Any) -> dict[str, Any]:
    """A run's document."""
    return {
        "id": RUN_ID,
        "experiment": "e",
        "graph_id": "g",
        "pipeline_id": PIPELINE_ID,
        "state": "Running",
        "history_status": "Running",
        "source": "CLI",
        "schedule_id": None,
        "fire_time": None,
        "cause": "submitted by admin",
        "is_queued": False,
        "parent_run_id": None,
        "description": "",
        "parameters": {},
        "continue_on_step_failure": False,
        "regenerate_outputs": False,
        "tags": {},
        "properties": {},
        "cancel_requested_at": None,
        "error": None,
        "created_at": "2027-03-01T11:58:00Z",
        "created_by": "admin",
        "started_at": "2027-03-01T11:59:00Z",
        "ended_at": None,
    } | changes


def a_step(name: str, **changes: Any) -> dict[str, Any]:
    """A step run's document."""
    return {
        "id": f"step-{name}",
        "run_id": RUN_ID,
        "step_id": name,
        "name": name,
        "state": "Running",
        "history_status": "Running",
        "attempt": 1,
        "attempts_lost": 0,
        "compute": "local",
        "available_at": None,
        "queued_at": None,
        "started_at": "2027-03-01T11:59:00Z",
        "ended_at": None,
        "exit_code": None,
        "error": None,
        "tags": {},
        "properties": {},
    } | changes


def a_fire(**changes: Any) -> dict[str, Any]:
    """An evaluation record's document."""
    return {
        "source_id": SCHEDULE_ID,
        "fire_key": "k",
        "fire_time": "2027-03-01T11:00:00Z",
        "fired_at": "2027-03-01T11:00:00.040000Z",
        "outcome": "fired",
        "reason": "it was due",
        "run_id": RUN_ID,
        "count": 1,
        "through_time": None,
    } | changes
