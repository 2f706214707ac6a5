"""Bad input to a real server: a clear error, nothing half-stored, nothing lost."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from penstock import (
    Conflict,
    InUse,
    Invalid,
    InvalidParameters,
    InvalidPipeline,
    NotFound,
    Pipeline,
    PipelineParameter,
    PublishedPipeline,
    PythonScriptStep,
    Schedule,
    ScheduleRecurrence,
    Workspace,
)
from penstock.datastores.blobs import Blobs
from penstock.errors import StorageFull
from penstock.serve import Server
from penstock.store.tables import metadata
from penstock.testing.server import temporary_server

W = "/api/v1/workspaces/default"
NO_ID = "00000000-0000-4000-8000-000000000000"
RECURRENCE = {"frequency": "Day", "interval": 1, "start_time": "2030-01-01T00:00:00"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with temporary_server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="module")
def ws(server: Server) -> Workspace:
    return Workspace.get("default", url=server.url, token=server.token)


@pytest.fixture(scope="module")
def http(server: Server) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {server.token}"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    (folder / "ok.py").write_text("print('fine')")
    return folder


@pytest.fixture(scope="module")
def snapshot_id(http: httpx.Client) -> str:
    text = b"print('fine')"
    sha256 = hashlib.sha256(text).hexdigest()
    assert http.put(f"{W}/blobs/{sha256}", content=text).status_code == 204
    files = [{"path": "ok.py", "sha256": sha256, "size": len(text)}]
    return http.post(f"{W}/snapshots", json={"files": files}).json()["id"]


@pytest.fixture
def step(source: Path):
    def make(name: str, **fields) -> PythonScriptStep:
        return PythonScriptStep("ok.py", name=name, source_directory=source, **fields)

    return make


@pytest.fixture(scope="module")
def published(ws: Workspace, source: Path) -> PublishedPipeline:
    """A pipeline that has a number for a parameter."""
    step = PythonScriptStep(
        "ok.py", source_directory=source, arguments=[PipelineParameter("count", 5)]
    )
    return Pipeline(ws, step).publish("published")


def contents(server: Server) -> dict[str, set]:
    """Return every row of every table."""
    with server.store.read() as tx:
        return {
            table.name: {tuple(row) for row in tx.connection.execute(sa.select(table))}
            for table in metadata.sorted_tables
        }


@contextmanager
def nothing_stored(server: Server) -> Iterator[None]:
    """Expect that the block leaves the whole database as it was."""
    before = contents(server)
    yield
    assert contents(server) == before


def problem(answer: httpx.Response, status: int, *words: str) -> dict:
    """Expect a problem document with that status, and those words in its sentence."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == status
    for word in words:
        assert word in document["detail"], document["detail"]
    return document


# ---- what is not there ---------------------------------------------------------------------------

