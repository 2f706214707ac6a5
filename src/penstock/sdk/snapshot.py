"""Snapshots: a step's source directory, found, measured and uploaded once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import penstock
from penstock.core.model import SnapshotFile
from penstock.errors import Invalid
from penstock.sdk.exceptions import SnapshotException
from penstock.sdk.ignore import Rule, is_ignored, parsed
from penstock.wire import MissingBlobs, SnapshotDocument, SnapshotDraft

SIZE_MAX = 300 * 1024 * 1024  # bytes
FILES_MAX = 2000
_LISTED_MAX = 5

# .amlignore, where there is one, stands instead of .gitignore.
IGNORE_FILES = (".amlignore", ".gitignore")
# What no step needs. outputs/ and logs/ are where a step finds its own empty folders.
_ALWAYS = parsed([".git/", ".ipynb_checkpoints/", "__pycache__/", "*.pyc", "/outputs", "/logs"])


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file of a source directory."""

    path: str  # relative, with forward slashes
    file: Path
    size: int
    is_executable: bool


def source_files(directory: Path) -> list[SourceFile]:
    """Return the files of a source directory that are not ignored, by path.

    Links to files are read as files; links to folders, virtual environments and folders' own
    version control are left out.

    Raises:
        SnapshotException: too many files, or too much in them; the largest are named.
    """
    files = sorted(_walk(directory, "", list(_ALWAYS)), key=lambda file: file.path)
    size = sum(file.size for file in files)
    if size > SIZE_MAX or len(files) > FILES_MAX:
        raise _too_large(directory, files, size)
    return files


def _walk(root: Path, folder: str, rules: list[Rule]) -> Iterator[SourceFile]:
    """Yield the files below a folder; an ignore file in it adds to the rules of those above it."""
    here = root / folder
    rules = [*rules, *_rules_in(here, folder)]
    with os.scandir(here) as entries:
        listed = sorted(entries, key=lambda entry: entry.name)
    for entry in listed:
        path = f"{folder}/{entry.name}" if folder else entry.name
        if entry.is_dir(follow_symlinks=False):
            is_environment = os.path.exists(os.path.join(entry.path, "pyvenv.cfg"))
            if not is_environment and not is_ignored(rules, path, is_folder=True):
                yield from _walk(root, path, rules)
        elif entry.is_file() and not is_ignored(rules, path, is_folder=False):
            status = entry.stat()
            yield SourceFile(
                path=path,
                file=Path(entry.path),
                size=status.st_size,
                is_executable=bool(status.st_mode & 0o111),
            )


def _rules_in(here: Path, folder: str) -> list[Rule]:
    for name in IGNORE_FILES:
        try:
            lines = (here / name).read_text(encoding="utf-8", errors="replace").splitlines()
        except (FileNotFoundError, IsADirectoryError):
            continue
        return parsed(lines, folder)
    return []


def _too_large(directory: Path, files: Sequence[SourceFile], size: int) -> SnapshotException:
    largest = sorted(files, key=lambda file: file.size, reverse=True)[:_LISTED_MAX]
    named = ", ".join(f"{file.path} ({_in_words(file.size)})" for file in largest)
    return SnapshotException(
        f"The source directory {directory.absolute()} has {len(files)} files with "
        f"{_in_words(size)}; the limits are {FILES_MAX} files and {_in_words(SIZE_MAX)}. "
        f"The largest: {named}. List what the step does not need in a .amlignore file there.",
        files=len(files),
        size=size,
    )


def _in_words(size: int) -> str:
    return f"{size / 1024**2:.1f} MB" if size >= 1024**2 else f"{size / 1024:.1f} kB"


def check_script(files: Sequence[SourceFile], directory: Path, script: str) -> None:
    """Raise Invalid when the script of a step is among the ignored files."""
    if Path(script).as_posix() not in {file.path for file in files}:
        raise Invalid(
            f"The script {script!r} in {directory.absolute()} is left out by an ignore file "
            f"({' or '.join(IGNORE_FILES)}). Take it back there with a line !{script}.",
            field="script_name",
            value=script,
        )


def uploaded(workspace: penstock.Workspace, files: Sequence[SourceFile]) -> str:
    """Upload what the server does not have yet, and return the snapshot's id."""
    hashed = [(file, _sha256(file.file)) for file in files]
    if hashed:
        asked = MissingBlobs(sha256=sorted({sha256 for _, sha256 in hashed}))
        path = workspace.route("blobs", "missing")
        missing = set(workspace.client.send(MissingBlobs, "POST", path, asked).sha256)
        for file, sha256 in hashed:
            if sha256 in missing:
                workspace.client.upload(workspace.route("blobs", sha256), file.file)
                missing.remove(sha256)  # another file may have the same content
    draft = SnapshotDraft(
        files=[
            SnapshotFile(
                path=file.path, sha256=sha256, size=file.size, is_executable=file.is_executable
            )
            for file, sha256 in hashed
        ]
    )
    path = workspace.route("snapshots")
    return workspace.client.send(SnapshotDocument, "POST", path, draft).id


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
