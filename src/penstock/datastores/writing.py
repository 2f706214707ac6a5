"""Writes a file whole or not at all: under a hidden name first, then into its place."""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from penstock.errors import Conflict, DatastoreUnavailable, StorageFull

CHUNK_BYTES = 1 << 20
HIDDEN_PREFIX = ".penstock-put-"  # of files that are still being written; no listing shows them

NewFile = Callable[[Path], BinaryIO]

_numbers = itertools.count()


def new_file(folder: Path) -> BinaryIO:
    """Open a file in `folder` for writing, under a hidden name that nobody else uses."""
    while True:
        try:
            return open(folder / f"{HIDDEN_PREFIX}{os.getpid()}-{next(_numbers)}", "xb")
        except FileExistsError:  # left behind by a process that had our id before us
            continue


def write_whole(
    target: Path, chunks: Iterable[bytes], *, overwrite: bool, new_file: NewFile = new_file
) -> None:
    """Write the chunks to `target` and on to the disk; an error leaves `target` as it was.

    Its folder must exist. An error raised by `chunks` itself passes unchanged.

    Raises:
        Conflict: there is something at `target` that may not, or cannot, be replaced.
        StorageFull: no room on the disk.
        DatastoreUnavailable: the disk refuses for another reason.
    """
    with errors_translated(target):
        file = new_file(target.parent)
    try:
        with file:
            for chunk in chunks:
                with errors_translated(target):
                    file.write(chunk)
            with errors_translated(target):
                file.flush()
                os.fsync(file.fileno())
        with errors_translated(target):
            if overwrite:
                os.replace(file.name, target)
            else:
                os.link(file.name, target)  # unlike a rename, fails if someone was quicker
    finally:
        with suppress(FileNotFoundError):
            os.unlink(file.name)


def read_chunks(content: BinaryIO) -> Iterator[bytes]:
    """Yield the rest of a stream in pieces that fit in memory."""
    while chunk := content.read(CHUNK_BYTES):
        yield chunk


@contextmanager
def errors_translated(path: Path) -> Iterator[None]:
    """Turn the operating system's errors about `path` into ours."""
    try:
        yield
    except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
        raise Conflict(f"{str(path)!r} cannot be written: {error.strerror}.") from error
    except OSError as error:
        reason = f"{str(path)!r}: {error.strerror or error}."
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(f"No room for {reason}", retry_after=10.0) from error
        raise DatastoreUnavailable(f"The datastore did not answer for {reason}") from error
