"""Errors as problem documents (RFC 9457): every answer that is not a success has this shape."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from penstock.errors import (
    Invalid,
    NotFound,
    PenstockError,
    TooLarge,
    Unavailable,
    to_problem,
)

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_TEXT_MAX = 2000  # a value is shown so that it is recognised, not sent back whole
_VALUE_MAX = 120


class MethodNotAllowed(Invalid):
    """The address is right, the method is not."""

    http_status = 405


class NotJson(Invalid):
    """The content is not of a type that is understood here."""

    http_status = 415


def response(error: PenstockError, headers: Mapping[str, str] | None = None) -> Response:
    """Return the answer that carries `error`."""
    content = json.dumps(_sendable(to_problem(error)), allow_nan=False, default=repr)
    answer = Response(content, status_code=error.http_status, media_type=MEDIA_TYPE)
    answer.headers.update(headers or {})
    if isinstance(error, Unavailable):
        answer.headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    return answer


def unexpected(error_id: str) -> PenstockError:
    """Return what a caller is told about a fault of ours: where to look, nothing from inside."""
    message = (
        f"Something went wrong in the server. Its log tells more under the error id {error_id}."
    )
    return PenstockError(message, error_id=error_id)


def _sendable(value: Any) -> Any:
    """Return `value` for JSON: texts shortened, and numbers that JSON does not have as texts."""
    if isinstance(value, str):
        return value if len(value) <= _TEXT_MAX else f"{value[:_TEXT_MAX]}…"
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    if isinstance(value, Mapping):
        return {str(key): _sendable(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [_sendable(item) for item in value]
    return value


# ---- what FastAPI and Starlette find wrong -------------------------------------------------------


async def from_http_exception(request: Request, error: Exception) -> Response:
    """Answer an unknown route, a wrong method, and whatever else the framework refuses."""
    assert isinstance(error, HTTPException)
    where = f"{request.method} {request.url.path}"
    hint = "GET /docs lists the routes."
    problem: PenstockError
    match error.status_code:
        case 404:
            problem = NotFound(f"There is no route {where}.", kind="route", id=where, hint=hint)
        case 405:
            allowed = (error.headers or {}).get("Allow")
            problem = MethodNotAllowed(
                f"{where} is not possible; {allowed} is.", field="method", value=request.method
            )
        case 413:
            problem = TooLarge(error.detail)
        case _:
            problem = Invalid(error.detail)
    return response(problem, error.headers)


async def from_validation(request: Request, error: Exception) -> Response:
    """Answer a request whose parameters or body are not of the shape that the route documents."""
    assert isinstance(error, RequestValidationError)
    return response(invalid(error.errors()))


def invalid(faults: Sequence[Mapping[str, Any]]) -> Invalid:
    """Return one error for all that pydantic found: the first in a sentence, all of them listed."""
    for fault in faults:
        ours = fault.get("ctx", {}).get("error")
        if isinstance(ours, Invalid):
            return ours  # raised by a value of the core at its birth; it says more than pydantic
    listed = [_fault(fault) for fault in faults]
    sentences = [fault["message"] for fault in listed[:3]]
    if len(listed) > 3:
        sentences.append(f"({len(listed) - 3} more in `errors`.)")
    return Invalid(" ".join(sentences), field=listed[0]["field"], errors=listed)


def _fault(fault: Mapping[str, Any]) -> dict[str, Any]:
    field = _field(fault["loc"])
    kind = fault["type"]
    if kind == "missing":
        message = f"{field} is missing." if field != "body" else "The request has no body."
        return {"field": field, "message": message}
    value = _shown(fault.get("input"))
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        message = f"{field} is not a field of this request (its value: {value!r})."
        return {"field": field, "message": message, "value": value}
    expected = str(fault["msg"]).removeprefix("Input should be ").removeprefix("Value error, ")
    message = f"{field} = {value!r} is not valid: expected {expected}."
    return {"field": field, "message": message, "value": value, "expected": expected}


def _field(location: Sequence[str | int]) -> str:
    """Return the dotted name of a field as the user wrote it: steps.0.name."""
    names = [str(part) for part in location]
    return ".".join(names[1:]) or names[0]


def _shown(value: Any) -> Any:
    """Return `value` itself when it is short, else the beginning of its text."""
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, int) and abs(value) < 10**_VALUE_MAX:
        return value
    text = value if isinstance(value, str) else f"{type(value).__name__} …"
    return text if len(text) <= _VALUE_MAX else f"{text[:_VALUE_MAX]}…"
