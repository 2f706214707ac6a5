"""The files that step runs leave: logs and outputs, read where they lie."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from penstock import wire
from penstock.core.model import StepPlace, StepRun
from penstock.errors import Invalid, NotFound

# What a user may see of an attempt's folder. The code is in the snapshot.
FOLDERS = ("outputs", "logs", "user_logs", "system_logs")
STANDARD_LOG = "user_logs/std_log.txt"
# How the attempt is found again after a crash; it tells a user nothing.
_OURS = frozenset({"system_logs/claim"})


def attempt_folder(home: Path, run_id: str, step_run_id: str, attempt: int) -> Path:
    """Return the folder of one attempt."""
    return home / "runs" / run_id / step_run_id / str(attempt)


def step_folder(home: Path, step: StepRun | StepPlace) -> Path:
    """Return the folder of the newest attempt; before the first launch, the folder it will have."""
    return attempt_folder(home, step.run_id, step.id, max(step.attempt, 1))


def list_files(folder: Path) -> list[wire.FileDocument]:
    """Return the files of an attempt by path; [] when it has not been launched."""
    return [
        wire.FileDocument(path=path.relative_to(folder).as_posix(), size=size)
        for name in FOLDERS
        for path, size in _walk(folder / name)
        if path.relative_to(folder).as_posix() not in _OURS
    ]


def _walk(folder: Path) -> Iterator[tuple[Path, int]]:
    """Yield the files below `folder` with their sizes; links do not count."""
    paths = [Path(root, name) for root, _, names in os.walk(folder) for name in names]
    for path in sorted(paths):
        with suppress(FileNotFoundError):  # a step at work removes files, too
            found = path.lstat()
            if stat.S_ISREG(found.st_mode):
                yield path, found.st_size


def file_path(folder: Path, relative: str) -> Path:
    """Return where the file `relative` of an attempt lies (or would lie).

    Raises:
        Invalid: it is not below outputs/, logs/, user_logs/ or system_logs/ of the attempt.
    """
    root = folder.resolve()
    # Path.resolve() raises RuntimeError for links that a step made in a circle; realpath does not.
    path = Path(os.path.realpath(root / relative)) if _can_be_path(relative) else root
    parts = path.relative_to(root).parts if path.is_relative_to(root) else ()
    if len(parts) < 2 or parts[0] not in FOLDERS:
        expected = f"a path below {', '.join(f'{name}/' for name in FOLDERS)}"
        raise Invalid(field="path", value=relative, expected=expected)
    return path


_NAME_BYTES_MAX = 255  # of one folder's or file's name, on every usual file system
_PATH_BYTES_MAX = 2048  # leaves room for the folder of the attempt in the 4096 that Linux allows


def _can_be_path(text: str) -> bool:
    try:
        encoded = text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    longest = max(len(name) for name in encoded.split(b"/"))
    is_short = longest <= _NAME_BYTES_MAX and len(encoded) <= _PATH_BYTES_MAX
    return is_short and b"\0" not in encoded


def existing_file(folder: Path, relative: str) -> Path:
    """Return where the file `relative` lies; raise NotFound if it is not there."""
    path = file_path(folder, relative)
    if not path.is_file():
        raise NotFound(kind="file", id=relative)
    return path


def read_log(folder: Path, offset: int, limit: int, *, has_ended: bool) -> wire.LogDocument:
    """Return a piece of the standard log, whole characters only; empty when there is nothing new.

    Args:
        folder: the attempt's folder.
        offset: where to start, in bytes.
        limit: at most so many bytes; 4 or more, so that the next character always fits.
        has_ended: whether the attempt can still write.
    """
    path = folder / STANDARD_LOG
    if not path.is_file():
        return wire.LogDocument(text="", next_offset=offset, is_complete=has_ended)
    with path.open("rb") as log:
        log.seek(offset)
        content = log.read(limit)
        at_end = log.tell() >= path.stat().st_size
    if not (at_end and has_ended):
        content = _whole_characters(content)
    return wire.LogDocument(
        text=content.decode("utf-8", errors="replace"),
        next_offset=offset + len(content),
        is_complete=at_end and has_ended,
    )


def _whole_characters(content: bytes) -> bytes:
    """Return `content` without a UTF-8 character that was cut at its end."""
    for back in range(1, min(4, len(content)) + 1):
        byte = content[-back]
        if byte & 0xC0 == 0x80:
            continue
        width = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
        return content[:-back] if width > back else content
    return content
