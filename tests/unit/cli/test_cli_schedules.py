"""`penstock schedule`: what is sent, and what is printed."""

from __future__ import annotations

import json

import pytest
from tests.unit.cli.fake_api import (
    PIPELINE_ID,
    RUN_ID,
    SCHEDULE_ID,
    FakeApi,
    a_fire,
    a_page,
    a_pipeline,
    a_run,
    a_schedule,
)

from penstock.errors import InUse

W = "/workspaces/default"


@pytest.fixture
def api() -> FakeApi:
    return FakeApi(
        {
            f"GET {W}/schedules": a_page(a_schedule()),
            f"GET {W}/schedules/{SCHEDULE_ID}": a_schedule(),
            f"POST {W}/schedules": a_schedule(),
            f"PATCH {W}/schedules/{SCHEDULE_ID}": a_schedule(status="Disabled"),
            f"GET {W}/pipelines": a_page(a_pipeline()),
            f"GET {W}/schedules/{SCHEDULE_ID}/fires": a_page(a_fire()),
            f"POST {W}/schedules/{SCHEDULE_ID}/fire": a_run(),
        }
    )


def test_a_list_shows_when_each_fires_next_in_utc_and_from_now(api: FakeApi) -> None:
    result = api.penstock("schedule", "list")
    assert result.exit_code == 0
    title, row = result.stdout.splitlines()
    assert title.split() == ["NAME", "ID", "STATUS", "FIRES", "NEXT", "FIRE"]
    assert "every day at 02:30, UTC" in row
    assert row.endswith("2027-03-01 12:04:00 UTC (in 4 min)")


def test_a_list_as_json_is_an_array_of_the_api_s_documents(api: FakeApi) -> None:
    (document,) = json.loads(api.penstock("schedule", "list", "--output", "json").stdout)
    assert document["id"] == SCHEDULE_ID
    assert document["recurrence"]["hours"] == [2]


def test_disabled_ones_are_listed_on_request_only(api: FakeApi) -> None:
    api.penstock("schedule", "list")
    api.penstock("schedule", "list", "--all")
    assert [r.url.params["active_only"] for r in api.requests] == ["true", "false"]


def test_a_schedule_is_found_by_id_or_by_name(api: FakeApi) -> None:
    assert api.penstock("schedule", "show", SCHEDULE_ID).exit_code == 0
    assert api.penstock("schedule", "show", "nightly").exit_code == 0
    assert [r.url.path.rpartition("/")[2] for r in api.requests] == [SCHEDULE_ID, "schedules"]
    assert api.requests[-1].url.params["name"] == "nightly"


def test_an_ambiguous_name_lists_the_ids_and_exits_with_2(api: FakeApi) -> None:
    api.answers[f"GET {W}/schedules"] = a_page(a_schedule(id="one"), a_schedule(id="two"))
    result = api.penstock("schedule", "show", "nightly")
    assert result.exit_code == 2
    assert "one, two" in result.stderr


def test_create_sends_what_was_said_and_nothing_else(api: FakeApi) -> None:
    words = "--name nightly --pipeline diabetes -e e --every 15 --unit minute -p rate=0.5"
    result = api.penstock("schedule", "create", *words.split(), "--overlap", "skip", "--disabled")
    assert result.exit_code == 0, result.stderr
    assert api.body() == {
        "name": "nightly",
        "experiment": "e",
        "pipeline_id": PIPELINE_ID,
        "description": "",
        "recurrence": {
            "frequency": "Minute",
            "interval": 15,
            "start_time": None,
            "time_zone": None,
            "hours": [],
            "minutes": [],
            "week_days": [],
            "gap": "shift",
            "fold": "first",
            "month_end": "last_day",
            "anchor": None,
        },
        "parameters": {"rate": "0.5"},
        "status": "Disabled",
        "run_on_create": True,
        "overlap": "skip",
    }


def test_create_without_a_time_says_what_to_add(api: FakeApi) -> None:
    words = "--name n --pipeline diabetes -e e"
    result = api.penstock("schedule", "create", *words.split())
    assert result.exit_code == 2
    assert "--every 15 --unit minute" in result.stderr
    assert api.requests == []


def test_update_changes_only_what_is_named(api: FakeApi) -> None:
    result = api.penstock("schedule", "update", SCHEDULE_ID, "--catch-up", "latest")
    assert result.exit_code == 0
    assert api.body() == {"catch_up": "latest"}
    assert api.penstock("schedule", "update", SCHEDULE_ID).exit_code == 2


def test_disable_says_what_it_did(api: FakeApi) -> None:
    result = api.penstock("schedule", "disable", "nightly")
    assert api.body() == {"status": "Disabled"}
    assert result.stdout.startswith(f"Schedule 'nightly' ({SCHEDULE_ID}) is Disabled")


