"""A real `penstock up` in a folder of its own, and what benchmarks say to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from penstock.sdk.client import Client
from penstock.sdk.workspace import Workspace

TRIVIAL = "print('hello', flush=True)\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerProcess:
    """A server that runs, with a client of its own."""

    process: psutil.Process
    client: Client
    workspace: Workspace
    ready_seconds: float  # from the start of the process to the first answer


@contextmanager
def server_process(folder: Path, **settings: str) -> Iterator[ServerProcess]:
    """Start a server with PENSTOCK_<NAME> settings, and stop it at the end of the block."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("PENSTOCK_", "AZUREML_"))}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    environ |= {
        "PENSTOCK_HOME": str(folder / "home"),
        "PENSTOCK_CONFIG_DIR": str(folder / "config"),
        "PENSTOCK_PORT": "0",
        **{f"PENSTOCK_{name.upper()}": value for name, value in settings.items()},
    }
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "penstock", "up"],
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url, token = _address(folder / "config", process)
        ready_seconds = time.perf_counter() - started
        os.environ |= {"PENSTOCK_URL": url, "PENSTOCK_TOKEN": token}
        yield ServerProcess(
            process=psutil.Process(process.pid),
            client=Client(url, token),
            workspace=Workspace.get("default"),
            ready_seconds=ready_seconds,
        )
    finally:
        process.terminate()
        process.wait()


def _address(config: Path, process: subprocess.Popen[bytes]) -> tuple[str, str]:
    while not (config / "server.json").exists():
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        time.sleep(0.005)
    document: Mapping[str, str] = json.loads((config / "server.json").read_text())
    return document["url"], (config / "token").read_text().strip()


def wait_until_ended(server: ServerProcess, run_id: str, *, hint_seconds: float) -> float:
    """Return the wall-clock time at which a run ended, asking rarely before `hint_seconds` are
    over."""
    time.sleep(hint_seconds * 0.8)
    route = f"/workspaces/default/runs/{run_id}"
    while True:
        document = server.client.request("GET", route).json()
        if document["state"] == "Finished":
            return _epoch(document["ended_at"])
        if document["ended_at"] is not None:
            raise RuntimeError(f"run {run_id} ended as {document['state']}: {document['error']}")
        time.sleep(0.01)


def _epoch(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()
