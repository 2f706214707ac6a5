"""What running a pipeline costs beyond its processes: `python -m benchmarks steps`.

A chain of 20 trivial steps, and 50 independent ones with two at a time, through a real server
with its durable database, each against the same number of bare `python script.py` processes. Bare
and ours take turns within one run, so that a busy machine disturbs both alike; the median ratio
counts.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.figures import Figure, median
from benchmarks.server_process import TRIVIAL, ServerProcess, server_process, wait_until_ended
from penstock import Pipeline, PythonScriptStep

ROUNDS = 7
WORKERS = 2


def figures() -> list[Figure]:
    """Measure both shapes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "source"
        source.mkdir()
        script = source / "script.py"
        script.write_text(TRIVIAL)
        with server_process(folder, steps_running_max=str(WORKERS)) as server:
            chain = _ratio(server, _chain(server, source, 20), lambda: _bare(script, 20, 1))
            wide = _ratio(server, _wide(server, source, 50), lambda: _bare(script, 50, WORKERS))
    return [
        Figure(name="chain of 20 trivial steps / 20 bare processes", limit=1.25, unit="x", **chain),
        Figure(name="50 trivial steps, 2 at a time / the same bare", limit=1.25, unit="x", **wide),
    ]


def _steps(server: ServerProcess, source: Path, count: int) -> list[PythonScriptStep]:
    return [
        PythonScriptStep(
            "script.py", name=f"step_{i}", source_directory=str(source), compute_target="local"
        )
        for i in range(count)
    ]


def _chain(server: ServerProcess, source: Path, count: int) -> Pipeline:
    steps = _steps(server, source, count)
    for before, after in itertools.pairwise(steps):
        after.run_after(before)
    return Pipeline(server.workspace, steps)


def _wide(server: ServerProcess, source: Path, count: int) -> Pipeline:
    return Pipeline(server.workspace, _steps(server, source, count))


def _bare(script: Path, count: int, workers: int) -> float:
    def start(_: int) -> None:
        subprocess.run([sys.executable, script.name], cwd=script.parent, stdout=-3, check=True)

    began = time.perf_counter()
    if workers == 1:
        for i in range(count):
            start(i)
    else:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(start, range(count)))
    return time.perf_counter() - began


def _ratio(
    server: ServerProcess, pipeline: Pipeline, bare: Callable[[], float]
) -> dict[str, object]:
    published = pipeline.publish(name="benchmark")
    body = {"experiment": "benchmark", "pipeline_id": published.id}
    ratios, seconds = [], []
    for _ in range(ROUNDS + 1):
        alone = bare()
        began = time.time()
        run = server.client.request("POST", "/workspaces/default/runs", json=body).json()
        ours = wait_until_ended(server, run["id"], hint_seconds=alone) - began
        ratios.append(ours / alone)
        seconds.append((ours, alone))
    ours, alone = seconds[ratios.index(sorted(ratios[1:])[ROUNDS // 2])]
    return {
        "value": median(ratios[1:]),  # the first round warms both up
        "detail": f"{ours:.3f} s / {alone:.3f} s; {min(ratios[1:]):.2f} to {max(ratios[1:]):.2f}",
    }
