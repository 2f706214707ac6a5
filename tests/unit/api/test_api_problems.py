"""Whatever goes wrong is answered with a problem document that says what, where and why."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.unit.api.client import Api, W
from tests.unit.api.conftest import BuildApi

from penstock import errors
from penstock.api import problems
from penstock.errors import Invalid, PenstockError, StorageFull, StoreBusy
from penstock.store.database import AlreadyThere


class BrokenStore:
    """A store whose every transaction fails."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    @contextmanager
    def read(self) -> Iterator[Any]:
        raise self.error
        yield

    begin = read


def is_problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["status"] == status
    assert document["code"] == code
    assert document["type"] == f"urn:penstock:error:{code}"
    assert document["title"]
    assert document["detail"]
    return document


def raisable() -> Iterator[PenstockError]:
    pending = [PenstockError]
    while pending:
        found = pending.pop()
        pending += found.__subclasses__()
        yield found("It went wrong.")


@pytest.mark.parametrize("error", [*raisable()], ids=lambda error: type(error).__name__)
def test_each_of_our_errors_crosses_the_wire(build_api: BuildApi, error: PenstockError) -> None:
    answer = build_api(store=BrokenStore(error)).get(W)
    document = is_problem(answer, error.http_status, error.code)
    assert document["detail"] == "It went wrong."
    back = errors.from_problem(document)
    assert back.code == error.code
    assert str(back) == "It went wrong."


def test_a_passing_trouble_says_when_to_come_back(build_api: BuildApi) -> None:
    for error, seconds in ((StoreBusy(retry_after=2.3), "3"), (StorageFull(retry_after=0), "1")):
        answer = build_api(store=BrokenStore(error)).get(W)
        assert answer.headers["retry-after"] == seconds


def test_an_unexpected_error_is_logged_and_not_shown(
    build_api: BuildApi, caplog: pytest.LogCaptureFixture
) -> None:
    api = build_api(store=BrokenStore(RuntimeError("the inside of the server")))
    document = is_problem(api.get(W), 500, "internal")
    assert "inside" not in json.dumps(document)
    assert document["error_id"] in document["detail"]
    (record,) = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert document["error_id"] in record.getMessage()
    assert record.exc_info is not None
    assert "the inside of the server" in str(record.exc_info[1])


def test_two_at_once_who_make_the_same_are_a_conflict(build_api: BuildApi) -> None:
    api = build_api(store=BrokenStore(AlreadyThere("workspaces.name")))
    is_problem(api.post("/api/v1/workspaces", {"name": "x1"}), 409, "conflict")


def test_an_unknown_route_is_not_found(api: Api) -> None:
    document = is_problem(api.get("/api/v1/nothing"), 404, "not-found")
    assert "GET /api/v1/nothing" in document["detail"]
    is_problem(api.get("/api/v1/workspaces/"), 404, "not-found")


def test_a_wrong_method_says_which_are_right(api: Api) -> None:
    answer = api.request("DELETE", W)
    document = is_problem(answer, 405, "invalid")
    assert "GET" in document["detail"]
    assert "GET" in answer.headers["allow"]


def test_an_unknown_id_is_named(api: Api) -> None:
    for kind in ("runs", "step-runs", "schedules", "pipelines", "graphs"):
        document = is_problem(api.get(f"{W}/{kind}/no-such-id"), 404, "not-found")
        assert "no-such-id" in document["detail"]
    is_problem(api.get("/api/v1/workspaces/nowhere"), 404, "not-found")


# ---- bodies --------------------------------------------------------------------------------------

JSON = {"Content-Type": "application/json"}
DEEP = b'{"experiment": ' + b"[" * 100 + b"]" * 100 + b"}"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no body"),
        (b"{", "not JSON"),
        (b"{'a': 1}", "line 1, column 2"),
        (b'{"experiment": NaN}', "NaN"),
        (b'{"experiment": -Infinity}', "Infinity"),
        (b'{"experiment": 1e999}', "too large"),
        (b'{"experiment": ' + b"9" * 5000 + b"}", "too many digits"),
        (b'{"experiment": "\xff"}', "not UTF-8"),
        (b'{"experiment": "\\u0000"}', "NUL"),
        (b'{"tags": {"\\u0000": "x"}}', "NUL"),
        (b'{"experiment": "\\ud800"}', "surrogate"),
        (DEEP, "nested deeper"),
        (b"[" * 200_000, "nested deeper"),
        (b"[]", "body"),
        (b'"text"', "body"),
        (b"null", "body"),
    ],
)
def test_a_body_that_is_not_usable_json_is_refused(api: Api, content: bytes, said: str) -> None:
    answer = api.request("POST", f"{W}/runs", content=content, headers=JSON)
    assert said in is_problem(answer, 400, "invalid")["detail"]


def test_an_escaped_backslash_before_u0000_is_ordinary_text(api: Api) -> None:
    content = b'{"tags": {"path": "C:\\\\u0000"}}'
    api.put(f"{W}/experiments/exp")
    answer = api.request("PATCH", f"{W}/experiments/exp", content=content, headers=JSON)
    assert answer.json()["tags"] == {"path": "C:\\u0000"}


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "é", "json"]
)
def test_another_content_type_is_refused(api: Api, kind: str) -> None:
    headers = {"Content-Type": kind.encode("latin-1")} if kind else {}
    content = b'{"name": "w1"}'
    answer = api.request("POST", "/api/v1/workspaces", content=content, headers=headers)
    assert "application/json" in is_problem(answer, 415, "invalid")["detail"]


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "Application/JSON", "application/x+json"]
)
def test_json_may_be_called_by_its_longer_names(api: Api, kind: str) -> None:
    content, headers = b'{"name": "w1"}', {"Content-Type": kind}
    answer = api.request("POST", "/api/v1/workspaces", content=content, headers=headers)
    assert answer.status_code == 201


