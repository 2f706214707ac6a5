"""Metrics: batches, values, and how they come back."""

from __future__ import annotations

import json
import math

import httpx
import pytest

from penstock import UserErrorException
from penstock.errors import PenstockError
from penstock.sdk.client import Client
from penstock.sdk.metrics import BATCH_MAX, MetricBuffer, by_name, jsonable, plain
from penstock.wire import MetricDocument


class Server:
    def __init__(self):
        self.batches = []
        self.is_up = True

    def __call__(self, request):
        if not self.is_up:
            return httpx.Response(500, text="down")
        self.batches.append([m["name"] for m in json.loads(request.content)["metrics"]])
        return httpx.Response(204)

    def buffer(self):
        client = Client("http://127.0.0.1:1", None, transport=httpx.MockTransport(self))
        return MetricBuffer(client, "/metrics")


def test_metrics_are_sent_together():
    server = Server()
    buffer = server.buffer()
    buffer.add("a", "scalar", 1)
    buffer.add("b", "scalar", 2)
    assert server.batches == []
    buffer.flush()
    buffer.flush()
    assert server.batches == [["a", "b"]]


def test_a_full_batch_does_not_wait():
    server = Server()
    buffer = server.buffer()
    for _ in range(BATCH_MAX):
        buffer.add("a", "scalar", 1)
    assert [len(batch) for batch in server.batches] == [BATCH_MAX]


def test_what_could_not_be_sent_is_sent_later_in_order(capsys):
    server = Server()
    buffer = server.buffer()
    server.is_up = False
    buffer.add("a", "scalar", 1)
    with pytest.raises(PenstockError):
        buffer.flush()
    buffer._flush_quietly()
    assert "could not be sent yet" in capsys.readouterr().err
    server.is_up = True
    buffer.add("b", "scalar", 2)
    buffer.flush()
    assert server.batches == [["a", "b"]]


class Array:
    """Like numpy's: no list, but it can become one."""

    def __init__(self, items):
        self.items = items

    def tolist(self):
        return self.items


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (1, 1),
        (True, True),
        (1.5, 1.5),
        ("x", "x"),
        (None, None),
        ((1, 2), [1, 2]),
        ({1: (2,)}, {"1": [2]}),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        (Array([1.0, math.inf]), [1.0, "inf"]),
        (Array(3), 3),
    ],
)
def test_values_become_json(value, sent):
    assert jsonable(value) == sent


def test_what_json_cannot_carry_is_refused():
    with pytest.raises(UserErrorException, match="value"):
        jsonable(object())


def test_special_numbers_come_back():
    assert math.isnan(plain("nan"))
    assert plain({"a": ["inf", "-inf", 1]}) == {"a": [math.inf, -math.inf, 1]}


def document(name, sequence, kind, value):
    return MetricDocument(
        run_id="r",
        name=name,
        sequence=sequence,
        kind=kind,
        value=value,
        step=None,
        logged_at="2026-01-01T00:00:00Z",
    )


def test_values_come_back_by_name():
    documents = [
        document("series", 1, "scalar", 2),
        document("series", 0, "scalar", 1),
        document("one", 0, "scalar", 5),
        document("list", 0, "list", [1]),
        document("list", 1, "list", [2]),
        document("row", 0, "row", {"a": 1}),
        document("row", 1, "row", {"a": 2, "b": 3}),
        document("table", 0, "table", {"a": [1]}),
    ]
    assert by_name(documents) == {
        "series": [1, 2],
        "one": 5,
        "list": [1, 2],
        "row": {"a": [1, 2], "b": [3]},
        "table": {"a": [1]},
    }
