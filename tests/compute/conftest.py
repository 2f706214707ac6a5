"""A bench on which attempts of small scripts are run for real."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from penstock.compute.claim import find_claim, find_group
from penstock.compute.local import LocalTarget
from penstock.compute.target import Observation, Phase, StepLaunch
from penstock.core.model import SnapshotFile
from penstock.datastores.blobs import Blobs

_LAUNCHER = Path(__file__).with_name("launcher_process.py")


class Bench:
    """Makes launches out of script texts, watches them, and leaves no process behind."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.blobs = Blobs(root / "blobs")
        self.target = self.new_target()
        self.ended: list[str] = []
        self._heard = threading.Event()
        self._launches: list[StepLaunch] = []
        self._launchers: list[subprocess.Popen[str]] = []

    def new_target(self, **changes: Any) -> LocalTarget:
        """A target that knows nothing of the others: what a restarted server has."""
        settings = {"python": sys.executable, "blobs": self.blobs, "stop_grace_seconds": 0.3}
        return LocalTarget(**{**settings, **changes})

    def file(self, path: str, content: str = "", *, is_executable: bool = False) -> SnapshotFile:
        data = content.encode()
        sha256 = hashlib.sha256(data).hexdigest()
        self.blobs.put(sha256, io.BytesIO(data))
        return SnapshotFile(path=path, sha256=sha256, size=len(data), is_executable=is_executable)

    def script(
        self, text: str, *arguments: str, name: str = "step.py", **changes: Any
    ) -> StepLaunch:
        number = len(self._launches)
        values: dict[str, Any] = {
            "id": f"step-{os.getpid()}-{number}-1",
            "folder": self.root / "runs" / f"run-{number}" / "1",
            "script": name,
            "arguments": arguments,
            "files": (self.file(name, text),),
            "environment": {},
        }
        launch = StepLaunch(**{**values, **changes})
        self._launches.append(launch)
        return launch

    def run(self, launch: StepLaunch) -> Observation:
        """Launch, wait for the end, and return what is seen then."""
        self.start(launch)
        assert self._heard.wait(20), "the target never said that the attempt had ended"
        return self.target.poll(launch.id, launch.folder)

    def start(self, launch: StepLaunch) -> None:
        self.target.launch(launch, self._on_exit)

    def start_elsewhere(self, launch: StepLaunch, *, count: int = 1) -> list[subprocess.Popen[str]]:
        """Launch in `count` other processes at the same moment; they stay until they are killed."""
        launchers = [self._launcher(launch) for _ in range(count)]
        for process in launchers:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in launchers:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in launchers:
            assert process.stdout is not None
            assert process.stdout.readline() == "launched\n"
        return launchers

    def phase(self, launch: StepLaunch, target: LocalTarget | None = None) -> Phase:
        return (target or self.target).poll(launch.id, launch.folder).phase

    def log(self, launch: StepLaunch) -> str:
        path = launch.folder / "user_logs" / "std_log.txt"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def until(self, is_true: Callable[[], object], seconds: float = 20) -> None:
        """Wait for something that another process does; only looking again can tell."""
        deadline = time.monotonic() + seconds
        while not is_true():
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.005)  # nothing tells us when to look: give the other process the CPU

    def clear(self) -> None:
        for launch in self._launches:
            claim = find_claim(launch.folder)
            while claim and (group := find_group(claim, launch.id)):
                with suppress(OSError):
                    os.killpg(group, signal.SIGKILL)
        for process in self._launchers:
            process.kill()
            process.communicate()

    def _on_exit(self, launch_id: str) -> None:
        self.ended.append(launch_id)
        self._heard.set()

    def _launcher(self, launch: StepLaunch) -> subprocess.Popen[str]:
        (file,) = launch.files
        process = subprocess.Popen(
            [
                *(sys.executable, str(_LAUNCHER), str(self.root / "blobs"), launch.id),
                *(str(launch.folder), file.path, file.sha256, str(file.size)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._launchers.append(process)
        return process


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.clear()


@pytest.fixture
def is_alive() -> Callable[[int], bool]:
    """Tell whether a process of that id runs; a zombie does not."""
    return _is_alive


def _is_alive(pid: int) -> bool:
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.strip()
    return bool(state) and not state.startswith("Z")
