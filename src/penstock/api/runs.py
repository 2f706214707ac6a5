"""Routes: runs, their metrics, and their step runs with logs and files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, BinaryIO

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response

from penstock import wire
from penstock.api.bodies import JsonRoute, streamed
from penstock.api.context import Call, Caller
from penstock.api.description import DOWNLOAD, UPLOAD
from penstock.api.downloads import Offset, download
from penstock.api.paging import After, Limit
from penstock.core.model import StepRun
from penstock.core.pipeline import Graph
from penstock.core.states import STEP_ENDS, RunState
from penstock.datastores.local import LocalDirectory
from penstock.errors import Invalid, NotFound
from penstock.service import files, pipelines, runs, workspaces
from penstock.service.access import require

router = APIRouter(prefix="/workspaces/{workspace}", route_class=JsonRoute)

WRITABLE_FOLDERS = ("outputs", "logs")  # of an attempt; the others are the server's own

SubmissionKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[ -~]+$",
        description="Your name for this submission: sent again, it answers the first run.",
    ),
]
AttemptNumber = Annotated[
    int | None, Query(ge=1, le=2**31 - 1, description="Which attempt; the newest when absent.")
]
LogBytes = Annotated[int, Query(ge=4, le=8 * 1024 * 1024, description="At most so many bytes.")]


@router.post("/runs", status_code=201, tags=["runs"])
def submit_run(
    call: Caller,
    workspace: str,
    request: wire.SubmitRequest,
    idempotency_key: SubmissionKey = None,
) -> wire.RunDocument:
    """Ask for a run of a graph or of a published pipeline."""
    with call.write() as tx:
        place = workspaces.get(tx, call.actor, workspace)
        run = runs.submit(
            tx, call.actor, place, request, now=call.now, submission_key=idempotency_key
        )
    return wire.RunDocument.of(run)


@router.get("/runs", tags=["runs"])
def list_runs(
    call: Caller,
    workspace: str,
    experiment: str | None = None,
    pipeline_id: str | None = None,
    schedule_id: str | None = None,
    state: Annotated[list[RunState] | None, Query(description="May be repeated.")] = None,
    parent_run_id: str | None = None,
    tag: Annotated[
        list[str] | None, Query(description="`name` or `name=value`; may be repeated.")
    ] = None,
    after: After = None,
    limit: Limit = 100,
) -> wire.Page[wire.RunDocument]:
    """List runs, newest first; what is given must all be true of them."""
    with call.read() as tx:
        place = workspaces.get(tx, call.actor, workspace)
        found, following = runs.list_page(
            tx,
            call.actor,
            place,
            experiment=experiment,
            pipeline_id=pipeline_id,
            schedule_id=schedule_id,
            states=state,
            parent_run_id=parent_run_id,
            tags=_wanted_tags(tag),
            after=after,
            limit=limit,
        )
    return wire.Page(items=[wire.RunDocument.of(run) for run in found], next=following)


def _wanted_tags(texts: list[str] | None) -> dict[str, str | None] | None:
    if texts is None:
        return None
    split = (text.partition("=") for text in texts)
    return {name: value if equals else None for name, equals, value in split}


@router.get("/runs/{run_id}", tags=["runs"])
def get_run(call: Caller, workspace: str, run_id: str) -> wire.RunDocument:
    """Show a run."""
    with call.read() as tx:
        place = workspaces.get(tx, call.actor, workspace)
        return wire.RunDocument.of(runs.get(tx, call.actor, place, run_id))


@router.patch("/runs/{run_id}", tags=["runs"])
def change_run(
    call: Caller, workspace: str, run_id: str, changes: wire.RunChanges
) -> wire.RunDocument:
    """Set or remove tags, add properties, set the description."""
    with call.write() as tx:
        place = workspaces.get(tx, call.actor, workspace)
        return wire.RunDocument.of(runs.change(tx, call.actor, place, run_id, changes, call.now))


@router.post("/runs/{run_id}/cancel", tags=["runs"])
def cancel_run(call: Caller, workspace: str, run_id: str) -> wire.RunDocument:
    """Ask for a run to be cancelled; one that has ended stays as it is."""
    with call.write() as tx:
        place = workspaces.get(tx, call.actor, workspace)
        return wire.RunDocument.of(runs.cancel(tx, call.actor, place, run_id, call.now))


@router.get("/runs/{run_id}/steps", tags=["step runs"])
def list_step_runs(call: Caller, workspace: str, run_id: str) -> list[wire.StepRunDocument]:
    """List the step runs of a run in the order of its graph; none before it has started."""
    with call.read() as tx:
        place = workspaces.get(tx, call.actor, workspace)
        found = runs.steps(tx, call.actor, place, run_id)
    return [wire.StepRunDocument.of(step_run) for step_run in found]


@router.get("/runs/{run_id}/graph", tags=["runs"])
def get_run_graph(call: Caller, workspace: str, run_id: str) -> Graph:
    """Show the graph that a run executes."""
    with call.read() as tx:
        place = workspaces.get(tx, call.actor, workspace)
        run = runs.get(tx, call.actor, place, run_id)
        return pipelines.graph_of(tx, call.actor, place, run.graph_id)


@router.get("/runs/{run_id}/metrics", tags=["metrics"])
def list_run_metrics(
    call: Caller,
    workspace: str,
    run_id: str,
    recursive: Annotated[bool, Query(description="Those of its step runs, too.")] = False,
    name: str | None = None,
) -> list[wire.MetricDocument]:
    """List what was logged to a run, in order."""
    return _metrics(call, workspace, run_id, recursive=recursive, name=name)


@router.post("/runs/{run_id}/metrics", status_code=204, tags=["metrics"])
def log_run_metrics(
    call: Caller, workspace: str, run_id: str, request: wire.MetricsRequest
) -> None:
    """Append values to the metrics of a run."""
    _log(call, workspace, run_id, request)


# ---- step runs -----------------------------------------------------------------------------------


@router.get("/step-runs/{step_run_id}", tags=["step runs"])
def get_step_run(call: Caller, workspace: str, step_run_id: str) -> wire.StepRunDocument:
    """Show a step run."""
    return wire.StepRunDocument.of(_step_run(call, workspace, step_run_id))


@router.patch("/step-runs/{step_run_id}", tags=["step runs"])
def change_step_run(
    call: Caller, workspace: str, step_run_id: str, changes: wire.RunChanges
) -> wire.StepRunDocument:
    """Set or remove tags, add properties."""
    with call.write() as tx:
        place = workspaces.get(tx, call.actor, workspace)
        changed = runs.change_step(tx, call.actor, place, step_run_id, changes, call.now)
    return wire.StepRunDocument.of(changed)


@router.get("/step-runs/{step_run_id}/outputs", tags=["step runs"])
def list_outputs(call: Caller, workspace: str, step_run_id: str) -> list[wire.OutputDocument]:
    """List where the outputs of a step run lie, or will lie."""
    with call.read() as tx:
        place = workspaces.get(tx, call.actor, workspace)
        return runs.outputs(tx, call.actor, place, step_run_id)


@router.get("/step-runs/{step_run_id}/log", tags=["step runs"])
def read_step_run_log(
    call: Caller,
    workspace: str,
    step_run_id: str,
    offset: Offset = 0,
    limit: LogBytes = 1024 * 1024,
    attempt: AttemptNumber = None,
) -> wire.LogDocument:
    """Read a piece of what an attempt has printed; `next_offset` leads to the next."""
    step_run = _step_run(call, workspace, step_run_id)
    has_ended = step_run.state in STEP_ENDS or (attempt or step_run.attempt) < step_run.attempt
    return files.read_log(_folder(call, step_run, attempt), offset, limit, has_ended=has_ended)


@router.get("/step-runs/{step_run_id}/files", tags=["step runs"])
def list_step_run_files(
    call: Caller, workspace: str, step_run_id: str, attempt: AttemptNumber = None
) -> list[wire.FileDocument]:
    """List the files that an attempt has left, by path."""
    step_run = _step_run(call, workspace, step_run_id)
    return files.list_files(_folder(call, step_run, attempt))


@router.get("/step-runs/{step_run_id}/files/{path:path}", responses=DOWNLOAD, tags=["step runs"])
def get_step_run_file(
    call: Caller,
    workspace: str,
    step_run_id: str,
    path: str,
    offset: Offset = 0,
    attempt: AttemptNumber = None,
) -> Response:
    """Download one file of an attempt."""
    step_run = _step_run(call, workspace, step_run_id)
    found = files.existing_file(_folder(call, step_run, attempt), path)
    return download(found.open("rb"), name=path, size=found.stat().st_size, offset=offset)


@router.put(
    "/step-runs/{step_run_id}/files/{path:path}",
    status_code=201,
    openapi_extra=UPLOAD,
    tags=["step runs"],
)
async def put_step_run_file(
    call: Caller, workspace: str, step_run_id: str, path: str, request: Request
) -> wire.FileDocument:
    """Store one file below outputs/ or logs/ of the newest attempt, whole or not at all."""

    def store(body: BinaryIO) -> wire.FileDocument:
        step_run = _step_run(call, workspace, step_run_id)
        place = LocalDirectory(_writable_folder(call, workspace, step_run, path))
        entry = place.put(path, body, overwrite=True)
        return wire.FileDocument(path=entry.path, size=entry.size)

    return await streamed(request, call.context.file_bytes_max, store)


@router.get("/step-runs/{step_run_id}/metrics", tags=["metrics"])
def list_step_run_metrics(
    call: Caller, workspace: str, step_run_id: str, name: str | None = None
) -> list[wire.MetricDocument]:
    """List what was logged to a step run, in order."""
    return _metrics(call, workspace, step_run_id, recursive=False, name=name)


@router.post("/step-runs/{step_run_id}/metrics", status_code=204, tags=["metrics"])
def log_step_run_metrics(
    call: Caller, workspace: str, step_run_id: str, request: wire.MetricsRequest
) -> None:
    """Append values to the metrics of a step run."""
    _log(call, workspace, step_run_id, request)


def _step_run(call: Call, workspace: str, step_run_id: str) -> StepRun:
    with call.read() as tx:
        place = workspaces.get(tx, call.actor, workspace)
        return runs.get_step(tx, call.actor, place, step_run_id)


def _writable_folder(call: Call, workspace: str, step_run: StepRun, path: str) -> Path:
    with call.read() as tx:
        place = workspaces.get(tx, call.actor, workspace)
    require(call.actor, "run.write", workspace_id=place.id, run_id=step_run.run_id)
    folder = files.step_folder(call.context.settings.home, step_run)
    files.file_path(folder, path)
    if path.partition("/")[0] not in WRITABLE_FOLDERS or not folder.is_dir():
        expected = "a path below outputs/ or logs/ of an attempt that was started"
        raise Invalid(field="path", value=path, expected=expected)
    return folder


def _metrics(
    call: Call, workspace: str, owner_id: str, *, recursive: bool, name: str | None
) -> list[wire.MetricDocument]:
    with call.read() as tx:
        place = workspaces.get(tx, call.actor, workspace)
        found = runs.metrics(tx, call.actor, place, owner_id, recursive=recursive, name=name)
    return [wire.MetricDocument.of(metric) for metric in found]


def _folder(call: Call, step_run: StepRun, attempt: int | None) -> Path:
    """Return the folder of an attempt, the newest one when None; NotFound if there was none."""
    newest = max(step_run.attempt, 1)
    if attempt is not None and attempt > newest:
        raise NotFound(kind="attempt", id=str(attempt), hint=f"The newest is {newest}.")
    home = call.context.settings.home
    return files.attempt_folder(home, step_run.run_id, step_run.id, attempt or newest)


def _log(call: Call, workspace: str, owner_id: str, request: wire.MetricsRequest) -> None:
    with call.write() as tx:
        place = workspaces.get(tx, call.actor, workspace)
        runs.log_metrics(tx, call.actor, place, owner_id, request, call.now)
