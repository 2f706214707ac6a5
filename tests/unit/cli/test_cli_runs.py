"""`penstock run`: waiting, logs, and what the exit code tells."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from tests.unit.cli.fake_api import RUN_ID, FakeApi, a_page, a_run, a_step

W = "/workspaces/default"
RUN = f"GET {W}/runs/{RUN_ID}"
STEPS = f"GET {W}/runs/{RUN_ID}/steps"
ENDED = {"ended_at": "2027-03-01T12:00:05Z"}


def in_turn(*answers: Any) -> Callable[[httpx.Request], Any]:
    """Answer with one after the other; the last one again and again."""
    left: Iterator[Any] = iter(answers)
    state = {"last": answers[-1]}

    def answer(_: httpx.Request) -> Any:
        return next(left, state["last"])

    return answer


def a_log(*pieces: str) -> Callable[[httpx.Request], Any]:
    """A log of which another piece has been written at each look."""
    written = in_turn(*("".join(pieces[: n + 1]) for n in range(len(pieces))))
    whole = "".join(pieces)

    def answer(request: httpx.Request) -> Any:
        offset = int(request.url.params["offset"])
        text = written(request)
        return {
            "text": text[offset:],
            "next_offset": max(offset, len(text)),
            "is_complete": text == whole,
        }

    return answer


@pytest.mark.parametrize(
    ("state", "code", "words"),
    [
        ("Finished", 0, "finished after 1 min 5 s."),
        ("Failed", 3, "failed after 1 min 5 s. Step 'train' failed."),
        ("Canceled", 4, "was cancelled after 1 min 5 s."),
    ],
)
def test_waiting_ends_with_the_run_s_own_exit_code(state: str, code: int, words: str) -> None:
    error = "Step 'train' failed." if state == "Failed" else None
    api = FakeApi(
        {
            RUN: in_turn(a_run(), a_run(), a_run(state=state, error=error, **ENDED)),
            STEPS: in_turn(
                [a_step("prepare", state="Queued"), a_step("train", state="NotStarted")],
                [a_step("prepare"), a_step("train", state="NotStarted")],
                [a_step("prepare", state="Finished"), a_step("train", state=state)],
            ),
        }
    )
    result = api.penstock("run", "wait", RUN_ID)
    assert result.exit_code == code
    assert result.stdout.splitlines() == [
        "2027-03-01 12:00:00 UTC  prepare  Queued",
        "2027-03-01 12:00:00 UTC  prepare  Running",
        "2027-03-01 12:00:01 UTC  prepare  Finished",
        f"2027-03-01 12:00:01 UTC  train  {state}",
        f"Run {RUN_ID} {words}",
    ]


def test_waiting_gives_up_after_its_timeout() -> None:
    api = FakeApi({RUN: a_run(), STEPS: [a_step("prepare")]})
    result = api.penstock("run", "wait", RUN_ID, "--timeout", "3")
    assert result.exit_code == 5
    assert "has not ended after 3 s; it goes on" in result.stdout


def test_waiting_with_json_prints_the_run_s_document_and_nothing_before() -> None:
    api = FakeApi({RUN: in_turn(a_run(), a_run(state="Finished", **ENDED)), STEPS: []})
    result = api.penstock("run", "wait", RUN_ID, "-o", "json")
    assert json.loads(result.stdout)["state"] == "Finished"


def test_logs_say_whose_line_it_is() -> None:
    api = FakeApi(
        {
            STEPS: [a_step("prepare"), a_step("train")],
            f"GET {W}/step-runs/step-prepare/log": a_log("one\ntwo\r\nno end"),
            f"GET {W}/step-runs/step-train/log": a_log("three\n"),
        }
    )
    result = api.penstock("run", "logs", RUN_ID)
    assert result.stdout.splitlines() == [
        "prepare | one",
        "prepare | two",
        "prepare | no end",
        "train | three",
    ]


def test_logs_of_one_step_and_of_a_step_that_is_not_there() -> None:
    api = FakeApi(
        {
            STEPS: [a_step("prepare"), a_step("train")],
            f"GET {W}/step-runs/step-train/log": a_log("three\n"),
        }
    )
    assert api.penstock("run", "logs", RUN_ID, "--step", "train").stdout == "train | three\n"
    result = api.penstock("run", "logs", RUN_ID, "--step", "trian")
    assert result.exit_code == 6
    assert "prepare, train" in result.stderr


def test_following_logs_prints_whole_lines_as_they_come_and_ends_with_the_run() -> None:
    api = FakeApi(
        {
            RUN: in_turn(
                a_run(), a_run(), a_run(), a_run(state="Failed", error="It broke.", **ENDED)
            ),
            STEPS: in_turn(
                [a_step("a", state="Queued", started_at=None)],
                [a_step("a")],
                [a_step("a"), a_step("b")],
                [a_step("a", state="Finished"), a_step("b", state="Failed")],
            ),
            f"GET {W}/step-runs/step-a/log": a_log("a1\na", "a1\na2\n"[4:], "a3\n"),
            f"GET {W}/step-runs/step-b/log": a_log("b1\n", "tail"),
        }
    )
    result = api.penstock("run", "logs", RUN_ID, "--follow")
    assert result.exit_code == 3
    lines = result.stdout.splitlines()
    assert sorted(lines[:-1]) == ["a | a1", "a | a2", "a | a3", "b | b1", "b | tail"]
    assert [line for line in lines if line.startswith("a")] == ["a | a1", "a | a2", "a | a3"]
    assert lines[-1].endswith("failed after 1 min 5 s. It broke.")


def test_another_attempt_s_log_is_read_from_its_beginning() -> None:
    first, second = a_log("first\n"), a_log("second\n")
    api = FakeApi(
        {
            RUN: in_turn(a_run(), a_run(state="Finished", **ENDED)),
            STEPS: in_turn([a_step("a")], [a_step("a", attempt=2, state="Finished")]),
            f"GET {W}/step-runs/step-a/log": lambda request: (
                first if api.requests_for(f"{W}/runs/{RUN_ID}/steps") == 1 else second
            )(request),
        }
    )
    assert api.penstock("run", "logs", RUN_ID, "-f").stdout.splitlines()[:2] == [
        "a | first",
        "a | second",
    ]


def test_logs_as_json_are_an_object_a_line() -> None:
    api = FakeApi({STEPS: [a_step("a")], f"GET {W}/step-runs/step-a/log": a_log("one\ntwo\n")})
    lines = api.penstock("run", "logs", RUN_ID, "-o", "json").stdout.splitlines()
    assert [json.loads(line)["line"] for line in lines] == ["one", "two"]


def test_a_list_asks_for_what_was_named() -> None:
    api = FakeApi({f"GET {W}/runs": a_page(a_run())})
    words = "--experiment e --state Running --state Failed --tag a --tag b=c -n 5"
    result = api.penstock("run", "list", *words.split())
    asked = api.requests[-1].url.params
    assert asked.get_list("state") == ["Running", "Failed"]
    assert asked.get_list("tag") == ["a", "b=c"]
    assert (asked["experiment"], asked["limit"]) == ("e", "5")
    assert result.stdout.splitlines()[1].split()[:2] == [RUN_ID, "Running"]


def test_outputs_name_the_step_that_wrote_them() -> None:
    output = {
        "name": "model",
        "datastore": "workspaceblobstore",
        "path": "azureml/x/model",
        "pipeline_output_name": None,
    }
    api = FakeApi({STEPS: [a_step("train")], f"GET {W}/step-runs/step-train/outputs": [output]})
    (row,) = json.loads(api.penstock("run", "outputs", RUN_ID, "-o", "json").stdout)
    assert row == {"step_run_id": "step-train", "step": "train", **output}


def test_metrics_name_the_step_that_logged_them() -> None:
    metric = {
        "run_id": "step-train",
        "name": "r2",
        "sequence": 0,
        "kind": "scalar",
        "value": 0.123456789,
        "step": None,
        "logged_at": "2027-03-01T11:59:30Z",
    }
    api = FakeApi({STEPS: [a_step("train")], f"GET {W}/runs/{RUN_ID}/metrics": [metric]})
    line = api.penstock("run", "metrics", RUN_ID).stdout.splitlines()[1]
    assert line.split()[:3] == ["train", "r2", "0.123457"]


def test_cancel_says_that_it_was_asked_for() -> None:
    api = FakeApi({f"POST {W}/runs/{RUN_ID}/cancel": a_run(history_status="CancelRequested")})
    assert api.penstock("run", "cancel", RUN_ID).stdout == f"Run {RUN_ID}: CancelRequested.\n"