ROUTES = [
    ("GET", f"/api/v1/workspaces/{NO_ID}", None),
    ("GET", f"/api/v1/workspaces/{NO_ID}/runs", None),
    ("GET", f"{W}/experiments/{NO_ID}", None),
    ("PATCH", f"{W}/experiments/{NO_ID}", {}),
    ("GET", f"{W}/datastores/{NO_ID}", None),
    ("GET", f"{W}/datastores/{NO_ID}/files", None),
    ("GET", f"{W}/datastores/workspaceblobstore/files/{NO_ID}", None),
    ("GET", f"{W}/graphs/{NO_ID}", None),
    ("GET", f"{W}/pipelines/{NO_ID}", None),
    ("PATCH", f"{W}/pipelines/{NO_ID}", {"status": "Disabled"}),
    ("POST", f"{W}/pipelines", {"run_id": NO_ID}),
    ("GET", f"{W}/runs/{NO_ID}", None),
    ("PATCH", f"{W}/runs/{NO_ID}", {}),
    ("POST", f"{W}/runs/{NO_ID}/cancel", None),
    ("GET", f"{W}/runs/{NO_ID}/steps", None),
    ("GET", f"{W}/runs/{NO_ID}/graph", None),
    ("GET", f"{W}/runs/{NO_ID}/metrics", None),
    ("POST", f"{W}/runs/{NO_ID}/metrics", {"metrics": []}),
    ("POST", f"{W}/runs", {"experiment": "never", "pipeline_id": NO_ID}),
    ("GET", f"{W}/step-runs/{NO_ID}", None),
    ("PATCH", f"{W}/step-runs/{NO_ID}", {}),
    ("GET", f"{W}/step-runs/{NO_ID}/outputs", None),
    ("GET", f"{W}/step-runs/{NO_ID}/log", None),
    ("GET", f"{W}/step-runs/{NO_ID}/files", None),
    ("GET", f"{W}/step-runs/{NO_ID}/files/outputs/x", None),
    ("GET", f"{W}/step-runs/{NO_ID}/metrics", None),
    ("POST", f"{W}/step-runs/{NO_ID}/metrics", {"metrics": []}),
    ("GET", f"{W}/schedules/{NO_ID}", None),
    ("PATCH", f"{W}/schedules/{NO_ID}", {"name": "x"}),
    ("GET", f"{W}/schedules/{NO_ID}/preview", None),
    ("GET", f"{W}/schedules/{NO_ID}/fires", None),
    ("POST", f"{W}/schedules/{NO_ID}/fire", {}),
    (
        "POST",
        f"{W}/schedules",
        {"name": "s", "experiment": "never", "pipeline_id": NO_ID, "recurrence": RECURRENCE},
    ),
]


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_an_unknown_id_is_404_with_the_id(server, http, method, path, body):
    with nothing_stored(server):
        document = problem(http.request(method, path, json=body), 404, NO_ID)
    assert document["code"] == "not-found"
    assert document["id"] == NO_ID
    assert document["kind"]


def test_the_sdk_names_the_id_too(ws):
    for call in (
        lambda: Schedule.get(ws, NO_ID),
        lambda: PublishedPipeline.get(ws, NO_ID),
        lambda: ws.get_run(NO_ID),
    ):
        with pytest.raises(NotFound, match=NO_ID):
            call()


# ---- pipelines -----------------------------------------------------------------------------------


def test_disabling_a_pipeline_that_active_schedules_start_names_them(server, ws, step):
    published = Pipeline(ws, step("only")).publish("scheduled")
    recurrence = ScheduleRecurrence("Day", 1, start_time="2030-01-01T00:00:00")
    made = [
        Schedule.create(ws, name, published.id, "nightly", recurrence) for name in ("one", "two")
    ]
    off = Schedule.create(ws, "off", published.id, "nightly", recurrence, status="Disabled")
    with nothing_stored(server), pytest.raises(InUse) as refused:
        published.disable()
    for schedule in made:
        assert f"'{schedule.name}' ({schedule.id})" in str(refused.value)
    assert off.id not in str(refused.value)
    assert refused.value.details["schedules"] == [{"id": s.id, "name": s.name} for s in made]
    assert PublishedPipeline.get(ws, published.id).status == "Active"
    for schedule in made:
        schedule.disable()
    published.disable()
    with nothing_stored(server), pytest.raises(Conflict, match="disabled"):
        off.enable()
    with nothing_stored(server), pytest.raises(Conflict, match=published.id):
        Schedule.create(ws, "late", published.id, "nightly", recurrence)


def test_a_script_that_does_not_exist(server, ws, http, source, snapshot_id):
    with nothing_stored(server), pytest.raises(ValueError, match=r"script not found.*away\.py"):
        Pipeline(ws, PythonScriptStep("away.py", source_directory=source)).publish("away")
    graph = {"steps": [{"id": "a", "name": "a", "script": "away.py", "snapshot_id": snapshot_id}]}
    for path, body in (("pipelines", {"graph": graph}), ("runs", {"graph": graph})):
        if path == "runs":
            body["experiment"] = "never"
        with nothing_stored(server):
            document = problem(http.post(f"{W}/{path}", json=body), 400, "no script 'away.py'")
        assert document["errors"][0]["field"] == "steps[a].script"


