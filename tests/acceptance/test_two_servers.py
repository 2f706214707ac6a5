"""Two servers on one database: each due time once, each step once, whoever is quicker."""

from __future__ import annotations

import hashlib
import signal
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.acceptance.server_process import ServerProcess, until
from tests.databases import PostgresServer, SqliteFolder

from penstock.core import recurrence
from penstock.sdk.client import Client
from penstock.wire import RECURRENCE

WORKSPACE = "/workspaces/default"
SCHEDULES = 24
SECONDS = 4

SCRIPT = """
import os, sys
with open(sys.argv[1], "a") as starts:
    starts.write(os.environ["AZUREML_ROOT_RUN_ID"] + "\\n")
"""


@pytest.fixture
def url(databases: SqliteFolder | PostgresServer) -> str:
    """The URL of a database without a schema, so that two servers make it together."""
    return databases.new_database()


def publish(client: Client, starts: Path) -> str:
    """Publish a pipeline of two steps, each of which writes down that it was started."""
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
            "arguments": [{"kind": "literal", "value": str(starts / name)}],
            "run_after": after,
        }
        for name, after in (("first", []), ("second", ["first"]))
    ]
    body = {"graph": {"steps": steps}, "name": "two servers"}
    published: str = client.request("POST", f"{WORKSPACE}/pipelines", json=body).json()["id"]
    return published


def create_schedules(client: Client, pipeline_id: str) -> dict[str, recurrence.Recurrence]:
    """Create schedules of one a minute that begin a fraction of SECONDS apart from each other."""
    first = datetime.now(UTC).replace(microsecond=0, tzinfo=None) + timedelta(seconds=2)
    rules = {}
    for number in range(SCHEDULES):
        start_time = first + timedelta(seconds=number * SECONDS // SCHEDULES)
        body = {
            "name": f"schedule {number}",
            "experiment": "two",
            "pipeline_id": pipeline_id,
            "recurrence": {
                "frequency": "Minute",
                "interval": 1,
                "start_time": start_time.isoformat(),
            },
        }
        made = client.request("POST", f"{WORKSPACE}/schedules", json=body).json()
        rules[made["id"]] = RECURRENCE.validate_python(made["recurrence"])
    return rules


def runs_of(client: Client):
    return client.request("GET", f"{WORKSPACE}/runs", params={"limit": 1000}).json()["items"]


def fires_of(client: Client, schedule_id: str):
    return client.request("GET", f"{WORKSPACE}/schedules/{schedule_id}/fires").json()["items"]


def all_ended(client: Client) -> bool:
    found = runs_of(client)
    return len(found) >= SCHEDULES and all(run["ended_at"] for run in found)


def check(client: Client, rules: dict[str, recurrence.Recurrence], starts: Path) -> None:
    """Each due time has one fire and one run, and each step of it was started once."""
    found = runs_of(client)
    assert {run["state"] for run in found} == {"Finished"}
    fires = {(id, fire["fire_time"]): fire for id in rules for fire in fires_of(client, id)}
    assert Counter((run["schedule_id"], run["fire_time"]) for run in found) == Counter(
        dict.fromkeys(fires, 1)
    )
    for (schedule_id, fire_time), fire in fires.items():
        assert fire["outcome"] == "fired"
        due = datetime.fromisoformat(fire_time)
        assert due.replace(tzinfo=None) >= rules[schedule_id].start_time
        assert datetime.fromisoformat(fire["fired_at"]) >= due
    assert {id for id, _ in fires} == set(rules)
    for name in ("first", "second"):
        started = Counter((starts / name).read_text().split())
        assert started == Counter(dict.fromkeys((run["id"] for run in found), 1))


def test_two_servers_share_one_database(tmp_path, url):
    settings = {
        "PENSTOCK_DATABASE_URL": url,
        "PENSTOCK_TOKEN": "a-token-for-both-of-them",
        "PENSTOCK_STEPS_RUNNING_MAX": "3",
    }
    one, two = (ServerProcess(tmp_path, name, **settings) for name in ("one", "two"))
    with one, two:
        rules = create_schedules(one.client(), publish(two.client(), tmp_path))
        until(lambda: all_ended(two.client()), "all runs have ended", seconds=90)
        check(one.client(), rules, tmp_path)


def test_one_of_two_servers_is_killed_and_the_other_goes_on(tmp_path, url):
    settings = {
        "PENSTOCK_DATABASE_URL": url,
        "PENSTOCK_TOKEN": "a-token-for-both-of-them",
        "PENSTOCK_LEASE_SECONDS": "2",
    }
    one, two = (ServerProcess(tmp_path, name, **settings) for name in ("one", "two"))
    with one, two:
        rules = create_schedules(one.client(), publish(one.client(), tmp_path))
        until(lambda: len(runs_of(two.client())) >= SCHEDULES // 3, "a third has fired")
        one.end(signal.SIGKILL)
        until(lambda: all_ended(two.client()), "all runs have ended", seconds=90)
        check(two.client(), rules, tmp_path)
