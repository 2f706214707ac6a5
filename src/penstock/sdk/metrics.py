"""Metrics: what a run logs, sent in batches, and how it is read back."""

from __future__ import annotations

import atexit
import json
import math
import sys
import threading
import weakref
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from penstock.errors import PenstockError
from penstock.sdk.client import Client
from penstock.sdk.exceptions import UserErrorException
from penstock.wire import MetricDocument, MetricDraft, MetricsRequest

BATCH_MAX = 100
DELAY_SECONDS = 1.0

_BUFFERS: weakref.WeakSet[MetricBuffer] = weakref.WeakSet()


class MetricBuffer:
    """Metrics of one run that are on their way.

    What is added is sent after a second at the latest, at once when there is a batch of it, and
    when the process ends. A batch that could not be sent waits for the next one.
    """

    def __init__(self, client: Client, path: str) -> None:
        """Collect metrics for the run whose metrics are at `path`."""
        self._client = client
        self._path = path
        self._drafts: list[MetricDraft] = []
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()  # around the list
        self._sending = threading.Lock()  # around a batch, so that batches keep their order
        _BUFFERS.add(self)
        _flush_at_exit()

    def add(self, name: str, kind: str, value: Any, step: int | None = None) -> None:
        """Keep a metric and see to it that it is sent."""
        draft = MetricDraft.made(name=name, kind=kind, value=jsonable(value), step=step)
        with self._lock:
            self._drafts.append(draft)
            is_full = len(self._drafts) >= BATCH_MAX
            if self._timer is None and not is_full:
                self._timer = threading.Timer(DELAY_SECONDS, self._flush_quietly)
                self._timer.daemon = True
                self._timer.start()
        if is_full:
            self._flush_quietly()

    def flush(self) -> None:
        """Send everything that was added before; what cannot be sent stays.

        Raises:
            PenstockError: the server refused it or could not be reached.
        """
        with self._sending:
            with self._lock:
                drafts, self._drafts = self._drafts, []
                if self._timer is not None:
                    self._timer.cancel()
                    self._timer = None
            if not drafts:
                return
            body = MetricsRequest(metrics=drafts).model_dump_json().encode()
            try:
                self._client.request(
                    "POST", self._path, content=body, headers={"Content-Type": "application/json"}
                )
            except PenstockError:
                with self._lock:
                    self._drafts[:0] = drafts
                raise

    def _flush_quietly(self) -> None:
        """Send, but let a script not fail for its metrics: say it and keep them."""
        try:
            self.flush()
        except PenstockError as error:
            print(f"penstock: metrics could not be sent yet: {error}", file=sys.stderr, flush=True)


@cache
def _flush_at_exit() -> None:
    # What is registered last runs first. Not at import: clients that are made after it would be
    # closed before the metrics are sent; a buffer has its client already.
    atexit.register(_flush_all)


def _flush_all() -> None:
    for buffer in list(_BUFFERS):
        buffer._flush_quietly()


def jsonable(value: Any) -> Any:
    """Return a value as JSON can carry it; numpy's scalars and arrays become Python's.

    Numbers that JSON does not have (NaN, infinity) become their names; `plain` turns them back.

    Raises:
        UserErrorException: it is nothing that JSON can carry.
    """
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, Mapping):
        return {str(name): jsonable(item) for name, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset, range)):
        return [jsonable(item) for item in value]
    if hasattr(value, "tolist"):  # numpy and pandas
        return jsonable(value.tolist())
    raise UserErrorException(
        field="value",
        value=repr(value),
        expected="a number, text, or lists and dictionaries of them",
    )


_NAMED_NUMBERS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def plain(value: Any) -> Any:
    """Return a logged value as Python has it: the names of special numbers become numbers."""
    if isinstance(value, str):
        return _NAMED_NUMBERS.get(value, value)
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    return value


def table_value(name: str, value: Any) -> Any:
    """Return the content of a curve or matrix, given as a dictionary or as JSON text."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise UserErrorException(
            f"The value of {name!r} is text but not JSON: {error}.", field="value"
        ) from error


def by_name(documents: Iterable[MetricDocument]) -> dict[str, Any]:
    """Return the values of one run by name: the value itself, or a list when it was logged often.

    Rows of one name come as one dictionary of columns.
    """
    series: dict[str, list[MetricDocument]] = {}
    for document in sorted(documents, key=lambda document: document.sequence):
        series.setdefault(document.name, []).append(document)
    return {name: _joined(documents) for name, documents in series.items()}


def _joined(documents: list[MetricDocument]) -> Any:
    values = [plain(document.value) for document in documents]
    if len(values) == 1:
        return values[0]
    if all(document.kind == "row" for document in documents):
        columns: dict[str, list[Any]] = {}
        for value in values:
            for column, cell in value.items():
                columns.setdefault(column, []).append(cell)
        return columns
    if all(document.kind == "list" for document in documents):
        return [item for value in values for item in value]
    return values
