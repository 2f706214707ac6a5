"""Blobs: file contents, kept once each under the hash of what they hold."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from penstock.datastores.writing import (
    NewFile,
    errors_translated,
    new_file,
    read_chunks,
    write_whole,
)
from penstock.errors import Invalid, TooLarge

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


class Blobs:
    """A folder of contents: `<root>/ab/abcdef…`. What is there is complete and never changes."""

    def __init__(self, root: Path, *, new_file: NewFile = new_file) -> None:
        """Remember the folder; it is made when the first content arrives.

        Args:
            root: the folder.
            new_file: how a file is opened for writing; another one lets a test fill the disk.
        """
        self._root = root
        self._new_file = new_file

    def path(self, sha256: str) -> Path:
        """Return the file that holds this content, or would.

        Raises:
            Invalid: `sha256` is not 64 lower-case hexadecimal digits.
        """
        if not _SHA256.fullmatch(sha256):
            raise Invalid(field="sha256", value=sha256, expected="64 lower-case hexadecimal digits")
        return self._root / sha256[:2] / sha256

    def missing(self, shas: Iterable[str]) -> list[str]:
        """Return those of `shas` that are not stored, in their order, each once.

        Raises:
            Invalid: one of them is not a SHA-256.
        """
        return [sha256 for sha256 in dict.fromkeys(shas) if not self.path(sha256).exists()]

    def put(self, sha256: str, content: BinaryIO, *, bytes_max: int | None = None) -> None:
        """Store the content whole or not at all, safe on disk when this returns.

        Nothing is read if it is stored already. Two who store the same content both succeed.

        Raises:
            Invalid: the content has another hash, or `sha256` is none.
            TooLarge: the content has more than `bytes_max` bytes.
            StorageFull: no room on the disk.
            DatastoreUnavailable: the disk refuses for another reason.
        """
        target = self.path(sha256)
        if target.exists():
            return
        with errors_translated(target):
            os.makedirs(target.parent, exist_ok=True)
        chunks = _verified(read_chunks(content), sha256, bytes_max)
        write_whole(target, chunks, overwrite=True, new_file=self._new_file)
        with errors_translated(target):
            _sync_folder(target.parent)


def _verified(chunks: Iterable[bytes], sha256: str, bytes_max: int | None) -> Iterator[bytes]:
    """Pass the chunks on; raise after the last one, so before it counts, if they were wrong."""
    digest, size = hashlib.sha256(), 0
    for chunk in chunks:
        size += len(chunk)
        if bytes_max is not None and size > bytes_max:
            raise TooLarge(
                f"The content is larger than the limit of {bytes_max} bytes.", bytes_max=bytes_max
            )
        digest.update(chunk)
        yield chunk
    if digest.hexdigest() != sha256:
        raise Invalid(
            f"The content's SHA-256 is {digest.hexdigest()}, not {sha256}.",
            field="sha256",
            value=sha256,
            expected=digest.hexdigest(),
            hint="It was changed on the way, or the file changed while it was read: send it again.",
        )


def _sync_folder(folder: Path) -> None:
    """Make the new name itself survive a power cut: a snapshot in the database will rely on it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
