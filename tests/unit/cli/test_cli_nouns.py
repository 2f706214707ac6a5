"""The other nouns, the shared options, and the program itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.cli.fake_api import (
    PIPELINE_ID,
    RUN_ID,
    FakeApi,
    a_page,
    a_pipeline,
    a_run,
    a_schedule,
)

from penstock.cli.reference import command_names

W = "/workspaces/default"
WORKSPACE = {
    "id": "w",
    "name": "default",
    "subscription_id": "s",
    "resource_group": "g",
    "default_datastore": "workspaceblobstore",
    "created_at": "2027-03-01T10:00:00Z",
}
SERVER = {
    "version": "0.1.0",
    "url": "http://fake",
    "database": "sqlite",
    "tzdata_version": "2026a",
    "started_at": "2027-03-01T11:00:00Z",
    "last_tick_at": "2027-03-01T11:59:59.5Z",
    "timers_due": 0,
    "compute_targets": [
        {
            "name": "local",
            "kind": "local",
            "steps_running_max": 2,
            "steps_running": 1,
            "steps_queued": 3,
        }
    ],
}


def test_status_shows_server_compute_counts_and_what_fires_next() -> None:
    later = a_schedule(id="b", name="later", next_fire_time="2027-03-02T00:00:00Z")
    api = FakeApi(
        {
            "GET /server": SERVER,
            f"GET {W}/schedules": a_page(later, a_schedule()),
            f"GET {W}/runs": a_page(a_run()),
        }
    )
    text = api.penstock("status").stdout
    assert "Last tick   now" in text
    assert "1 of 2       3" in text
    assert "Workspace 'default': 2 active schedules, 1 active run." in text
    assert text.index("nightly") < text.index("later")
    document = json.loads(api.penstock("status", "-o", "json").stdout)
    assert document["server"]["url"] == "http://fake"
    assert [s["name"] for s in document["next_fires"]] == ["nightly", "later"]


def test_status_says_when_nothing_ticks() -> None:
    api = FakeApi(
        {
            "GET /server": SERVER | {"last_tick_at": None},
            f"GET {W}/schedules": a_page(),
            f"GET {W}/runs": a_page(),
        }
    )
    assert "never: nothing fires until the daemon runs" in api.penstock("status").stdout


def test_submit_sends_a_published_pipeline_with_text_parameters() -> None:
    api = FakeApi({f"GET {W}/pipelines": a_page(a_pipeline()), f"POST {W}/runs": a_run()})
    result = api.penstock("pipeline", "submit", "diabetes", "-e", "e", "-p", "rate=2")
    assert result.stdout.startswith(f"Submitted run {RUN_ID}.")
    assert api.body()["pipeline_id"] == PIPELINE_ID
    assert api.body()["parameters"] == {"rate": "2"}
    assert api.body()["source"] == "CLI"


def test_submit_can_be_repeated_without_a_second_run() -> None:
    api = FakeApi({f"GET {W}/pipelines": a_page(a_pipeline()), f"POST {W}/runs": a_run()})
    api.penstock("pipeline", "submit", "diabetes", "-e", "e")
    assert len(api.requests[-1].headers["Idempotency-Key"]) >= 16


def test_show_pipeline_lists_its_parameters_and_steps() -> None:
    graph = {
        "steps": [
            {"id": "1", "name": "prepare", "script": "prepare.py"},
            {"id": "2", "name": "train", "script": "train.py", "run_after": ["1"]},
        ],
        "parameters": [{"name": "rate", "kind": "float", "default": 0.5}],
    }
    api = FakeApi({f"GET {W}/pipelines": a_page(a_pipeline()), f"GET {W}/graphs/g": graph})
    lines = api.penstock("pipeline", "show", "diabetes").stdout.splitlines()
    assert lines[-1].split() == ["train", "train.py", "local", "prepare"]
    assert "rate       float  0.5" in lines


def test_the_workspace_option_goes_into_the_path() -> None:
    api = FakeApi({"GET /workspaces/team/runs": a_page()})
    assert api.penstock("run", "list", "-w", "team").stdout == "No runs.\n"


def test_workspace_config_writes_what_scripts_look_for(tmp_path: Path) -> None:
    api = FakeApi({f"GET {W}": WORKSPACE})
    words = ["workspace", "config", "--directory", str(tmp_path)]
    assert api.penstock(*words).exit_code == 0
    file = tmp_path / ".azureml" / "config.json"
    assert json.loads(file.read_text()) == {
        "subscription_id": "s",
        "resource_group": "g",
        "workspace_name": "default",
    }
    assert api.penstock(*words).exit_code == 0
    file.write_text("{}")
    assert api.penstock(*words).exit_code == 8
    assert api.penstock(*words, "--overwrite").exit_code == 0


def test_get_does_not_replace_a_file_unasked(tmp_path: Path) -> None:
    api = FakeApi({f"GET {W}/datastores/d/files/folder/x.csv": [1, 2]})
    words = ["datastore", "get", "d", "folder/x.csv", str(tmp_path)]
    assert api.penstock(*words).exit_code == 0
    assert json.loads((tmp_path / "x.csv").read_text()) == [1, 2]
    assert api.penstock(*words).exit_code == 8
    assert api.penstock(*words, "--overwrite").exit_code == 0


def test_put_sends_the_file_s_content(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_text("1,2\n")
    api = FakeApi({f"PUT {W}/datastores/d/files/in/x.csv": {}})
    result = api.penstock("datastore", "put", "d", str(file), "in/x.csv")
    assert result.exit_code == 0, result.stderr
    assert api.requests[-1].content == b"1,2\n"
    assert api.requests[-1].url.params["overwrite"] == "false"


def test_a_missing_argument_is_wrong_usage() -> None:
    assert FakeApi().penstock("run", "show").exit_code == 2


@pytest.mark.parametrize("name", command_names())
def test_every_command_has_a_help_with_the_shared_output_option(name: str) -> None:
    result = FakeApi().penstock(*name.split(), "--help")
    assert result.exit_code == 0
    assert "--output" in result.stdout


def test_version_needs_no_server() -> None:
    result = FakeApi().penstock("version", "-o", "json")
    assert json.loads(result.stdout).keys() == {"version"}


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_importing_the_command_line_loads_none_of_what_it_needs() -> None:
    code = "import sys, penstock.cli; sys.exit(bool({'typer', 'rich'} & sys.modules.keys()))"
    assert run_python(code).returncode == 0


def test_without_typer_one_sentence_says_what_to_install() -> None:
    code = "import sys; sys.modules['typer'] = None; from penstock.cli import run; run()"
    result = run_python(code)
    assert result.returncode == 1
    assert result.stderr == (
        "The penstock command needs typer, which is not installed: pip install 'penstock[server]'\n"
    )