def test_preview_explains_its_marks(api: FakeApi) -> None:
    api.answers[f"GET {W}/schedules/{SCHEDULE_ID}/preview"] = {
        "description": "every day at 02:30, Europe/Berlin",
        "time_zone": "Europe/Berlin",
        "occurrences": [
            {
                "fire_time": "2027-03-28T01:30:00Z",
                "local_time": "2027-03-28T03:30:00+02:00",
                "nominal_time": "2027-03-28T02:30:00",
                "mark": "moved",
            },
            {
                "fire_time": None,
                "local_time": None,
                "nominal_time": "2027-03-28T02:45:00",
                "mark": "dropped",
            },
            {
                "fire_time": "2027-03-29T00:30:00Z",
                "local_time": "2027-03-29T02:30:00+02:00",
                "nominal_time": "2027-03-29T02:30:00",
                "mark": None,
            },
        ],
    }
    lines = api.penstock("schedule", "preview", SCHEDULE_ID, "-n", "2").stdout.splitlines()
    assert lines[0] == "every day at 02:30, Europe/Berlin"
    assert "Sun 2027-03-28 03:30:00 +02:00 (for 02:30:00)  moved" in lines[3]
    assert "the clocks jump over this time, so it fires later" in lines[3]
    assert lines[4].split()[:4] == ["-", "Sun", "2027-03-28", "02:45:00"]
    assert lines[5].endswith("Mon 2027-03-29 02:30:00 +02:00")


def test_preview_takes_a_recurrence_before_there_is_a_schedule(api: FakeApi) -> None:
    api.answers[f"POST {W}/schedules/preview"] = {
        "description": "every hour, UTC",
        "time_zone": "UTC",
        "occurrences": [],
    }
    result = api.penstock("schedule", "preview", "--frequency", "Hour", "--no-run-on-create")
    assert "It never fires." in result.stdout
    assert api.body()["run_on_create"] is False
    assert api.body()["recurrence"]["frequency"] == "Hour"


@pytest.mark.parametrize("words", [[], [SCHEDULE_ID, "--frequency", "Day"]])
def test_preview_wants_either_a_schedule_or_a_recurrence(api: FakeApi, words: list[str]) -> None:
    result = api.penstock("schedule", "preview", *words)
    assert result.exit_code == 2
    assert "either a schedule or a recurrence" in result.stderr


def test_why_shows_outcome_lateness_run_and_reason(api: FakeApi) -> None:
    missed = a_fire(outcome="missed", count=12, run_id=None, reason="the server was not running")
    api.answers[f"GET {W}/schedules/{SCHEDULE_ID}/fires"] = a_page(a_fire(), missed)
    result = api.penstock(
        "schedule", "why", SCHEDULE_ID, "--outcome", "fired", "--outcome", "missed"
    )
    assert api.requests[-1].url.params.get_list("outcome") == ["fired", "missed"]
    _, first, second = result.stdout.splitlines()
    assert first.split()[6:] == ["fired", "40", "ms", RUN_ID, "it", "was", "due"]
    assert second.split()[6:] == ["missed", "x12", "the", "server", "was", "not", "running"]


def test_why_stops_at_its_limit(api: FakeApi) -> None:
    api.answers[f"GET {W}/schedules/{SCHEDULE_ID}/fires"] = a_page(
        *(a_fire(fire_key=str(n)) for n in range(5)), following="more"
    )
    found = json.loads(api.penstock("schedule", "why", SCHEDULE_ID, "-n", "3", "-o", "json").stdout)
    assert [fire["fire_key"] for fire in found] == ["0", "1", "2"]


def test_fire_prints_the_run_that_it_started(api: FakeApi) -> None:
    result = api.penstock("schedule", "fire", "nightly", "-p", "rate=1")
    assert api.body() == {"parameters": {"rate": "1"}}
    assert f"penstock run wait {RUN_ID}" in result.stdout


def test_a_problem_of_the_server_is_a_sentence_and_an_exit_code(api: FakeApi) -> None:
    api.answers[f"PATCH {W}/schedules/{SCHEDULE_ID}"] = InUse("It is in use by 'x'.")
    result = api.penstock("schedule", "enable", SCHEDULE_ID)
    assert (result.exit_code, result.stderr, result.stdout) == (8, "It is in use by 'x'.\n", "")


def test_a_problem_of_the_server_is_its_document_with_json(api: FakeApi) -> None:
    result = api.penstock("schedule", "show", "44444444-4444-4444-4444-444444444444", "-o", "json")
    assert result.exit_code == 6
    assert json.loads(result.stderr)["code"] == "not-found"
