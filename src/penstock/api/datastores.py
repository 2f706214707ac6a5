"""Routes: datastores with the objects in them, and the snapshots of source folders."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Annotated, BinaryIO

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from penstock import wire
from penstock.api.bodies import JsonRoute, streamed
from penstock.api.context import Call, Caller
from penstock.api.description import DOWNLOAD, UPLOAD
from penstock.api.downloads import Offset, download
from penstock.api.paging import After, Limit
from penstock.core import model
from penstock.datastores.listing import Datastore, Entry
from penstock.errors import Invalid
from penstock.service import snapshots, workspaces
from penstock.service.access import require

router = APIRouter(prefix="/workspaces/{workspace}", route_class=JsonRoute)

SHA256 = re.compile(r"[0-9a-f]{64}")


@router.get("/datastores", tags=["datastores"])
def list_datastores(call: Caller, workspace: str) -> list[wire.DatastoreDocument]:
    """List the datastores of a workspace, by name."""
    with call.read() as tx:
        place = workspaces.get(tx, call.actor, workspace)
        found = workspaces.list_datastores(tx, call.actor, place)
    return [_document(place, datastore) for datastore in found]


@router.get("/datastores/{datastore}", tags=["datastores"])
def get_datastore(call: Caller, workspace: str, datastore: str) -> wire.DatastoreDocument:
    """Show a datastore."""
    with call.read() as tx:
        place = workspaces.get(tx, call.actor, workspace)
        found = workspaces.get_datastore(tx, call.actor, place, datastore)
    return _document(place, found)


@router.get("/datastores/{datastore}/files", tags=["datastores"])
def list_datastore_files(
    call: Caller,
    workspace: str,
    datastore: str,
    prefix: Annotated[str, Query(description="Only what lies below this folder.")] = "",
    recursive: bool = True,
    after: After = None,
    limit: Limit = 100,
) -> wire.Page[wire.EntryDocument]:
    """List the objects of a datastore by their paths."""
    there = _opened(call, workspace, datastore, "datastore.read")
    entries = _later(there.list(prefix, recursive=recursive), after)
    found = [_entry(entry) for entry in islice(entries, limit + 1)]
    following = found[limit - 1].path if len(found) > limit else None
    return wire.Page(items=found[:limit], next=following)


@router.get("/datastores/{datastore}/files/{path:path}", responses=DOWNLOAD, tags=["datastores"])
def get_datastore_file(
    call: Caller, workspace: str, datastore: str, path: str, offset: Offset = 0
) -> Response:
    """Download one object."""
    there = _opened(call, workspace, datastore, "datastore.read")
    size = there.stat(path).size
    return download(there.open(path), name=path, size=size, offset=offset)


@router.put(
    "/datastores/{datastore}/files/{path:path}",
    status_code=201,
    openapi_extra=UPLOAD,
    tags=["datastores"],
)
async def put_datastore_file(
    call: Caller,
    workspace: str,
    datastore: str,
    path: str,
    request: Request,
    overwrite: bool = False,
) -> wire.EntryDocument:
    """Store one object, whole or not at all; one that is there stays unless `overwrite` is set."""
    return await streamed(
        request,
        call.context.file_bytes_max,
        lambda body: _entry(
            _opened(call, workspace, datastore, "datastore.write").put(
                path, body, overwrite=overwrite
            )
        ),
    )


def _opened(call: Call, workspace: str, name: str, action: str) -> Datastore:
    with call.read() as tx:
        place = workspaces.get(tx, call.actor, workspace)
        found = workspaces.get_datastore(tx, call.actor, place, name, action=action)
    return call.context.open_datastore(found)


def _later(entries: Iterator[Entry], after: str | None) -> Iterator[Entry]:
    return (entry for entry in entries if after is None or entry.path > after)


def _document(workspace: model.Workspace, datastore: model.Datastore) -> wire.DatastoreDocument:
    return wire.DatastoreDocument(
        name=datastore.name,
        kind=datastore.kind,
        is_default=datastore.name == workspace.default_datastore,
        created_at=datastore.created_at,
    )


def _entry(entry: Entry) -> wire.EntryDocument:
    return wire.EntryDocument(
        path=entry.path, size=entry.size, etag=entry.etag, modified_at=entry.modified_at
    )


# ---- snapshots -----------------------------------------------------------------------------------


@router.post("/blobs/missing", tags=["snapshots"])
def find_missing_blobs(
    call: Caller, workspace: str, request: wire.MissingBlobs
) -> wire.MissingBlobs:
    """Answer which of these contents are still to be uploaded."""
    _admit_upload(call, workspace)
    for sha256 in request.sha256:
        _check_sha256(sha256)
    return wire.MissingBlobs(sha256=call.context.blobs.missing(request.sha256))


@router.put("/blobs/{sha256}", status_code=204, openapi_extra=UPLOAD, tags=["snapshots"])
async def put_blob(
    call: Caller,
    workspace: str,
    sha256: Annotated[str, Path(description="The SHA-256 of the content, in hexadecimal.")],
    request: Request,
) -> Response:
    """Upload one content; it is kept only if it has this digest."""

    def store(body: BinaryIO) -> None:
        _admit_upload(call, workspace)
        _check_sha256(sha256)
        call.context.blobs.put(sha256, body)

    await streamed(request, call.context.blob_bytes_max, store)
    return Response(status_code=204)


@router.post("/snapshots", status_code=201, tags=["snapshots"])
def create_snapshot(
    call: Caller, workspace: str, draft: wire.SnapshotDraft
) -> wire.SnapshotDocument:
    """Record a source folder whose contents are all uploaded; the same files, the same snapshot."""
    for file in draft.files:
        _check_sha256(file.sha256)
    with call.write() as tx:
        place = workspaces.get(tx, call.actor, workspace)
        blobs = call.context.blobs
        snapshot = snapshots.create(tx, call.actor, place, draft, blobs, call.now)
    return wire.SnapshotDocument(id=snapshot.id)


def _admit_upload(call: Call, workspace: str) -> None:
    with call.read() as tx:
        place = workspaces.get(tx, call.actor, workspace)
    require(call.actor, "run.submit", workspace_id=place.id)


def _check_sha256(text: str) -> None:
    if not SHA256.fullmatch(text):
        expected = "64 hexadecimal digits in lower case"
        raise Invalid(field="sha256", value=text[:100], expected=expected)
