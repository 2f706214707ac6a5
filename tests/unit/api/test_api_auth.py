"""Who may come in: the administrator's token, a step's token while it runs, and nothing else."""

from __future__ import annotations

import base64
import logging

import pytest
from tests.builders import a_step_run
from tests.unit.api.client import ADMIN_TOKEN, NOW, Api, W, a_pipeline

from penstock.api.context import Context
from penstock.core.model import StepRun
from penstock.core.states import StepState
from penstock.service.tokens import RunTokens
from penstock.store import steps

PING = "/api/v1/workspaces"


def basic(password: str) -> dict[str, str]:
    word = base64.b64encode(f"anyone:{password}".encode()).decode()
    return {"Authorization": f"Basic {word}"}


def test_the_administrators_token_opens_everything(api: Api) -> None:
    assert api.get(PING).status_code == 200


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        f"Bearer {ADMIN_TOKEN}x",
        f"Bearer {ADMIN_TOKEN[:-1]}",
        ADMIN_TOKEN,
        f"Token {ADMIN_TOKEN}",
        "Bearer psr_",
        "Bearer psr_.",
        "Bearer psr_W10.AAAA",
        "Bearer \xe9\xe8",
        "Basic",
        "Basic !!!",
        "Basic /w==",
    ],
)
def test_whatever_else_is_refused(api: Api, authorization: str) -> None:
    for path in (PING, "/docs"):
        headers = {"Authorization": authorization.encode("latin-1")}
        answer = api.get(path, token=None, headers=headers)
        assert answer.status_code == 401, authorization


def test_the_scheme_may_be_written_in_any_case(api: Api) -> None:
    headers = {"Authorization": f"bEARER {ADMIN_TOKEN}"}
    assert api.get(PING, token=None, headers=headers).status_code == 200


def test_a_browser_may_send_the_token_as_password_for_the_pages_only(api: Api) -> None:
    for path in ("/docs", "/openapi.json", "/api/v1/docs", "/api/v1/openapi.json"):
        assert api.get(path, token=None, headers=basic(ADMIN_TOKEN)).status_code == 200
        assert api.get(path, token=None, headers=basic("wrong")).status_code == 401
        assert "Basic " in api.get(path, token=None).headers["www-authenticate"]
    assert api.get(PING, token=None, headers=basic(ADMIN_TOKEN)).status_code == 401
    assert "Basic " not in api.get(PING, token=None).headers["www-authenticate"]


def test_tokens_are_neither_logged_nor_echoed(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for token in (ADMIN_TOKEN, "wrong-but-perhaps-anothers", "psr_forged.signature"):
        for path in (PING, "/docs", "/api/v1/server", "/nothing"):
            assert token not in api.get(path, token=token).text
        assert token not in caplog.text
    assert ADMIN_TOKEN not in repr(api.context)


# ---- tokens of running steps ---------------------------------------------------------------------


@pytest.fixture
def step_run(api: Api, context: Context) -> StepRun:
    """The second attempt of a step at work."""
    pipeline = a_pipeline(api)
    run = api.made(f"{W}/runs", {"experiment": "exp", "pipeline_id": pipeline["id"]})
    made = a_step_run(
        run_id=run["id"],
        step_id="one",
        state=StepState.RUNNING,
        attempt=2,
        queued_at=NOW,
        started_at=NOW,
    )
    with context.store.begin() as tx:
        steps.insert_many(tx, [made])
    return made


def token_of(api: Api, step_run: StepRun, attempt: int = 2) -> str:
    workspace_id = api.shown(W)["id"]
    return api.context.tokens.make(step_run.run_id, step_run.id, attempt, workspace_id)


def test_a_step_at_work_may_read_its_workspace_and_write_to_its_run(
    api: Api, step_run: StepRun
) -> None:
    token = token_of(api, step_run)
    assert api.get(f"{W}/runs/{step_run.run_id}", token=token).status_code == 200
    metrics = {"metrics": [{"name": "loss", "value": 0.5}]}
    path = f"{W}/step-runs/{step_run.id}/metrics"
    assert api.post(path, metrics, token=token).status_code == 204
    assert api.get("/api/v1/workspaces", token=token).json()[0]["name"] == "default"


def test_a_step_at_work_may_not_do_what_only_the_administrator_may(
    api: Api, step_run: StepRun
) -> None:
    token = token_of(api, step_run)
    other = api.made(f"{W}/runs", {"experiment": "e", "pipeline_id": a_pipeline(api)["id"]})
    refused = [
        api.get("/api/v1/server", token=token),
        api.get(f"{W}/activity", token=token),
        api.get(f"{W}/schedules", token=token),
        api.post("/api/v1/workspaces", {"name": "mine"}, token=token),
        api.post(f"{W}/runs/{other['id']}/metrics", {"metrics": []}, token=token),
        api.post(f"{W}/runs/{other['id']}/cancel", token=token),
    ]
    for answer in refused:
        assert (answer.status_code, answer.json()["code"]) == (403, "not-allowed")


def test_a_step_sees_no_other_workspace(api: Api, step_run: StepRun) -> None:
    api.made("/api/v1/workspaces", {"name": "other"})
    token = token_of(api, step_run)
    assert api.get("/api/v1/workspaces/other", token=token).status_code == 403
    assert len(api.get("/api/v1/workspaces", token=token).json()) == 1


def test_the_token_of_an_earlier_or_a_later_attempt_is_refused(api: Api, step_run: StepRun) -> None:
    for attempt in (0, 1, 3):
        answer = api.get(PING, token=token_of(api, step_run, attempt))
        assert answer.status_code == 401
        assert f"attempt {attempt}" in answer.json()["detail"]


@pytest.mark.parametrize("state", [state for state in StepState if state is not StepState.RUNNING])
def test_the_token_ends_with_the_attempt(
    api: Api, context: Context, step_run: StepRun, state: StepState
) -> None:
    token = token_of(api, step_run)
    with context.store.begin() as tx:
        moved = steps.move(
            tx, step_run.id, expected_attempt=2, expected_state=StepState.RUNNING, state=state
        )
    assert moved
    assert api.get(PING, token=token).status_code == 401


def test_a_token_for_a_step_that_does_not_exist_is_refused(api: Api, step_run: StepRun) -> None:
    workspace_id = api.shown(W)["id"]
    make = api.context.tokens.make
    assert api.get(PING, token=make(step_run.run_id, "no-step", 2, workspace_id)).status_code == 401
    assert api.get(PING, token=make("no-run", step_run.id, 2, workspace_id)).status_code == 401


def test_a_token_signed_with_another_secret_is_refused(api: Api, step_run: StepRun) -> None:
    workspace_id = api.shown(W)["id"]
    token = RunTokens(b"o" * 32).make(step_run.run_id, step_run.id, 2, workspace_id)
    assert api.get(PING, token=token).status_code == 401
