"""Lays out an attempt's folder: its code, its inputs, the places it writes to.

The whole of `code/` is built under another name and renamed into place as the very last act. So
a `code/` that is there means that everything is there, two who build it at once cannot mix their
files, and a script that has already begun to edit its files never has them replaced.
"""

from __future__ import annotations

import errno
import itertools
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from penstock.compute.target import StepLaunch
from penstock.core.model import SnapshotFile
from penstock.errors import ComputeUnavailable, Invalid, StorageFull

CopyFile = Callable[[Path, Path], object]

_LINKED = ("outputs", "logs")  # reachable from code/ too, so that ./outputs/x means what it says
_FULL = (errno.ENOSPC, errno.EDQUOT)
# A name that no file system takes, a file where a folder must be, a place that is not ours.
_LASTING = (
    *(errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP),
    *(errno.EACCES, errno.EPERM),
)

_numbers = itertools.count()


class BlobFolder(Protocol):
    """Where the contents of snapshot files lie on this machine."""

    def path(self, sha256: str) -> Path:
        """Return the file that holds this content, or would."""
        ...


def lay_out(launch: StepLaunch, blobs: BlobFolder, copy_file: CopyFile) -> None:
    """Make the attempt's folder ready for its start; nothing happens when it is.

    What lies in code/ already stays as it is: it may have been laid out ahead, without the inputs
    and outputs that were not known then.

    Files are copied, never linked: scripts may edit what they find in code/.

    Raises:
        Invalid: a file's path leaves code/, or its content or an input is not there; a path that
            can never be made.
        StorageFull: no room; what was laid out so far is taken away again.
        ComputeUnavailable: the folder cannot be written for another reason.
    """
    folder = launch.folder
    code = folder / "code"
    try:
        if not code.is_dir():
            _check_files(launch.files)
            os.makedirs(folder, exist_ok=True)
            for name in ("outputs", "logs", "user_logs", "system_logs"):
                with suppress(FileExistsError):
                    os.mkdir(f"{folder}/{name}")
            _build_code(launch.files, code, blobs, copy_file)
        for directory in launch.directories:
            os.makedirs(directory, exist_ok=True)
        for source, target in launch.copies:
            _bring(source, target, folder / "system_logs" / "inputs.txt", copy_file)
    except OSError as error:
        message = f"The folder {str(folder)!r} cannot be laid out"
        if error.errno in _LASTING:
            raise Invalid(f"{message}: {error.strerror}: {error.filename!r}.") from error
        raise translated(error, message) from error


def translated(error: OSError, message: str) -> StorageFull | ComputeUnavailable:
    """Return the error of ours that stands for `error`."""
    cls = StorageFull if error.errno in _FULL else ComputeUnavailable
    return cls(f"{message}: {error.strerror or error}.", retry_after=10.0)


def _check_files(files: tuple[SnapshotFile, ...]) -> None:
    for file in files:
        if not is_inside(file.path):
            raise Invalid(field="files.path", value=file.path, expected="a path inside the folder")


def is_inside(path: str) -> bool:
    """True for a plain relative path that names something below the folder it starts from."""
    parts = path.split("/")
    return not ("\0" in path or "\\" in path or any(part in ("", ".", "..") for part in parts))


def _build_code(
    files: tuple[SnapshotFile, ...], code: Path, blobs: BlobFolder, copy_file: CopyFile
) -> None:
    building = _new_folder(code.parent)
    try:
        for file in files:
            _place(file, blobs.path(file.sha256), Path(f"{building}/{file.path}"), copy_file)
        for name in _LINKED:
            with suppress(FileExistsError):  # the snapshot has a file or folder of that name
                os.symlink(f"../{name}", f"{building}/{name}")
        _move_unless_there(building, code)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise


def _place(file: SnapshotFile, blob: Path, target: Path, copy_file: CopyFile) -> None:
    if "/" in file.path:
        os.makedirs(target.parent, exist_ok=True)
    try:
        copy_file(blob, target)
    except FileNotFoundError as error:
        raise Invalid(
            f"The content of {file.path!r} is not on the server.",
            field="files.sha256",
            value=file.sha256,
            hint="Build and submit the pipeline again: that uploads it.",
        ) from error
    if file.is_executable:
        mode = target.stat().st_mode
        target.chmod(mode | (mode & 0o444) >> 2)  # whoever may read it may execute it


def _new_folder(parent: Path) -> str:
    """Make a folder to build in; a leftover of that name is an error, the next try has another."""
    path = f"{parent}/.new-{os.getpid()}-{next(_numbers)}"
    os.mkdir(path)
    return path


def _move_unless_there(building: str, target: Path) -> None:
    """Put a folder in its place; the one who comes second leaves the first one's alone."""
    try:
        os.rename(building, target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        shutil.rmtree(building, ignore_errors=True)


def _bring(source: Path, target: Path, log: Path, copy_file: CopyFile) -> None:
    """Copy one input, whole or not at all, with a line before and a line after."""
    if target.exists():
        return
    if not source.exists():
        raise Invalid(
            f"The input {str(source)!r} is not there.",
            field="inputs",
            value=str(source),
            expected="a file or folder",
        )
    os.makedirs(target.parent, exist_ok=True)
    scratch = _new_folder(target.parent)
    whole = Path(scratch, "whole")
    try:
        _note(log, f"copying {source} to {target}")
        files, size = _copy_tree(source, whole, copy_file)
        if source.is_dir():
            _move_unless_there(str(whole), target)
        else:
            os.replace(whole, target)
        _note(log, f"copied {source} to {target}: {files} files, {size} bytes")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _copy_tree(source: Path, target: Path, copy_file: CopyFile) -> tuple[int, int]:
    """Copy a file or a folder with all it holds; return how many files and bytes that was."""
    if not source.is_dir():
        copy_file(source, target)
        return 1, target.stat().st_size
    files, size = 0, 0
    for folder, _, names in os.walk(source):
        here = target / os.path.relpath(folder, source)
        os.makedirs(here, exist_ok=True)
        for name in names:
            copy_file(Path(folder, name), here / name)
            files, size = files + 1, size + (here / name).stat().st_size
    return files, size


def _note(log: Path, line: str) -> None:
    with open(log, "a", encoding="utf-8", errors="backslashreplace") as file:
        file.write(line + "\n")
