"""A server as a process of its own, which a test can kill and start again in the same home."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from penstock.sdk.client import Client

Found = TypeVar("Found")


def until(look: Callable[[], Found], what: str, seconds: float = 60) -> Found:
    """Return what `look` finds, as soon as it is something."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"it did not happen: {what}"
        time.sleep(0.02)  # it happens in another process, and nothing tells when
    return found


class ServerProcess:
    """`penstock up` in a folder; several may share a home, each with its own configuration."""

    def __init__(self, folder: Path, name: str = "config", **settings: str) -> None:
        self.config = folder / name
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PENSTOCK_")}
        self.environ = kept | {
            "PENSTOCK_HOME": str(folder / "home"),
            "PENSTOCK_CONFIG_DIR": str(self.config),
            "PENSTOCK_PORT": "0",
            "PENSTOCK_STEP_POLL_SECONDS": "0.2",
            "PENSTOCK_STOP_GRACE_SECONDS": "1",
            **settings,
        }
        self.log = folder / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> ServerProcess:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end(signal.SIGTERM)

    def start(self) -> None:
        """Start and return when it answers."""
        address = self.config / "server.json"
        address.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "penstock", "up"], env=self.environ, stdout=log, stderr=log
            )
        process = self.process

        def is_up() -> bool:
            assert process.poll() is None, self.log.read_text()[-3000:]
            return address.exists()

        until(is_up, "the server answers")

    def end(self, number: signal.Signals) -> None:
        """End it with a signal and wait for it."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait(timeout=30)

    @property
    def url(self) -> str:
        """Where it listens."""
        url: str = json.loads((self.config / "server.json").read_text())["url"]
        return url

    @property
    def token(self) -> str:
        """The administrator's token."""
        return self.environ.get("PENSTOCK_TOKEN") or (self.config / "token").read_text().strip()

    def client(self) -> Client:
        """Return a client of the server as it listens now."""
        return Client(self.url, self.token)
