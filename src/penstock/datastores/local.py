"""A directory as a datastore."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from penstock.datastores.listing import Entry
from penstock.datastores.writing import (
    HIDDEN_PREFIX,
    NewFile,
    errors_translated,
    new_file,
    read_chunks,
    write_whole,
)
from penstock.errors import DatastoreUnavailable, Invalid, NotFound

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class LocalDirectory:
    """A directory of this machine. Its objects are the regular files below it.

    A symbolic link counts as what it points to when that lies in the directory too; one that leads
    outside is not listed, and a path through it is refused. Names with a backslash or that are not
    valid Unicode cannot be written in a path that means the same everywhere: they are not listed.
    """

    def __init__(self, root: Path, *, new_file: NewFile = new_file) -> None:
        """Remember the directory; it need not exist yet.

        Args:
            root: the directory, absolute.
            new_file: how a file is opened for writing; another one lets a test fill the disk.
        """
        self._root = os.path.realpath(root)
        self._new_file = new_file

    def list(self, prefix: str = "", *, recursive: bool = True) -> Iterator[Entry]:
        """Yield the files below the folder `prefix`, in the order of their whole paths as text.

        A folder that is not there holds nothing. A file that goes away meanwhile is left out. Each
        folder is read when its turn comes; no more than the folders on the way to it are in memory.

        Raises:
            Invalid: `prefix` leaves the directory; at once, not at the first entry.
            DatastoreUnavailable: the directory, or a folder below it, cannot be read: not to be
                mistaken for an empty one.
        """
        path, start = self._resolve(prefix)
        return self._walk(path, start, recursive)

    def stat(self, path: str) -> Entry:
        """Return the entry of one file.

        Raises:
            NotFound: there is no such file; a folder is none.
            Invalid: `path` leaves the directory.
            DatastoreUnavailable: it cannot be read.
        """
        path, real = self._resolve(path)
        return _entry(path, self._status(path, real))

    def open(self, path: str) -> BinaryIO:
        """Open one file for reading.

        Raises:
            NotFound: there is no such file; a folder is none.
            Invalid: `path` leaves the directory.
            DatastoreUnavailable: it cannot be read.
        """
        path, real = self._resolve(path)
        self._status(path, real)  # a pipe is not a file, and opening one would wait for a writer
        try:
            return open(real, "rb")
        except FileNotFoundError as error:
            raise NotFound(kind="file", id=path) from error
        except OSError as error:
            raise _unavailable(real, error) from error

    def put(self, path: str, content: BinaryIO, *, overwrite: bool = True) -> Entry:
        """Store a file whole or not at all, making the folders on the way.

        While it is written it has a hidden name beside its place, which no listing shows.

        Raises:
            Conflict: the file exists and `overwrite` is False (also if somebody else was quicker
                just now), or a folder is in its place, or a file in that of one of its folders.
            Invalid: `path` leaves the directory.
            StorageFull: no room on the disk.
            DatastoreUnavailable: it cannot be written.
        """
        path, real = self._resolve(path)
        if not path:
            raise Invalid(field="path", value=path, expected="the path of a file")
        target = Path(real)
        with errors_translated(target):
            os.makedirs(target.parent, exist_ok=True)
        chunks = read_chunks(content)
        write_whole(target, chunks, overwrite=overwrite, new_file=self._new_file)
        return self.stat(path)

    def local_path(self, path: str) -> Path:
        """Return where a file or folder lies, or would lie.

        Raises:
            Invalid: `path` leaves the directory.
        """
        return Path(self._resolve(path)[1])

    def _resolve(self, path: str) -> tuple[str, str]:
        """Return the path in its plain form, and the file it names after all links."""
        parts = [part for part in path.split("/") if part not in ("", ".")]
        plain = "/".join(parts)
        is_hidden = any(part.startswith(HIDDEN_PREFIX) for part in parts)
        if path.startswith("/") or ".." in parts or not _is_nameable(path) or is_hidden:
            raise _leaves(path)
        real = os.path.realpath(os.path.join(self._root, plain))
        if not self._holds(real):
            raise _leaves(path)
        return plain, real

    def _holds(self, real: str) -> bool:
        return real == self._root or real.startswith(self._root.rstrip("/") + "/")

    def _status(self, path: str, real: str) -> os.stat_result:
        try:
            status = os.stat(real)
        except (FileNotFoundError, NotADirectoryError) as error:
            self._check_root()
            raise NotFound(kind="file", id=path) from error
        except OSError as error:
            raise _unavailable(real, error) from error
        if not stat.S_ISREG(status.st_mode):
            raise NotFound(kind="file", id=path)
        return status

    def _check_root(self) -> None:
        """Raise if the directory itself is away: then nothing can be said about what it holds."""
        try:
            os.stat(self._root)
        except OSError as error:
            raise _unavailable(self._root, error) from error

    def _walk(
        self, path: str, folder: str, recursive: bool, above: tuple[str, ...] = ()
    ) -> Iterator[Entry]:
        """Yield what lies in `folder`, known as `path`; `above` are the folders around it."""
        for name, real, status in self._children(folder):
            inner = f"{path}/{name}" if path else name
            if stat.S_ISREG(status.st_mode):
                yield _entry(inner, status)
            elif stat.S_ISDIR(status.st_mode) and recursive and real not in (*above, folder):
                yield from self._walk(inner, real, recursive, (*above, folder))

    def _children(self, folder: str) -> Iterator[tuple[str, str, os.stat_result]]:
        """Yield name, file after all links, and status of what lies in a folder, in path order."""
        try:
            with os.scandir(folder) as scan:
                found = [item for item in scan if _is_nameable(item.name)]
        except (FileNotFoundError, NotADirectoryError):
            self._check_root()
            return
        except OSError as error:
            raise _unavailable(folder, error) from error
        # A folder's files compare by "name/…", so that "a-b" and "a.txt" come before "a/x".
        for item in sorted(found, key=lambda item: item.name + "/" * _is_folder(item)):
            real = os.path.realpath(item.path) if item.is_symlink() else item.path
            if item.name.startswith(HIDDEN_PREFIX) or not self._holds(real):
                continue
            status = _look(item)
            if status is not None:
                yield item.name, real, status


def _look(item: os.DirEntry[str]) -> os.stat_result | None:
    """Return what an entry is, or leads to; None if it went away, or is a link to nothing."""
    try:
        return item.stat()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP):
            return None
        raise _unavailable(item.path, error) from error


def _is_folder(item: os.DirEntry[str]) -> bool:
    try:
        return item.is_dir()
    except OSError:  # a link that turns in a circle
        return False


def _is_nameable(name: str) -> bool:
    return (
        "\\" not in name and "\0" not in name and not any("\ud800" <= c <= "\udfff" for c in name)
    )


def _entry(path: str, status: os.stat_result) -> Entry:
    changed_ns = status.st_mtime_ns
    return Entry(
        path=path,
        size=status.st_size,
        # The inode tells a file that was replaced by another with the same time and size.
        etag=f"{status.st_ino:x}-{changed_ns:x}-{status.st_size:x}",
        modified_at=_EPOCH + timedelta(microseconds=changed_ns // 1000),
    )


def _leaves(path: str) -> Invalid:
    return Invalid(
        field="path",
        value=path,
        expected="a relative path with forward slashes that stays within the datastore",
    )


def _unavailable(path: str, error: OSError) -> DatastoreUnavailable:
    return DatastoreUnavailable(
        f"The datastore did not answer for {path!r}: {error.strerror or error}."
    )
