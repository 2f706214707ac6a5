"""How late a fire is: `python -m benchmarks latency`.

One schedule: from the due time to the first line of its step, against a process that sleeps until
the same kind of time and then starts the same script. A thousand schedules of one per minute: from
the due time to the run being recorded.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.figures import Figure, median, percentile
from benchmarks.server_process import TRIVIAL, ServerProcess, server_process
from penstock import Pipeline, PythonScriptStep

ONE_ROUNDS = 15
MANY = 1000
# Says when its first line ran, on the machine's clock.
STAMP = "import time\nopen({path!r}, 'a').write(f'{{time.time()}}\\n')\n"
SCHEDULES = "/workspaces/default/schedules"


def figures() -> list[Figure]:
    """Measure both."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with server_process(folder) as server:
            one = _one(server, folder)
            many = _many(server, folder)
    return [one, many]


def _publish(server: ServerProcess, source: Path, text: str) -> str:
    source.mkdir()
    (source / "script.py").write_text(text)
    step = PythonScriptStep("script.py", source_directory=str(source), compute_target="local")
    return str(Pipeline(server.workspace, [step]).publish(name=source.name).id)


def _one(server: ServerProcess, folder: Path) -> Figure:
    """Fire schedules one after the other and read the times that their steps wrote."""
    stamps = folder / "stamps"
    text = STAMP.format(path=str(stamps))
    pipeline_id = _publish(server, folder / "stamp", text)
    script = folder / "stamp" / "script.py"
    ours, bare = [], []
    for _ in range(ONE_ROUNDS):
        due = _soon(1.5)
        _create(server, pipeline_id, f"one {due}", due)
        ours.append(_stamp_after(stamps, due) - due.timestamp())
        due = _soon(1.5)
        _sleep_until(due)
        subprocess.run([sys.executable, str(script)], check=True)
        bare.append(_stamp_after(stamps, due) - due.timestamp())
    ratio = median(ours) / median(bare)
    detail = f"p50 {median(ours) * 1e3:.1f} ms / {median(bare) * 1e3:.1f} ms"
    name = "due time to first line of the step / sleep and spawn"
    return Figure(name=name, value=ratio, unit="x", limit=3.0, detail=detail)


def _soon(seconds: float) -> datetime:
    """Return the next whole second that is at least `seconds` away."""
    return (datetime.now(UTC) + timedelta(seconds=seconds + 1)).replace(microsecond=0)


def _sleep_until(due: datetime) -> None:
    while (left := due.timestamp() - time.time()) > 0:
        time.sleep(left)


def _stamp_after(stamps: Path, due: datetime) -> float:
    while True:
        lines = stamps.read_text().split() if stamps.exists() else []
        late = [float(line) for line in lines if float(line) >= due.timestamp()]
        if late:
            return late[0]
        time.sleep(0.02)


def _create(server: ServerProcess, pipeline_id: str, name: str, due: datetime) -> str:
    document = {
        "name": name,
        "experiment": "benchmark",
        "pipeline_id": pipeline_id,
        "recurrence": {
            "frequency": "Minute",
            "interval": 1,
            "start_time": due.replace(tzinfo=None).isoformat(),
        },
    }
    answer: dict[str, str] = server.client.request("POST", SCHEDULES, json=document).json()
    return answer["id"]


def _many(server: ServerProcess, folder: Path) -> Figure:
    """Spread a thousand schedules of one per minute over the minute and read when they were
    recorded."""
    for schedule in server.client.request("GET", SCHEDULES).json()["items"]:
        _disable(server, schedule["id"])
    pipeline_id = _publish(server, folder / "trivial", TRIVIAL)
    first = _soon(25.0)
    ids = [
        _create(server, pipeline_id, f"many {i}", first + timedelta(seconds=i * 60 // MANY))
        for i in range(MANY)
    ]
    _sleep_until(first + timedelta(seconds=62))
    late = []
    for id in ids:
        fires = server.client.request("GET", f"{SCHEDULES}/{id}/fires").json()["items"]
        first_fire = fires[-1]
        late.append(_seconds_late(first_fire))
    for id in ids:
        _disable(server, id)
    name = "1,000 schedules of one per minute: due to recorded, p99"
    detail = f"p50 {median(late) * 1e3:.1f} ms, worst {max(late) * 1e3:.1f} ms"
    value = percentile(late, 0.99) * 1e3
    return Figure(name=name, value=value, unit="ms", limit=150.0, detail=detail)


def _disable(server: ServerProcess, id: str) -> None:
    server.client.request("PATCH", f"{SCHEDULES}/{id}", json={"status": "Disabled"})


def _seconds_late(fire: dict[str, str]) -> float:
    """Return the delay of a fire.

    `fired_at` is the instant of the tick that wrote it; the run was recorded when that batch was
    committed, a few milliseconds later (see the figure for 10,000 schedules in one second).
    """
    recorded = datetime.fromisoformat(fire["fired_at"])
    return (recorded - datetime.fromisoformat(fire["fire_time"])).total_seconds()
