"""How heavy Penstock is: `python -m benchmarks weight`.

Start-up, idle load and memory of a real server; how long `import penstock` takes; how many
distributions an installation brings (each in a fresh virtual environment, so this needs pip to
work).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

from benchmarks.figures import Figure, median
from benchmarks.server_process import server_process

ROOT = Path(__file__).parent.parent
IDLE_SECONDS = 20.0


def figures() -> list[Figure]:
    """Measure all of it."""
    return [*_server(), _import(), *_installed()]


def _server() -> list[Figure]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with server_process(folder) as server:  # the first start makes the database
            first = server.ready_seconds
        with server_process(folder) as server:
            again = server.ready_seconds
            time.sleep(2.0)
            before = sum(server.process.cpu_times()[:2])
            time.sleep(IDLE_SECONDS)
            load = (sum(server.process.cpu_times()[:2]) - before) / IDLE_SECONDS
            resident = server.process.memory_info().rss / 1e6
    return [
        Figure(
            name="penstock up: ready",
            value=max(first, again),
            unit="s",
            limit=2.0,
            detail=f"first start {first:.2f} s, later {again:.2f} s",
        ),
        Figure(name="idle: share of a core", value=load * 100, unit="%", limit=0.5),
        Figure(name="idle: resident", value=resident, unit="MB", limit=150.0),
    ]


def _import() -> Figure:
    def seconds(statement: str) -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", statement], check=True)
        return time.perf_counter() - began

    bare = median([seconds("pass") for _ in range(9)])
    package = median([seconds("import penstock") for _ in range(9)]) - bare
    names = "from penstock import Workspace, Pipeline, PythonScriptStep, Schedule"
    classes = median([seconds(names) for _ in range(9)]) - bare
    return Figure(
        name="import penstock",
        value=package * 1e3,
        unit="ms",
        limit=150.0,
        detail=f"with the classes of a typical script {classes * 1e3:.0f} ms",
    )


def _installed() -> list[Figure]:
    found = []
    for extra, count_max, megabytes_max in (("", 15, None), ("[server]", 45, 90)):
        with tempfile.TemporaryDirectory() as name:
            venv.create(name, with_pip=True)
            python = f"{name}/bin/python"
            pip = [python, "-m", "pip", "--disable-pip-version-check"]
            source = [f"{ROOT}{extra}", str(ROOT / "compat")]
            constraints = ["-c", str(ROOT / "constraints.txt")]
            subprocess.run([*pip, "install", "-q", *constraints, *source], check=True, stderr=-3)
            listed = subprocess.run([*pip, "list", "--format=freeze"], check=True, stdout=-1)
            lines = listed.stdout.decode().split()
            ours = [line for line in lines if not line.startswith(("pip==", "setuptools=="))]
            size = _megabytes(Path(name))
        label = f"penstock{extra} with penstock-azureml"
        found.append(
            Figure(name=f"{label}: distributions", value=len(ours), unit="", limit=count_max)
        )
        if megabytes_max:
            found.append(Figure(name=f"{label}: size", value=size, unit="MB", limit=megabytes_max))
    return found


def _megabytes(environment: Path) -> float:
    """Return what lies in site-packages, without pip, setuptools and compiled bytecode."""
    files = [
        path
        for packages in environment.glob("lib/python*/site-packages")
        for path in packages.rglob("*")
        if path.is_file() and not path.is_symlink() and path.suffix != ".pyc"
    ]
    kept = [p for p in files if "/pip" not in str(p) and "/setuptools" not in str(p)]
    return sum(path.stat().st_size for path in kept) / 1e6
