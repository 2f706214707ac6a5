"""What a launch costs beyond `python script.py`: run as `python benchmarks/launch_overhead.py`.

A trivial script is run bare and through LocalTarget (prepare, launch, wait for on_exit), by turns,
so that a busy machine disturbs both alike. on_exit's delay is measured from the instant at which
the wrapper wrote the exit code, which the kernel rounds down to its last tick.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from penstock.compute.local import LocalTarget
from penstock.compute.target import StepLaunch
from penstock.core.model import SnapshotFile
from penstock.datastores.blobs import Blobs

_TEXT = b"pass\n"
_ROUNDS = 7


class Bench:
    """One trivial script, bare and as a step."""

    def __init__(self, root: Path) -> None:
        sha256 = hashlib.sha256(_TEXT).hexdigest()
        blobs = Blobs(root / "blobs")
        blobs.put(sha256, io.BytesIO(_TEXT))
        self._script = root / "script.py"
        self._script.write_bytes(_TEXT)
        self._file = SnapshotFile(path="script.py", sha256=sha256, size=len(_TEXT))
        self._target = LocalTarget(sys.executable, blobs, 10.0)
        self._root = root
        self._numbers = itertools.count()
        self.delays: list[float] = []

    def bare(self) -> None:
        subprocess.run([sys.executable, str(self._script)], check=True)

    def step(self) -> None:
        number = next(self._numbers)
        launch = StepLaunch(
            id=f"step-{number}-1",
            folder=self._root / "runs" / f"{number}" / "1",
            script="script.py",
            arguments=(),
            files=(self._file,),
            environment={},
        )
        ended = threading.Event()
        told: list[float] = []
        self._target.prepare(launch)
        self._target.launch(launch, lambda _: (told.append(time.time()), ended.set()))
        ended.wait()
        seen = self._target.poll(launch.id, launch.folder)
        assert seen.exit_code == 0
        assert seen.ended_at is not None
        self.delays.append(told[0] - seen.ended_at.timestamp())


def _seconds(run: Callable[[], None], count: int, workers: int) -> float:
    started = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        for future in [pool.submit(run) for _ in range(count)]:
            future.result()
    return time.perf_counter() - started


def main() -> None:
    """Print the ratios; the aim is below 1.10, on a machine that does nothing else."""
    with tempfile.TemporaryDirectory() as root:
        bench = Bench(Path(root))
        for count, workers in ((20, 1), (50, 2)):
            pairs = [
                (_seconds(bench.bare, count, workers), _seconds(bench.step, count, workers))
                for _ in range(_ROUNDS)
            ]
            bare, step = (min(times) for times in zip(*pairs, strict=True))
            ratio = statistics.median(step / bare for bare, step in pairs)
            print(
                f"{count} steps on {workers}: bare {bare * 1e3:.0f} ms, steps {step * 1e3:.0f} ms, "
                f"best by best {step / bare:.3f}, median ratio {ratio:.3f}"
            )
        delays = sorted(bench.delays)
        print(
            f"on_exit after {statistics.median(delays) * 1e3:.2f} ms (median), "
            f"{delays[len(delays) * 95 // 100] * 1e3:.2f} ms (95 %)"
        )


if __name__ == "__main__":
    main()