def test_a_circle(server, ws, http, step, snapshot_id):
    a, b = step("a"), step("b")
    a.run_after(b)
    b.run_after(a)
    for call in (
        lambda: Pipeline(ws, [a, b]).publish("circle"),
        lambda: Pipeline(ws, [a, b]).submit("never"),
    ):
        with pytest.raises(InvalidPipeline, match=r"circle.*'a'.*'b'"):
            call()
    steps = [
        {
            "id": id,
            "name": id,
            "script": "ok.py",
            "snapshot_id": snapshot_id,
            "run_after": [other],
        }
        for id, other in (("a", "b"), ("b", "a"))
    ]
    with nothing_stored(server):
        document = problem(
            http.post(f"{W}/pipelines", json={"graph": {"steps": steps}}), 400, "circle"
        )
    assert document["code"] == "invalid-pipeline"


def test_two_parameters_of_one_name(server, ws, http, step, snapshot_id):
    steps = [
        step("a", arguments=[PipelineParameter("count", 1)]),
        step("b", arguments=[PipelineParameter("count", 2)]),
    ]
    with pytest.raises((Invalid, InvalidPipeline), match="count"):
        Pipeline(ws, steps).publish("twice")
    parameter = {"name": "count", "kind": "integer", "default": 1}
    graph = {
        "steps": [{"id": "a", "name": "a", "script": "ok.py", "snapshot_id": snapshot_id}],
        "parameters": [parameter, parameter | {"default": 2}],
    }
    with nothing_stored(server):
        problem(http.post(f"{W}/pipelines", json={"graph": graph}), 400, "two parameters", "count")


def test_an_unknown_parameter(server, ws, http, published):
    with nothing_stored(server), pytest.raises(InvalidParameters, match=r"'cuont'.*count"):
        published.submit(ws, "never", {"cuont": 1})
    recurrence = ScheduleRecurrence("Day", 1, start_time="2030-01-01T00:00:00")
    with nothing_stored(server), pytest.raises(InvalidParameters, match="'cuont'"):
        Schedule.create(
            ws, "s", published.id, "never", recurrence, pipeline_parameters={"cuont": 1}
        )
    body = {"experiment": "never", "pipeline_id": published.id, "parameters": {"count": "many"}}
    with nothing_stored(server):
        document = problem(http.post(f"{W}/runs", json=body), 400, "'count'", "integer")
    assert document["code"] == "invalid-parameters"
    assert document["errors"][0]["field"] == "parameters.count"


# ---- text ----------------------------------------------------------------------------------------

TEXTS = [
    ("runs", {"experiment": "a\0b"}, "experiment"),
    ("runs", {"experiment": "e", "tags": {"owner": "a\0"}}, "tags.owner"),
    ("runs", {"experiment": "e", "tags": {"owner": "x" * 1001}}, "tags.owner"),
    ("runs", {"experiment": "e", "tags": {str(i): "" for i in range(51)}}, "tags"),
    ("runs", {"experiment": "e", "parameters": {"count": "\0"}}, "parameters.count"),
    ("runs", {"experiment": "e", "parameters": {"count": "9" * 140_000}}, "parameters.count"),
    ("runs", {"experiment": "e", "description": "x" * 5001}, "description"),
    ("schedules", {"name": "a\0", "experiment": "e", "recurrence": RECURRENCE}, "name"),
    ("schedules", {"name": "x" * 256, "experiment": "e", "recurrence": RECURRENCE}, "name"),
]


@pytest.mark.parametrize(("noun", "body", "field"), TEXTS)
def test_text_that_cannot_be_kept_is_refused_with_its_field(
    server, http, published, noun, body, field
):
    with nothing_stored(server):
        answer = http.post(f"{W}/{noun}", json={"pipeline_id": published.id} | body)
        document = problem(answer, 400, field)
    assert document["field"] == field


