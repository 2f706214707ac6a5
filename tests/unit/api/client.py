"""A client for tests: requests to an application in this process, and things to work with."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
from anyio.from_thread import BlockingPortal
from fastapi import FastAPI

from penstock import wire
from penstock.api.context import Context

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
ADMIN_TOKEN = "pst_the-token-of-the-administrator"
W = "/api/v1/workspaces/default"

Json = dict[str, Any]


class FixedClock:
    """Stands still until it is set."""

    def __init__(self, now: datetime) -> None:
        self.value = now

    def now(self) -> datetime:
        return self.value


@dataclass
class Api:
    """Sends requests to an application, as the administrator unless told otherwise."""

    app: FastAPI
    context: Context
    portal: BlockingPortal
    clock: FixedClock
    wakes: list[str]

    def request(
        self, method: str, path: str, *, token: str | None = ADMIN_TOKEN, **rest: Any
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers |= rest.pop("headers", {})

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await client.request(method, path, headers=headers, **rest)

        return self.portal.call(send)

    def get(self, path: str, **rest: Any) -> httpx.Response:
        return self.request("GET", path, **rest)

    def post(self, path: str, json: Any = None, **rest: Any) -> httpx.Response:
        return self.request("POST", path, json=json, **rest)

    def put(self, path: str, content: Any = b"", **rest: Any) -> httpx.Response:
        return self.request("PUT", path, content=content, **rest)

    def patch(self, path: str, json: Any) -> httpx.Response:
        return self.request("PATCH", path, json=json)

    def made(self, path: str, json: Any = None) -> Json:
        """Post, expect that it worked, and return the document."""
        answer = self.post(path, json)
        assert answer.status_code in (200, 201), answer.text
        document: Json = answer.json()
        return document

    def shown(self, path: str) -> Any:
        """Get, expect that it worked, and return the document."""
        answer = self.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()


def server_document() -> wire.ServerDocument:
    local = wire.ComputeTargetDocument(
        name="local", kind="local", steps_running_max=2, steps_running=0, steps_queued=0
    )
    return wire.ServerDocument(
        version="1.2.3",
        url="http://test",
        database="sqlite",
        tzdata_version="2025b",
        started_at=NOW,
        last_tick_at=None,
        timers_due=0,
        compute_targets=[local],
    )


# ---- things to work with -------------------------------------------------------------------------


def upload_snapshot(api: Api, files: dict[str, bytes]) -> str:
    """Upload a source folder and return the snapshot's id."""
    listed = []
    for path, content in files.items():
        sha256 = hashlib.sha256(content).hexdigest()
        assert api.put(f"{W}/blobs/{sha256}", content).status_code == 204
        listed.append({"path": path, "sha256": sha256, "size": len(content)})
    snapshot_id: str = api.made(f"{W}/snapshots", {"files": listed})["id"]
    return snapshot_id


def a_graph(api: Api, **parts: Any) -> Json:
    """Return a graph of one step that can run, its script uploaded."""
    step = {
        "id": "one",
        "name": "train",
        "script": "train.py",
        "snapshot_id": upload_snapshot(api, {"train.py": b"print('hello')\n"}),
    }
    return {"steps": [step], **parts}


def a_pipeline(api: Api, **parts: Any) -> Json:
    """Return a published pipeline."""
    return api.made(f"{W}/pipelines", {"graph": a_graph(api), "name": "p", **parts})


def a_schedule(api: Api, pipeline_id: str, **parts: Any) -> Json:
    """Return a schedule that was created over the API: daily at noon."""
    recurrence = {"frequency": "Day", "interval": 1, "start_time": "2026-03-03T12:00:00"}
    draft = {
        "name": "daily",
        "experiment": "exp",
        "pipeline_id": pipeline_id,
        "recurrence": recurrence,
    }
    return api.made(f"{W}/schedules", draft | parts)
