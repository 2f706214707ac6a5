"""`kill -9` of a real server, again and again, while schedules fire and users submit.

Nothing may be lost, doubled or stuck, and nobody repairs anything by hand.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from penstock.core import recurrence
from penstock.sdk.client import Client
from penstock.wire import RECURRENCE

KILLS = 50
SCHEDULES = 90  # each fires once a minute, a second or so apart from the next
SEED = 20260
WORKSPACE = "/workspaces/default"

# Says that it ran, and takes a moment, so that kills find it running.
SCRIPT = """
import os, sys, time
with open(sys.argv[1], "a") as ran:
    ran.write(os.environ["AZUREML_ROOT_RUN_ID"] + "\\n")
time.sleep(0.15)
"""


class Victim:
    """A server that is started, killed, and started again in the same home."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PENSTOCK_")}
        self.environ = kept | {
            "PENSTOCK_HOME": str(folder / "home"),
            "PENSTOCK_CONFIG_DIR": str(folder / "config"),
            "PENSTOCK_PORT": "0",
            "PENSTOCK_STEPS_RUNNING_MAX": "4",
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and return when it answers."""
        address = self.folder / "config" / "server.json"
        address.unlink(missing_ok=True)
        log = (self.folder / "server.log").open("ab")
        command = [sys.executable, "-m", "penstock", "up"]
        self.process = subprocess.Popen(command, env=self.environ, stdout=log, stderr=log)
        log.close()
        deadline = time.monotonic() + 60
        while not address.exists():
            assert self.process.poll() is None, (self.folder / "server.log").read_text()[-2000:]
            assert time.monotonic() < deadline, "the server does not come up"
            time.sleep(0.01)  # nothing else tells when another process is ready

    def kill(self) -> None:
        """End it as a crash would."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def client(self) -> Client:
        """Return a client of the server as it listens now."""
        url = json.loads((self.folder / "config" / "server.json").read_text())["url"]
        return Client(url, (self.folder / "config" / "token").read_text().strip())


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Victim]:
    """A server that is gone when the test is over, however it ends."""
    server = Victim(tmp_path)
    server.start()
    yield server
    server.kill()


def test_fifty_kills_lose_nothing_double_nothing_and_leave_nothing_stuck(
    victim: Victim, tmp_path: Path
) -> None:
    pipeline_id = _publish(victim.client(), tmp_path)
    rules = _create_schedules(victim.client(), pipeline_id)
    users = Users(victim, pipeline_id)
    users.start()
    chance = random.Random(SEED)
    for _ in range(KILLS):
        time.sleep(
            chance.uniform(0.05, 1.2)
        )  # work for a while: the moment of the kill is the test
        victim.kill()
        victim.start()
    users.stop()
    client = victim.client()
    disabled_at = _disable(client, rules)
    runs = _when_all_have_ended(client)
    _check_fires(client, rules, disabled_at, runs)
    _check_submissions(users.answers, runs)
    _check_steps(tmp_path, runs)
    _check_database(victim)


class Users:
    """Somebody who submits runs, repeating a submission whose answer was lost."""

    def __init__(self, victim: Victim, pipeline_id: str) -> None:
        self._victim = victim
        self._pipeline_id = pipeline_id
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._submit_all)
        self.answers: dict[str, set[str]] = {}  # submission key to the run ids that were answered

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._is_stopping.set()
        self._thread.join()

    def _submit_all(self) -> None:
        number = 0
        while not self._is_stopping.wait(0.25):
            key = f"submission-{number}"
            number += 1
            while not self._submit(key):
                time.sleep(0.05)  # the server is being killed or started

    def _submit(self, key: str) -> bool:
        """Submit until the server has answered twice alike; False if it did not answer."""
        body = {"experiment": "kill", "pipeline_id": self._pipeline_id}
        try:
            address = json.loads((self._victim.folder / "config" / "server.json").read_text())
            token = (self._victim.folder / "config" / "token").read_text().strip()
            for _ in range(2):
                answer = httpx.post(
                    f"{address['url']}/api/v1{WORKSPACE}/runs",
                    json=body,
                    headers={"Authorization": f"Bearer {token}", "Idempotency-Key": key},
                )
                assert answer.status_code == 201, answer.text
                self.answers.setdefault(key, set()).add(answer.json()["id"])
        except (httpx.TransportError, FileNotFoundError):
            return False
        return True


def _publish(client: Client, folder: Path) -> str:
    text = SCRIPT.encode()
    sha256 = hashlib.sha256(text).hexdigest()
    client.request("PUT", f"{WORKSPACE}/blobs/{sha256}", content=text)
    files = [{"path": "script.py", "sha256": sha256, "size": len(text)}]
    snapshot = client.request("POST", f"{WORKSPACE}/snapshots", json={"files": files}).json()
    steps = [
        {
            "id": name,
            "name": name,
            "script": "script.py",
            "snapshot_id": snapshot["id"],
            "arguments": [{"kind": "literal", "value": str(folder / f"ran-{name}")}],
            "run_after": after,
        }
        for name, after in (("first", []), ("second", ["first"]))
    ]
    body = {"graph": {"steps": steps}, "name": "kill"}
    published: str = client.request("POST", f"{WORKSPACE}/pipelines", json=body).json()["id"]
    return published


