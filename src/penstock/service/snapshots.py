"""Snapshots: a step's files as they were when the pipeline was built."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import PurePosixPath
from typing import Protocol

from penstock import wire
from penstock.core.access import Actor
from penstock.core.model import Snapshot, SnapshotFile, Workspace
from penstock.errors import Invalid
from penstock.service import limits
from penstock.service.access import require
from penstock.store import pipelines as rows
from penstock.store.database import Transaction


class Blobs(Protocol):
    """The part of the blob folder that this room needs."""

    def missing(self, shas: Sequence[str]) -> list[str]:
        """Return those of `shas` that are not stored."""
        ...


def create(
    tx: Transaction,
    actor: Actor,
    workspace: Workspace,
    draft: wire.SnapshotDraft,
    blobs: Blobs,
    now: datetime,
) -> Snapshot:
    """Record a snapshot whose files are all stored; the same files give the same snapshot.

    Raises:
        Invalid: a path is not a plain relative one, comes twice, or is a file and a folder at
            once; a file's content was not uploaded.
    """
    require(actor, "run.submit", workspace_id=workspace.id)
    files = tuple(sorted(draft.files, key=lambda file: file.path))
    _check_paths(files)
    absent = blobs.missing([file.sha256 for file in files])
    if absent:
        names = ", ".join(repr(file.path) for file in files if file.sha256 in absent)
        raise Invalid(
            f"The content of {names} is not on the server.",
            field="files",
            hint="Upload it first (PUT …/blobs/{sha256}).",
        )
    snapshot = Snapshot(id=_digest(files), workspace_id=workspace.id, files=files, created_at=now)
    if rows.find_snapshot(tx, workspace.id, snapshot.id) is None:
        rows.put_snapshot(tx, snapshot)
    return snapshot


def _check_paths(files: Sequence[SnapshotFile]) -> None:
    seen: set[str] = set()
    for file in files:
        if not _is_plain(file.path):
            raise Invalid(field="files.path", value=file.path, expected="a path inside the folder")
        if file.path in seen:
            raise Invalid(field="files.path", value=file.path, expected="each path once")
        seen.add(file.path)
    for file in files:
        for folder in PurePosixPath(file.path).parents:
            if str(folder) in seen:
                expected = f"no file below {str(folder)!r}, which is a file itself"
                raise Invalid(field="files.path", value=file.path, expected=expected)


def _is_plain(path: str) -> bool:
    """True for a relative path that every file system takes, written in the one plain way."""
    parts = path.split("/")
    is_written_plainly = "\\" not in path and not any(part in ("", ".", "..") for part in parts)
    is_short = len(path) <= wire.PATH_MAX and all(_bytes(part) <= NAME_BYTES_MAX for part in parts)
    return is_written_plainly and is_short and not limits.NOT_TEXT.search(path)


NAME_BYTES_MAX = 255  # of one folder's or file's name, on every usual file system


def _bytes(text: str) -> int:
    return len(text.encode(errors="replace"))


def _digest(files: Sequence[SnapshotFile]) -> str:
    lines = (f"{file.sha256} {int(file.is_executable)} {file.path}\n" for file in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
