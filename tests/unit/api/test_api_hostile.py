"""Whatever is sent, no answer is a fault of ours: each part of each request is spoiled in turn."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.unit.api.client import Api, Json, W, a_graph, a_pipeline, a_schedule

SPOILED: list[Any] = [
    None,
    True,
    "",
    " ",
    "x",
    "-1",
    "1e400",
    "🎉",
    "\u202e\ufeff",
    "a\nb",
    "../../x",
    "x" * 5000,
    0,
    -1,
    2**31,
    2**63,
    10**30,
    1e308,
    -0.0,
    5e-324,
    [],
    [None],
    {},
    {"datastore": "nowhere", "path": 5},
    "0001-01-01T00:00:00",
    "9999-12-31T23:59:59.999999",
    "9999-12-31T23:59:59-23:59",
    "2026-02-30T00:00:00",
]
RECURRENCE = {
    "frequency": "Week",
    "interval": 1,
    "start_time": "2026-03-03T12:00:00",
    "time_zone": "Europe/Berlin",
    "hours": [1],
    "minutes": [30],
    "week_days": ["Monday"],
    "gap": "shift",
    "fold": "first",
    "month_end": "last_day",
    "anchor": "2026-03-03T12:00:00",
}


def graph(api: Api) -> Json:
    made = a_graph(api)
    place = {"datastore": "workspaceblobstore", "path": "x"}
    made["parameters"] = [
        {"name": "p", "kind": "integer", "default": 1},
        {"name": "d", "kind": "data_path", "default": place},
    ]
    made["steps"][0] |= {
        "arguments": [{"kind": "parameter", "value": "p"}, {"kind": "output", "value": "o"}],
        "inputs": [{"name": "i", "source": "parameter", "parameter": "d", "mode": "download"}],
        "outputs": [{"name": "o", "datastore": "workspaceblobstore", "path": "x", "mode": "mount"}],
        "run_after": [],
        "compute": "local",
        "environment": {"a": 1},
        "environment_variables": {"A": "b"},
        "retries": 1,
        "retry_delay_seconds": 1.5,
        "timeout_seconds": 10,
    }
    return made


def schedule_draft(api: Api) -> Json:
    return {
        "name": "s",
        "experiment": "e",
        "pipeline_id": a_pipeline(api)["id"],
        "description": "d",
        "recurrence": RECURRENCE,
        "parameters": {},
        "status": "Active",
        "continue_on_step_failure": True,
        "run_on_create": True,
        "catch_up": "all",
        "catch_up_window_seconds": 60,
        "overlap": "queue",
    }


def data_change_draft(api: Api) -> Json:
    change = {"datastore": "workspaceblobstore", "path": "in", "polling_minutes": 5,
              "data_path_parameter": None}  # fmt: skip
    return schedule_draft(api) | {"recurrence": None, "data_change": change}


def run_path(api: Api) -> str:
    run = api.made(f"{W}/runs", {"experiment": "e", "pipeline_id": a_pipeline(api)["id"]})
    return f"{W}/runs/{run['id']}"


def schedule_path(api: Api) -> str:
    return f"{W}/schedules/{a_schedule(api, a_pipeline(api)['id'])['id']}"


def submission(api: Api) -> Json:
    return {
        "experiment": "e",
        "graph": graph(api),
        "parameters": {"p": 1, "d": {"datastore": "workspaceblobstore", "path": "x"}},
        "parent_run_id": None,
        "description": "d",
        "tags": {"a": "b"},
        "properties": {"a": "b"},
        "source": "SDK",
    }


CHANGES = {"tags": {"a": "b"}, "removed_tags": ["a"], "properties": {"p": "q"}, "description": "d"}
METRICS = {"metrics": [{"name": "m", "kind": "scalar", "value": [1, {"a": 2.5}], "step": 1}]}
FILE = {"path": "a.py", "sha256": "0" * 64, "size": 1, "is_executable": False}

Made = Callable[[Api], Any]
REQUESTS: dict[str, tuple[str, Made, Made]] = {
    "create_workspace": (
        "POST",
        lambda api: "/api/v1/workspaces",
        lambda api: {"name": "w1", "subscription_id": "s", "resource_group": "r"},
    ),
    "change_experiment": (
        "PATCH",
        lambda api: api.put(f"{W}/experiments/e") and f"{W}/experiments/e",
        lambda api: {"tags": {"a": "b"}, "is_archived": True},
    ),
    "find_missing_blobs": (
        "POST",
        lambda api: f"{W}/blobs/missing",
        lambda api: {"sha256": ["0" * 64]},
    ),
    "create_snapshot": ("POST", lambda api: f"{W}/snapshots", lambda api: {"files": [FILE]}),
    "validate_graph": (
        "POST",
        lambda api: f"{W}/graphs/validate",
        lambda api: {"graph": graph(api)},
    ),
    "publish_pipeline": (
        "POST",
        lambda api: f"{W}/pipelines",
        lambda api: {"graph": graph(api), "name": "n", "description": "d", "version": "1"},
    ),
    "submit_run": ("POST", lambda api: f"{W}/runs", submission),
    "change_run": ("PATCH", run_path, lambda api: CHANGES),
    "log_run_metrics": ("POST", lambda api: run_path(api) + "/metrics", lambda api: METRICS),
    "create_schedule": ("POST", lambda api: f"{W}/schedules", schedule_draft),
    "create_watching_schedule": ("POST", lambda api: f"{W}/schedules", data_change_draft),
    "change_schedule": (
        "PATCH",
        schedule_path,
        lambda api: {k: v for k, v in schedule_draft(api).items() if k in CHANGEABLE},
    ),
    "preview_recurrence": (
        "POST",
        lambda api: f"{W}/schedules/preview",
        lambda api: {"recurrence": RECURRENCE, "count": 3, "after": "2026-03-03T12:00:00Z"},
    ),
    "fire_schedule": (
        "POST",
        lambda api: schedule_path(api) + "/fire",
        lambda api: {"parameters": {"p": 1}},
    ),
}
CHANGEABLE = {"name", "description", "recurrence", "parameters", "status", "catch_up",
              "catch_up_window_seconds", "overlap", "continue_on_step_failure"}  # fmt: skip


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to each value inside `value`, and to itself."""
    yield at
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*at, key))
    if isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places(inner, (*at, index))


