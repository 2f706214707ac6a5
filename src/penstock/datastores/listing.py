"""What a datastore is to Penstock: names with sizes and etags, and bytes behind them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One object of a datastore."""

    path: str  # relative to the datastore's root, forward slashes, no leading slash
    size: int  # bytes
    etag: str  # changes whenever the content may have changed
    modified_at: datetime


class Datastore(Protocol):
    """A place where data lives.

    Paths that leave it are refused as Invalid, absent ones are NotFound. A place that cannot be
    seen is DatastoreUnavailable, never empty.
    """

    def list(self, prefix: str = "", *, recursive: bool = True) -> Iterator[Entry]:
        """Yield every object below the folder `prefix`, in the order of their paths."""
        ...

    def stat(self, path: str) -> Entry:
        """Return the entry of one object."""
        ...

    def open(self, path: str) -> BinaryIO:
        """Open one object for reading."""
        ...

    def put(self, path: str, content: BinaryIO, *, overwrite: bool = True) -> Entry:
        """Store an object whole or not at all; Conflict if it exists and `overwrite` is False."""
        ...

    def local_path(self, path: str) -> Path | None:
        """Return where the object (or folder) lies on this machine; None if it lies elsewhere."""
        ...