def _create_schedules(client: Client, pipeline_id: str) -> dict[str, recurrence.Recurrence]:
    first = datetime.now(UTC).replace(microsecond=0, tzinfo=None) + timedelta(seconds=8)
    rules = {}
    for i in range(SCHEDULES):
        start_time = first + timedelta(seconds=i * 60 / SCHEDULES)
        body = {
            "name": f"every minute {i}",
            "experiment": "kill",
            "pipeline_id": pipeline_id,
            "recurrence": {
                "frequency": "Minute",
                "interval": 1,
                "start_time": start_time.replace(microsecond=0).isoformat(),
            },
        }
        answer = client.request("POST", f"{WORKSPACE}/schedules", json=body).json()
        rules[answer["id"]] = RECURRENCE.validate_python(answer["recurrence"])
    return rules


def _disable(client: Client, rules: dict[str, recurrence.Recurrence]) -> dict[str, datetime]:
    """Disable all schedules; return when each was, by the server's clock."""
    at = {}
    for id in rules:
        answer = client.request(
            "PATCH", f"{WORKSPACE}/schedules/{id}", json={"status": "Disabled"}
        ).json()
        at[id] = datetime.fromisoformat(answer["updated_at"])
    return at


def _when_all_have_ended(client: Client) -> dict[str, dict[str, Any]]:
    deadline = time.monotonic() + 120
    while True:
        runs = _all(client, f"{WORKSPACE}/runs")
        stuck = [run["id"] for run in runs if run["ended_at"] is None]
        if not stuck:
            return {run["id"]: run for run in runs}
        assert time.monotonic() < deadline, (
            f"{len(stuck)} of {len(runs)} runs are stuck: {stuck[:3]}"
        )
        time.sleep(0.5)  # the steps are real processes: they take what they take


def _all(client: Client, path: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    after = None
    while True:
        page = client.request("GET", path, params={"limit": 1000, "after": after}).json()
        items += page["items"]
        after = page["next"]
        if after is None:
            return items


def _check_fires(
    client: Client,
    rules: dict[str, recurrence.Recurrence],
    disabled_at: dict[str, datetime],
    runs: dict[str, dict[str, Any]],
) -> None:
    """Each due time has exactly one fire and each fire exactly one run."""
    by_schedule = Counter((run["schedule_id"], run["fire_time"]) for run in runs.values())
    fired = 0
    for id, rule in rules.items():
        assert rule.start_time is not None
        since = rule.start_time.replace(tzinfo=UTC) - timedelta(microseconds=1)
        expected = list(recurrence.between(rule, since, disabled_at[id]))
        records = _all(client, f"{WORKSPACE}/schedules/{id}/fires")
        times = sorted(datetime.fromisoformat(fire["fire_time"]) for fire in records)
        # A fire that was due just when its schedule was disabled may have come too late.
        just_before = disabled_at[id] - timedelta(seconds=2)
        assert times in (expected, list(recurrence.between(rule, since, just_before)))
        for fire in records:
            assert fire["outcome"] == "fired", fire
            assert datetime.fromisoformat(fire["fired_at"]) >= datetime.fromisoformat(
                fire["fire_time"]
            )
            assert runs[fire["run_id"]]["schedule_id"] == id
            assert by_schedule[id, fire["fire_time"]] == 1
        fired += len(records)
    assert fired == sum(run["schedule_id"] is not None for run in runs.values())
    assert fired >= SCHEDULES  # the test has tested something


def _check_submissions(answers: dict[str, set[str]], runs: dict[str, dict[str, Any]]) -> None:
    """Each submission made one run, however often it was repeated."""
    assert all(len(ids) == 1 for ids in answers.values())
    submitted = {id for ids in answers.values() for id in ids}
    assert submitted == {run["id"] for run in runs.values() if run["schedule_id"] is None}


def _check_steps(folder: Path, runs: dict[str, dict[str, Any]]) -> None:
    """Every run finished, with both steps run, and no step was run twice: no attempt was lost."""
    assert {run["state"] for run in runs.values()} == {"Finished"}
    for name in ("first", "second"):
        ran = Counter((folder / f"ran-{name}").read_text().split())
        assert ran == Counter(dict.fromkeys(runs, 1))


def _check_database(victim: Victim) -> None:
    victim.kill()
    with sqlite3.connect(victim.folder / "home" / "penstock.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert database.execute("SELECT count(*) FROM timers").fetchone() == (0,)
    database.close()
