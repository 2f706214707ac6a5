"""A whole server for a test: real port, real database, in a folder of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from penstock import serve
from penstock.clock import Clock
from penstock.settings import Settings


@contextmanager
def temporary_server(
    folder: Path, *, clock: Clock | None = None, **settings: Any
) -> Iterator[serve.Server]:
    """Run a server on a free port until the end of the block.

    Its data are in `<folder>/home`, its token and its address in `<folder>/config`; nothing of the
    user's own configuration is read or changed. Steps that still run at the end go on.

    Args:
        folder: an empty folder, or the one of an earlier server that is to be continued.
        clock: another clock than the machine's.
        settings: fields of Settings that are to differ from the defaults.
    """
    chosen = {"home": folder / "home", "config_dir": folder / "config", "port": 0} | settings
    server = serve.build(Settings.load({"HOME": str(folder)}, **chosen), clock)
    server.start()
    try:
        yield server
    finally:
        server.stop()