def test_a_body_over_the_limit_is_refused(build_api: BuildApi) -> None:
    api = build_api(json_bytes_max=200)
    fits = {"name": "w1", "resource_group": "x" * 150}
    assert api.post("/api/v1/workspaces", fits).status_code == 201
    document = is_problem(api.post("/api/v1/workspaces", {"name": "x" * 200}), 413, "too-large")
    assert document["limit_bytes"] == 200


def test_a_body_of_unannounced_length_is_refused_at_the_limit(build_api: BuildApi) -> None:
    api = build_api(json_bytes_max=1000)

    async def pieces() -> Any:
        for _ in range(1001):
            yield b" "

    answer = api.request("POST", "/api/v1/workspaces", content=pieces(), headers=JSON)
    is_problem(answer, 413, "too-large")


# ---- shapes --------------------------------------------------------------------------------------


def test_a_missing_field_is_named(api: Api) -> None:
    document = is_problem(api.post(f"{W}/runs", {}), 400, "invalid")
    assert document["detail"] == "experiment is missing."
    assert document["errors"] == [{"field": "experiment", "message": "experiment is missing."}]


def test_an_unknown_field_is_named_also_deep_inside(api: Api) -> None:
    document = is_problem(
        api.post(f"{W}/runs", {"experiment": "e", "piepline_id": 1}), 400, "invalid"
    )
    assert document["field"] == "piepline_id"
    recurrence = {"frequency": "Day", "interval": 1, "intervall": 2}
    answer = api.post(f"{W}/schedules/preview", {"recurrence": recurrence})
    document = is_problem(answer, 400, "invalid")
    assert document["field"] == "recurrence.intervall"
    assert "is not a field" in document["detail"]


def test_a_wrong_value_comes_with_what_was_expected(api: Api) -> None:
    recurrence = {"frequency": "Fortnight", "interval": "often"}
    answer = api.post(f"{W}/schedules/preview", {"recurrence": recurrence, "count": 0})
    document = is_problem(answer, 400, "invalid")
    by_field = {fault["field"]: fault for fault in document["errors"]}
    assert set(by_field) == {"recurrence.frequency", "recurrence.interval", "count"}
    assert by_field["recurrence.frequency"]["value"] == "Fortnight"
    assert "'Day'" in by_field["recurrence.frequency"]["expected"]
    assert "count = 0 is not valid: expected greater than" in by_field["count"]["message"]


def test_more_than_three_faults_are_counted_in_the_sentence(api: Api) -> None:
    answer = api.post(f"{W}/runs", {"a": 1, "b": 2, "c": 3, "d": 4})
    document = is_problem(answer, 400, "invalid")
    assert len(document["errors"]) == 5
    assert "(2 more in `errors`.)" in document["detail"]


def test_query_and_path_are_named_as_the_user_wrote_them(api: Api) -> None:
    for query in ("limit=0", "limit=1001", "limit=x", "limit=", "active_only=perhaps"):
        document = is_problem(api.get(f"{W}/schedules?{query}"), 400, "invalid")
        assert document["field"] == query.partition("=")[0]
    document = is_problem(api.get(f"{W}/runs?state=Sleeping"), 400, "invalid")
    assert document["field"] == "state.0"
    assert "'Running'" in document["detail"]
    document = is_problem(api.put(f"{W}/blobs/xyz", b"x"), 400, "invalid")
    assert document["field"] == "sha256"


def test_an_unreadable_cursor_is_named(api: Api) -> None:
    for listed in ("schedules", "runs", "pipelines", "experiments", "activity"):
        document = is_problem(api.get(f"{W}/{listed}?after=rubbish"), 400, "invalid")
        assert document["field"] == "after"


def test_a_long_value_is_not_sent_back_whole(api: Api) -> None:
    answer = api.post(f"{W}/runs", {"experiment": "e", "x" * 3000: "y" * 100_000})
    is_problem(answer, 400, "invalid")
    assert len(answer.content) < 20_000


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/workspaces/a%00b",
        f"{W}/runs?experiment=a%00b",
        f"{W}/runs?a%00=1",
        f"{W}/datastores/workspaceblobstore/files/a%00b",
        f"{W}/runs/{'x' * 300}",
        f"{W}/datastores/workspaceblobstore/files/{'x/' * 1600}",
    ],
)
def test_nul_and_endless_names_in_the_address_are_refused(api: Api, path: str) -> None:
    is_problem(api.get(path), 400, "invalid")


@pytest.mark.parametrize("name", ["%ff", "%ed%a0%80", "%F0%9F%98%80", "..%2f..", "%0a", "%20"])
def test_odd_names_are_simply_not_found(api: Api, name: str) -> None:
    for path in (f"/api/v1/workspaces/{name}", f"{W}/runs/{name}"):
        is_problem(api.get(path), 404, "not-found")


# ---- the document itself -------------------------------------------------------------------------


def test_numbers_that_json_does_not_have_become_text() -> None:
    answer = problems.response(Invalid(field="x", value=float("nan"), expected="a number"))
    document = json.loads(answer.body)
    assert document["value"] == "nan"


def test_half_a_surrogate_pair_in_a_value_is_no_obstacle() -> None:
    answer = problems.response(Invalid(field="x", value="\ud800", expected="text"))
    assert json.loads(answer.body)["value"] == "\ud800"


def test_an_error_of_the_core_inside_a_validation_keeps_its_own_words() -> None:
    ours = errors.InvalidRecurrence("Mondays only.", field="week_days")
    fault = {"type": "value_error", "loc": ("body", "recurrence"), "ctx": {"error": ours}}
    assert problems.invalid([fault]) is ours