# ---- recurrences ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"frequency": "Hourly"}, "frequency"),
        ({"interval": 0}, "interval"),
        ({"interval": 501}, "interval"),
        ({"hours": [24]}, "hours"),
        ({"minutes": [60]}, "minutes"),
        ({"week_days": ["Monday"]}, "week_days"),
        ({"frequency": "Week", "week_days": ["Mon"]}, "week_days"),
        ({"frequency": "Month", "hours": [1]}, "hours"),
        ({"time_zone": "Pacific Time"}, "time_zone"),
        ({"start_time": "2030-01-01T00:00:00Z"}, "start_time"),
        ({"start_time": "2030-02-30T00:00:00"}, "start_time"),
        ({"start_time": "2190-01-01T00:00:00"}, "start_time"),
    ],
)
def test_a_wrong_recurrence_names_its_field(server, http, published, wrong, field):
    body = {
        "name": "s",
        "experiment": "never",
        "pipeline_id": published.id,
        "recurrence": RECURRENCE | wrong,
    }
    with nothing_stored(server):
        document = problem(http.post(f"{W}/schedules", json=body), 400)
    assert field in document["field"]
    with nothing_stored(server):
        problem(http.post(f"{W}/schedules/preview", json={"recurrence": RECURRENCE | wrong}), 400)


# ---- a full disk ---------------------------------------------------------------------------------


def test_a_full_database_says_so_keeps_nothing_half_and_loses_nothing(server, http, published):
    body = {
        "name": "big",
        "experiment": "full",
        "pipeline_id": published.id,
        "recurrence": RECURRENCE,
        "description": "é" * 5000,
    }
    before = contents(server)
    full = 0
    for number in range(60):
        with server.store.begin() as tx:
            tx.connection.exec_driver_sql("PRAGMA max_page_count=1")  # raised to what is in use
        answer = http.post(f"{W}/schedules", json=body | {"name": f"big {number}"})
        if answer.status_code == 507:
            document = problem(answer, 507, "no room left")
            assert document["code"] == "storage-full"
            assert int(answer.headers["Retry-After"]) >= 1
            full += 1
            break
        before = contents(server)
    assert full, "the database was never full"
    assert contents(server) == before
    assert http.post(f"{W}/schedules", json=body).status_code == 201  # there is room again
    assert http.get(f"{W}/pipelines/{published.id}").status_code == 200


class FullFile(io.FileIO):
    """A file on a disk that has no room left."""

    def write(self, content) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextmanager
def without_room(server: Server, folder: Path) -> Iterator[None]:
    """Let the server keep blobs in a folder that says it is full."""
    context = server.app.state.context
    blobs = Blobs(folder, new_file=lambda place: FullFile(place / "temporary", "x"))
    server.app.state.context = replace(context, blobs=blobs)
    try:
        yield
    finally:
        server.app.state.context = context


@contextmanager
def on_a_tiny_disk(server: Server, folder: Path) -> Iterator[None]:
    """Let the server keep blobs on a disk of 64 KiB."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], check=True)
    try:
        yield
        assert [path for path in folder.rglob("*") if path.is_file()] == []
    finally:
        subprocess.run(["umount", folder], check=True)


def can_mount(folder: Path) -> bool:
    """Say whether this process may mount a disk of its own; in a container root may not."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        return False
    subprocess.run(["umount", str(folder)], check=True)
    return True


def test_a_blob_that_does_not_fit_is_refused_and_fits_later(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    fill = on_a_tiny_disk if can_mount(disk) else without_room
    content = os.urandom(1_000_000)
    sha256 = hashlib.sha256(content).hexdigest()
    with (
        temporary_server(tmp_path) as server,
        httpx.Client(
            base_url=server.url, headers={"Authorization": f"Bearer {server.token}"}, timeout=30
        ) as http,
    ):
        blobs = server.settings.home / "blobs"
        with fill(server, blobs):
            document = problem(http.put(f"{W}/blobs/{sha256}", content=content), 507, "No room")
            assert document["code"] == StorageFull.code
            missing = http.post(f"{W}/blobs/missing", json={"sha256": [sha256]}).json()
            assert missing == {"sha256": [sha256]}
            files = [{"path": "big", "sha256": sha256, "size": len(content)}]
            with nothing_stored(server):
                problem(http.post(f"{W}/snapshots", json={"files": files}), 400, "'big'")
        assert http.put(f"{W}/blobs/{sha256}", content=content).status_code == 204
        assert http.post(f"{W}/snapshots", json={"files": files}).status_code == 201
