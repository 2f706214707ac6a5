"""The transport: what is repeated, what is raised, and what is never shown."""

from __future__ import annotations

import httpx
import pytest
from pydantic import BaseModel

from penstock import errors
from penstock.sdk.client import Client, Patience, file_route, route

TOKEN = "pst_secret-secret-secret"
URL = "http://127.0.0.1:8710"


class Thing(BaseModel):
    name: str


class Answers:
    """Gives one answer after the other, the last one for ever, and keeps the requests."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []
        self.pauses = []

    def __call__(self, request):
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self, token=TOKEN):
        return Client(URL, token, transport=httpx.MockTransport(self), pause=self.pauses.append)


def problem(error, **headers):
    return httpx.Response(
        error.http_status,
        json=errors.to_problem(error),
        headers={k.replace("_", "-"): v for k, v in headers.items()},
    )


OK = {"name": "a"}
GONE = httpx.ConnectError("connection refused")
CUT = httpx.ReadError("connection reset")


def busy(retry_after=0.5):
    return problem(errors.StoreBusy(retry_after=retry_after))


def test_a_document_is_read_with_the_token():
    answers = Answers(httpx.Response(200, json=OK))
    assert answers.client().read(Thing, "/things/1", limit=3, after=None) == Thing(name="a")
    request = answers.requests[0]
    assert str(request.url) == f"{URL}/api/v1/things/1?limit=3"
    assert request.headers["Authorization"] == f"Bearer {TOKEN}"


def test_pages_are_read_as_they_are_asked_for():
    answers = Answers(
        httpx.Response(200, json={"items": [OK, OK], "next": "x/2"}),
        httpx.Response(200, json={"items": [OK], "next": None}),
    )
    items = answers.client().pages(Thing, "/things", name="n")
    next(items)
    assert len(answers.requests) == 1
    assert len(list(items)) == 2
    assert answers.requests[1].url.params["after"] == "x/2"
    assert answers.requests[1].url.params["name"] == "n"


@pytest.mark.parametrize(
    ("method", "headers", "failure", "sent"),
    [
        ("GET", {}, GONE, 4),
        ("GET", {}, CUT, 4),
        ("GET", {}, busy, 4),
        ("PUT", {}, CUT, 4),
        ("POST", {"Idempotency-Key": "k"}, CUT, 4),
        ("POST", {"Idempotency-Key": "k"}, busy, 4),
        ("POST", {}, GONE, 4),  # refused: nothing can have been done
        ("POST", {}, CUT, 1),
        ("POST", {}, busy, 1),
        ("PATCH", {}, CUT, 1),
        ("GET", {}, lambda: problem(errors.NotFound(kind="run", id="x")), 1),
        ("GET", {}, lambda: problem(errors.StorageFull()), 1),
    ],
)
def test_only_what_can_do_no_harm_is_repeated(method, headers, failure, sent):
    answers = Answers(failure() if callable(failure) else failure)
    with pytest.raises(errors.PenstockError):
        answers.client().request(method, "/x", headers=headers)
    assert len(answers.requests) == sent


def test_pauses_grow_and_follow_what_the_server_asks_for():
    answers = Answers(busy(0.0), busy(2.5), busy(600.0), httpx.Response(200, json=OK))
    answers.client().request("GET", "/x")
    assert answers.pauses == [0.1, 2.5, 10.0]


def test_a_body_is_sent_anew_in_each_attempt(tmp_path):
    file = tmp_path / "f"
    file.write_bytes(b"content")
    answers = Answers(CUT, httpx.Response(204))
    bodies = []

    def read(request):
        bodies.append(request.read())
        return answers(request)

    client = Client(URL, None, transport=httpx.MockTransport(read), pause=answers.pauses.append)
    client.upload("/x", file)
    assert bodies == [b"content", b"content"]


@pytest.mark.parametrize(
    "error",
    [
        errors.NotFound(kind="schedule", id="s-1"),
        errors.Invalid(field="name", value="", expected="a name", hint="Give one."),
        errors.InvalidParameters("two faults", errors=[{"field": "a", "message": "b"}]),
        errors.InUse("still used", schedules=[{"id": "1"}]),
        errors.TooLarge("too much"),
    ],
)
def test_the_error_of_the_server_is_raised_here(error):
    with pytest.raises(type(error)) as raised:
        Answers(problem(error)).client().request("POST", "/x")
    assert type(raised.value) is type(error)
    assert raised.value.message == str(raised.value) == error.message
    assert raised.value.details == error.details
    assert raised.value.response.status_code == error.http_status


def test_an_unreachable_server_is_named_with_a_way_out():
    with pytest.raises(errors.ServerUnreachable, match="penstock up") as raised:
        Answers(GONE).client().request("GET", "/x")
    assert URL in str(raised.value)
    assert "PENSTOCK_URL" in str(raised.value)


@pytest.mark.parametrize(("token", "hint"), [(None, "No token was found"), (TOKEN, "not known")])
def test_a_refused_token_comes_with_a_hint_and_is_not_shown(token, hint):
    answers = Answers(problem(errors.NotAuthenticated("who are you?")))
    with pytest.raises(errors.NotAuthenticated, match=hint) as raised:
        answers.client(token).request("GET", "/x")
    assert "PENSTOCK_TOKEN" in str(raised.value)
    assert TOKEN not in str(raised.value) + repr(raised.value) + repr(raised.value.details)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (500, errors.PenstockError),
        (502, errors.PenstockError),
        (503, errors.Unavailable),
        (401, errors.NotAuthenticated),
        (418, errors.PenstockError),
    ],
)
def test_an_answer_of_something_else_is_quoted(status, error):
    answers = Answers(httpx.Response(status, text="<h1>Proxy</h1>"))
    with pytest.raises(error, match=f"{status}.*<h1>Proxy</h1>"):
        answers.client().request("POST", "/x")


def test_the_token_is_in_no_representation():
    client = Answers(httpx.Response(200)).client()
    assert TOKEN not in repr(client)


def test_a_download_is_there_whole_or_not_at_all(tmp_path):
    target = tmp_path / "new" / "file"
    content = b"x" * 3_000_000
    assert Answers(httpx.Response(200, content=content)).client().download("/x", target) == len(
        content
    )
    assert target.read_bytes() == content
    with pytest.raises(errors.NotFound):
        Answers(problem(errors.NotFound())).client().download("/x", tmp_path / "other")
    assert [path.name for path in tmp_path.rglob("*")] == ["new", "file"]


def test_routes_are_quoted():
    assert route("a b", "c/d", "é") == "/a%20b/c%2Fd/%C3%A9"
    assert file_route("files", path="a b/c?d.txt") == "/files/a%20b/c%3Fd.txt"


def test_patience_of_no_seconds_is_over_at_once():
    patience = Patience(0)
    patience.wait()
    assert patience.is_over
    assert not Patience(60).is_over