def spoiled(body: Any, at: tuple[Any, ...], value: Any) -> Any:
    if not at:
        return value
    changed = copy.deepcopy(body)
    inner = changed
    for key in at[:-1]:
        inner = inner[key]
    inner[at[-1]] = value
    return changed


@pytest.mark.parametrize("name", REQUESTS)
def test_no_spoiled_body_is_a_fault_of_ours(api: Api, name: str) -> None:
    method, path_of, body_of = REQUESTS[name]
    path, body = path_of(api), body_of(api)
    faults = []
    for number, at in enumerate(places(body)):
        # Each place gets a quarter of the values; together the places see all of them.
        for value in SPOILED[number % 4 :: 4]:
            answer = api.request(method, path, json=spoiled(body, at, value))
            if answer.status_code >= 500:
                faults.append((at, value, answer.text))
    assert faults == []


@pytest.mark.parametrize("listed", ["runs", "schedules", "pipelines", "experiments", "activity"])
def test_no_spoiled_query_is_a_fault_of_ours(api: Api, listed: str) -> None:
    operation = api.shown("/openapi.json")["paths"][f"/api/v1/workspaces/{{workspace}}/{listed}"]
    parameters = [p["name"] for p in operation["get"]["parameters"] if p["in"] == "query"]
    words = ["", " ", "x", "-1", "9" * 400, "é🎉", "x" * 3000, "%ff", "%", "=", "MA==", "e30"]
    for name in parameters:
        for word in words:
            answer = api.get(f"{W}/{listed}?{name}={word}")
            assert answer.status_code in (200, 400), (name, word, answer.text)
