"""A datastore in memory, on which a test decides what fails."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from penstock.clock import Clock
from penstock.datastores.listing import Entry
from penstock.errors import Conflict, DatastoreUnavailable, Invalid, NotFound


class FakeDatastore:
    """Implements Datastore over a plain dict; its instants come from the clock it is given."""

    def __init__(self, clock: Clock) -> None:
        """Start empty and without faults."""
        self.contents: dict[str, bytes] = {}  # by path; read it, but change it through the methods
        self.is_away = False  # every method raises DatastoreUnavailable
        self.listing_fails_after: int | None = None  # so many entries, then DatastoreUnavailable
        self._clock = clock
        self._entries: dict[str, Entry] = {}
        self._changes = 0  # counted into the etags: never the same twice

    def list(self, prefix: str = "", *, recursive: bool = True) -> Iterator[Entry]:
        """Yield the entries below the folder `prefix` in path order, until the listing is to fail.

        Like a real listing it is not one moment: what changes meanwhile may be seen or not.
        """
        folder = _plain(prefix)
        return self._walk(f"{folder}/" if folder else "", recursive)

    def stat(self, path: str) -> Entry:
        """Return the entry of one object."""
        plain = _plain(path)
        self._answer()
        if plain not in self._entries:
            raise NotFound(kind="file", id=plain)
        return self._entries[plain]

    def open(self, path: str) -> BinaryIO:
        """Open a copy of one object's bytes."""
        return io.BytesIO(self.contents[self.stat(path).path])

    def put(self, path: str, content: BinaryIO, *, overwrite: bool = True) -> Entry:
        """Store an object, with a new etag also when its bytes are the same."""
        plain = _plain(path)
        self._answer()
        if not plain:
            raise Invalid(field="path", value=path, expected="the path of a file")
        is_folder = any(other.startswith(f"{plain}/") for other in self.contents)
        is_below_file = any(plain.startswith(f"{other}/") for other in self.contents)
        if is_folder or is_below_file or (plain in self.contents and not overwrite):
            raise Conflict(f"{plain!r} cannot be written: something is there.")
        self.contents[plain] = content.read()
        self._changes += 1
        self._entries[plain] = Entry(
            path=plain,
            size=len(self.contents[plain]),
            etag=f"{self._changes}",
            modified_at=self._clock.now(),
        )
        return self._entries[plain]

    def write(self, path: str, content: bytes = b"") -> Entry:
        """Store bytes: what a test says when it means a file has arrived."""
        return self.put(path, io.BytesIO(content))

    def remove(self, path: str) -> None:
        """Take an object away."""
        plain = self.stat(path).path
        del self.contents[plain], self._entries[plain]

    def local_path(self, path: str) -> Path | None:
        """Return None: nothing here lies on a disk."""
        _plain(path)
        return None

    def _walk(self, start: str, recursive: bool) -> Iterator[Entry]:
        self._answer()
        for count, path in enumerate(sorted(p for p in self._entries if p.startswith(start))):
            if self.listing_fails_after is not None and count >= self.listing_fails_after:
                raise DatastoreUnavailable("The fake datastore has stopped in mid-listing.")
            self._answer()
            if path in self._entries and (recursive or "/" not in path[len(start) :]):
                yield self._entries[path]

    def _answer(self) -> None:
        if self.is_away:
            raise DatastoreUnavailable("The fake datastore is away.")


def _plain(path: str) -> str:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith("/") or ".." in parts or "\\" in path or "\0" in path:
        raise Invalid(
            field="path", value=path, expected="a relative path that stays within the datastore"
        )
    return "/".join(parts)
