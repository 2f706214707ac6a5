"""Watching a run: what is printed in which order, and what a server that goes away does to it."""

from __future__ import annotations

import json

import httpx
import pytest

from penstock.errors import ServerUnreachable
from penstock.sdk.client import Client
from penstock.sdk.watching import LogTail, RunWatch

AT = "2026-01-01T00:00:00Z"
RUN = {
    "experiment": "e",
    "graph_id": "g",
    "pipeline_id": None,
    "history_status": "Running",
    "source": "SDK",
    "schedule_id": None,
    "fire_time": None,
    "cause": "",
    "is_queued": False,
    "parent_run_id": None,
    "description": "",
    "parameters": {},
    "continue_on_step_failure": False,
    "regenerate_outputs": False,
    "tags": {},
    "properties": {},
    "cancel_requested_at": None,
    "error": None,
    "created_at": AT,
    "created_by": "admin",
    "started_at": None,
    "ended_at": None,
}
STEP = {
    "run_id": "r",
    "step_id": "s",
    "attempts_lost": 0,
    "history_status": "Running",
    "compute": "local",
    "available_at": None,
    "queued_at": None,
    "started_at": None,
    "ended_at": None,
    "exit_code": None,
    "error": None,
    "tags": {},
    "properties": {},
}


class Server:
    """Answers the looks of a watch one after the other; a look is a run's state, steps and logs."""

    def __init__(self, *looks):
        self.looks = list(looks)
        self.present = None

    def __call__(self, request):
        path = request.url.path.removeprefix("/api/v1")
        if path == "/runs/r":
            self.present = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
            if isinstance(self.present, Exception):
                raise self.present
            return httpx.Response(200, json=RUN | {"id": "r", "state": self.present["run"]})
        if path == "/runs/r/steps":
            steps = [
                STEP | {"id": name, "name": name, "state": state, "attempt": attempt}
                for name, (state, attempt, _) in self.present["steps"].items()
            ]
            return httpx.Response(200, json=steps)
        name = path.split("/")[2]
        state, _, text = self.present["steps"][name]
        offset = int(request.url.params["offset"])
        piece = text[offset:]
        return httpx.Response(
            200,
            json={
                "text": piece,
                "next_offset": len(text),
                "is_complete": state in ("Finished", "Failed"),
            },
        )

    def client(self):
        return Client(
            "http://127.0.0.1:1", None, transport=httpx.MockTransport(self), pause=lambda _: None
        )

    def watch(self, *, is_quiet=False, timeout=60):
        watch = RunWatch(
            self.client(), "/runs/r", lambda step: f"/step-runs/{step}", is_quiet=is_quiet
        )
        return watch.until_end(timeout)


def look(run, **steps):
    return {"run": run, "steps": steps}


def test_output_comes_before_the_state_that_ends_it(capsys):
    Server(
        look("NotStarted"),
        look("Running", a=("Running", 1, "one\ntw")),
        look("Running", a=("Running", 1, "one\ntwo\n")),
        look("Finished", a=("Finished", 1, "one\ntwo\nthree")),
    ).watch()
    assert capsys.readouterr().out.splitlines() == [
        "PipelineRun Status: NotStarted",
        "PipelineRun Status: Running",
        "StepRun( a ) Status: Running",
        "one",
        "two",
        "three",
        "StepRun( a ) Status: Finished",
        "PipelineRun Status: Finished",
    ]


def test_lines_of_several_steps_say_whose_they_are(capsys):
    Server(
        look("Failed", a=("Failed", 1, "x\n"), b=("Canceled", 0, ""), c=("Bypassed", 0, "")),
    ).watch()
    assert capsys.readouterr().out.splitlines() == [
        "[a] x",
        "StepRun( b ) Status: Canceled",
        "StepRun( c ) Status: Bypassed",
        "StepRun( a ) Status: Failed",
        "PipelineRun Status: Failed",
    ]


def test_a_later_attempt_is_read_from_its_beginning(capsys):
    Server(
        look("Running", a=("Running", 1, "first")),
        look("Running", a=("Queued", 1, "first")),
        look("Finished", a=("Finished", 2, "second")),
    ).watch()
    printed = capsys.readouterr().out.splitlines()
    assert printed[-5:] == [
        "first",
        "---- attempt 2 ----",
        "second",
        "StepRun( a ) Status: Finished",
        "PipelineRun Status: Finished",
    ]


def test_a_quiet_watch_prints_nothing_and_asks_for_no_steps(capsys):
    assert Server(look("Running"), look("Canceled")).watch(is_quiet=True).state == "Canceled"
    assert capsys.readouterr().out == ""


def test_a_server_that_comes_back_does_not_end_the_watch():
    away = [httpx.ConnectError("refused")] * 6
    assert Server(look("Running"), *away, look("Finished")).watch().state == "Finished"


def test_a_server_that_was_never_there_ends_it_when_the_time_is_over():
    with pytest.raises(ServerUnreachable):
        RunWatch(
            Server(httpx.ConnectError("refused")).client(),
            "/runs/r",
            lambda step: step,
            is_quiet=True,
            away_seconds_max=0,
        ).until_end(60)


def test_the_time_may_be_over_before_the_run():
    assert Server(look("Running")).watch(timeout=0).state == "Running"


def test_a_tail_keeps_half_a_line_until_it_is_whole():
    said = []
    pieces = iter(["a\r\nb", "c", "\n\nd"])

    def answer(request):
        text = next(pieces)
        offset = int(request.url.params["offset"]) + len(text)
        body = {"text": text, "next_offset": offset, "is_complete": text.endswith("d")}
        return httpx.Response(200, content=json.dumps(body))

    client = Client("http://127.0.0.1:1", None, transport=httpx.MockTransport(answer))
    tail = LogTail(client, "/log", said.append)
    assert all(tail.read() for _ in range(3))
    assert said == ["a", "bc", "", "d"]
    assert not tail.read()
