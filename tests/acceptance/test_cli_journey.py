"""From a published pipeline to its logs, with the command line alone, against a real server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from penstock import Pipeline, PipelineParameter, PythonScriptStep, Workspace

SCRIPT = """
import sys
for word in sys.argv[1:]:
    print("got", word, flush=True)
if "fail" in sys.argv:
    sys.exit("told to fail")
if "linger" in sys.argv:
    import time
    time.sleep(600)
"""


class Place:
    """A server with its own home, and the command line as a user of it types it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {
            **{k: v for k, v in os.environ.items() if not k.startswith("PENSTOCK_")},
            "PENSTOCK_HOME": str(folder / "home"),
            "PENSTOCK_CONFIG_DIR": str(folder / "config"),
            "PENSTOCK_PORT": "0",
        }
        with (folder / "server.log").open("wb") as log:
            self.server = subprocess.Popen(
                [sys.executable, "-m", "penstock", "up", "--output", "json"],
                env=self.environ,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        self.banner = json.loads(self._first_document())

    def _first_document(self) -> str:
        text = ""
        assert self.server.stdout is not None
        for line in self.server.stdout:
            text += line.decode()
            if text.rstrip().endswith("}"):
                return text
        raise AssertionError((self.folder / "server.log").read_text())

    def penstock(
        self, *words: str, code: int = 0, environ: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command that must end with the exit code `code`."""
        done = subprocess.run(
            [sys.executable, "-m", "penstock", *words],
            env={**self.environ, **(environ or {})},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == code, (words, done.stdout, done.stderr)
        return done

    def document(self, *words: str) -> Any:
        """Run a command and return what it prints as JSON."""
        return json.loads(self.penstock(*words, "--output", "json").stdout)

    def stop(self) -> int:
        """Stop the server as Ctrl-C does."""
        self.server.send_signal(signal.SIGINT)
        code = self.server.wait(30)
        assert self.server.stdout is not None
        self.server.stdout.close()
        return code


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("place"))
    try:
        yield place
    finally:
        assert place.stop() == 0


@pytest.fixture(scope="module")
def pipeline_id(place: Place) -> str:
    scripts = place.folder / "scripts"
    scripts.mkdir()
    (scripts / "say.py").write_text(SCRIPT)
    token = Path(place.banner["token_file"]).read_text().strip()
    ws = Workspace.get("default", url=place.banner["url"], token=token)
    word = PipelineParameter("word", default_value="nothing")
    first, second = (
        PythonScriptStep(
            name=name,
            script_name="say.py",
            source_directory=str(scripts),
            arguments=[name, word],
            allow_reuse=False,
        )
        for name in ("first", "second")
    )
    second.run_after(first)
    return str(Pipeline(ws, steps=[first, second]).publish(name="saying").id)


def test_a_run_is_submitted_waited_for_and_read(place: Place, pipeline_id: str) -> None:
    run_id = place.document("pipeline", "submit", "saying", "-e", "talk", "-p", "word=hello")["id"]
    waited = place.penstock("run", "wait", run_id)
    assert waited.stdout.splitlines()[-1].startswith(f"Run {run_id} finished after")
    assert place.penstock("run", "logs", run_id).stdout.splitlines() == [
        "first | got first",
        "first | got hello",
        "second | got second",
        "second | got hello",
    ]
    assert place.document("run", "show", run_id)["state"] == "Finished"
    assert [s["state"] for s in place.document("run", "steps", run_id)] == ["Finished"] * 2
    assert run_id in [run["id"] for run in place.document("run", "list", "-e", "talk")]
    assert place.document("experiment", "show", "talk")["name"] == "talk"


def test_following_a_run_that_fails_prints_its_logs_and_exits_with_3(
    place: Place, pipeline_id: str
) -> None:
    words = ["pipeline", "submit", pipeline_id, "-e", "talk", "-p", "word=fail"]
    run_id = place.document(*words)["id"]
    lines = place.penstock("run", "logs", run_id, "--follow", code=3).stdout.splitlines()
    assert "first | got fail" in lines
    assert "first | told to fail" in lines
    assert "failed" in lines[-1]
    assert place.document("run", "steps", run_id)[0]["exit_code"] == 1


def test_a_run_that_lingers_is_timed_out_on_and_cancelled(place: Place, pipeline_id: str) -> None:
    words = ["pipeline", "submit", pipeline_id, "-e", "talk", "-p", "word=linger"]
    run_id = place.document(*words)["id"]
    place.penstock("run", "wait", run_id, "--timeout", "1", code=5)
    place.penstock("run", "cancel", run_id)
    place.penstock("run", "wait", run_id, code=4)


def test_a_schedule_fires_at_once_tells_why_and_rests(place: Place, pipeline_id: str) -> None:
    words = "schedule create --name often --pipeline saying -e talk --every 1 --unit hour"
    schedule_id = place.document(*words.split())["id"]
    fires = []
    for _ in range(100):
        fires = place.document("schedule", "why", "often")
        if fires:
            break
        time.sleep(0.1)  # the fire comes with the next tick
    assert [fire["outcome"] for fire in fires] == ["fired"]
    place.penstock("run", "wait", fires[0]["run_id"])
    assert place.document("run", "show", fires[0]["run_id"])["schedule_id"] == schedule_id
    previewed = place.document("schedule", "preview", "often", "-n", "2")["occurrences"]
    shown = place.document("schedule", "show", "often")
    assert previewed[0]["fire_time"] == shown["next_fire_time"]

    in_use = place.penstock("pipeline", "disable", "saying", code=8)
    assert "often" in in_use.stderr
    place.penstock("schedule", "disable", "often")
    assert place.document("schedule", "list") == []
    assert [s["name"] for s in place.document("schedule", "list", "--all")] == ["often"]
    by_hand = place.document("schedule", "fire", "often", "-p", "word=again")
    place.penstock("run", "wait", by_hand["id"])


def test_a_preview_of_a_recurrence_marks_the_change_of_the_clock(place: Place) -> None:
    words = "schedule preview --frequency Day --hours 2 --minutes 30 --start 2038-03-27 -n 3"
    shown = place.penstock(*words.split(), "--time-zone", "Europe/Berlin").stdout
    assert "Sun 2038-03-28 03:30:00 +02:00 (for 02:30:00)  moved" in shown


def test_files_go_to_a_datastore_and_come_back(place: Place) -> None:
    (place.folder / "x.csv").write_text("1,2\n")
    place.penstock("datastore", "put", "workspaceblobstore", "x.csv", "in/x.csv")
    listed = place.document("datastore", "ls", "workspaceblobstore", "in")
    assert [(entry["path"], entry["size"]) for entry in listed] == [("in/x.csv", 4)]
    place.penstock("datastore", "put", "workspaceblobstore", "x.csv", "in/x.csv", code=8)
    place.penstock("datastore", "get", "workspaceblobstore", "in/x.csv", "back.csv")
    assert (place.folder / "back.csv").read_text() == "1,2\n"


def test_errors_are_a_sentence_and_an_exit_code(place: Place) -> None:
    missing = place.penstock("run", "show", "no-such-run", code=6)
    assert missing.stderr == "There is no run 'no-such-run'.\n"
    wrong = {"PENSTOCK_TOKEN": "pst_wrong_wrong_wrong"}
    assert "token" in place.penstock("run", "list", code=7, environ=wrong).stderr
    away = {"PENSTOCK_URL": "http://127.0.0.1:9"}
    assert "penstock up" in place.penstock("run", "list", code=1, environ=away).stderr
    words = "schedule create --name n --pipeline none -e e --every 0 --unit day"
    assert "no pipeline 'none'" in place.penstock(*words.split(), code=6).stderr
    words = "schedule preview --every 0 --unit day"
    assert "interval = 0" in place.penstock(*words.split(), code=2).stderr


def test_status_tells_where_the_server_is(place: Place) -> None:
    assert place.document("status")["server"]["url"] == place.banner["url"]
    assert place.banner["url"] in place.penstock("status").stdout


def test_the_database_is_upgraded_by_hand(place: Place, tmp_path: Path) -> None:
    words = ["db", "upgrade", "--home", str(tmp_path / "home")]
    assert "up to date" in place.penstock(*words).stdout
    assert "up to date" in place.penstock(*words).stdout
