"""What comes in: JSON bodies, read whole and strictly, and raw ones, streamed."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, BinaryIO, TypeVar

import anyio
from anyio import CapacityLimiter, from_thread, to_thread
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from penstock.api.problems import NotJson
from penstock.errors import Invalid, TooLarge

Result = TypeVar("Result")

DEPTH_MAX = 64  # of brackets within brackets; the deepest graph has a quarter of it
BUFFER_BYTES = 1 << 20
UPLOADS_MAX = 16  # at a time: each holds a thread for as long as its client takes

# Escapes of what databases and files refuse: NUL, and halves of surrogate pairs.
_SUSPECT_ESCAPE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_NOT_TEXT = re.compile("[\0\ud800-\udfff]")


class JsonRoute(APIRoute):
    """A route that reads its body, where it has one, through `JsonRequest`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler that FastAPI would use, behind the reading of the body."""
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle

        async def read_and_handle(request: Request) -> Response:
            strict = JsonRequest(request.scope, request.receive)
            # Here, because FastAPI would wrap an error while reading into one of its own.
            if await strict.body():
                await strict.json()
            return await handle(strict)

        return read_and_handle


class JsonRequest(Request):
    """A request whose body is JSON: limited in size and depth, without NUL, NaN and the like."""

    _content: bytes | None = None
    _value: Any = None

    async def body(self) -> bytes:
        """Return the body; raise TooLarge as soon as it is over the limit."""
        if self._content is None:
            limit: int = self.app.state.context.json_bytes_max
            _check_announced(self, limit)
            content = bytearray()
            async for chunk in self.stream():
                content += chunk
                if len(content) > limit:
                    raise _too_large(limit)
            self._content = bytes(content)
        return self._content

    async def json(self) -> Any:
        """Return the value of the body; raise Invalid for what is not JSON in a narrow sense."""
        if self._value is None:
            _check_type(self.headers.get("content-type", ""))
            self._value = parsed(await self.body())
        return self._value


def _check_type(content_type: str) -> None:
    kind = content_type.partition(";")[0].strip().lower()
    if not re.fullmatch(r"application/([!-~]+\+)?json", kind):
        expected = "application/json"
        raise NotJson(field="Content-Type", value=content_type[:100], expected=expected)


def parsed(content: bytes) -> Any:
    """Return the value of a JSON text.

    Raises:
        Invalid: it is not UTF-8 or not JSON; it holds NaN, infinity, NUL or half a surrogate pair;
            it is nested deeper than DEPTH_MAX.
    """
    try:
        value = json.loads(
            content.decode(), parse_constant=_refuse_constant, parse_float=_finite_float
        )
    except UnicodeDecodeError as error:
        message = f"The body is not UTF-8 text (at byte {error.start})."
        raise Invalid(message, field="body") from error
    except json.JSONDecodeError as error:
        message = f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        raise Invalid(message, field="body") from error
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError as error:
        if isinstance(error, Invalid):
            raise
        raise Invalid("The body holds a number with too many digits.", field="body") from error
    if content.count(b"[") + content.count(b"{") > DEPTH_MAX or _SUSPECT_ESCAPE.search(content):
        _check_inside(value)
    return value


def _refuse_constant(name: str) -> Any:
    raise Invalid(f"The body holds {name}, which JSON does not have.", field="body", value=name)


def _finite_float(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise Invalid(f"The body holds a number that is too large: {text[:40]}.", field="body")
    return number


def _check_inside(value: Any) -> None:
    level, depth = [("", value)], 0
    while level:
        depth += 1
        if depth > DEPTH_MAX:
            raise _too_deep()
        below: list[tuple[str, Any]] = []
        for where, item in level:
            if isinstance(item, dict):
                for key, inner in item.items():
                    _check_text(where or "body", key)
                    below.append((f"{where}.{key}".lstrip("."), inner))
            elif isinstance(item, list):
                below += [(f"{where}.{i}".lstrip("."), inner) for i, inner in enumerate(item)]
            elif isinstance(item, str):
                _check_text(where or "body", item)
        level = below


def _check_text(where: str, text: str) -> None:
    if _NOT_TEXT.search(text):
        message = f"{where} holds text with NUL or half a surrogate pair, which cannot be stored."
        raise Invalid(message, field=where)


def _too_deep() -> Invalid:
    return Invalid(f"The body is nested deeper than {DEPTH_MAX} levels.", field="body")


# ---- raw bodies ----------------------------------------------------------------------------------


class BodyStream(io.RawIOBase):
    """A request's body as a blocking stream, to be read in a worker thread.

    A chunk is fetched from the event loop when the last one is used up, so a slow disk slows the
    client down. A client that goes away raises in the reader, in the middle.
    """

    def __init__(self, request: Request, limit: int) -> None:
        """Read at most `limit` bytes of the body, then raise TooLarge."""
        self._chunks = request.stream()
        self._limit = limit
        self._left = limit
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer` with what comes next; 0 at the end of the body."""
        if not self._rest:
            self._rest = memoryview(from_thread.run(self._next_chunk))
            self._left -= len(self._rest)
            if self._left < 0:
                raise _too_large(self._limit)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    async def _next_chunk(self) -> bytes:
        async for chunk in self._chunks:
            if chunk:
                return chunk
        return b""


async def streamed(request: Request, limit: int, store: Callable[[BinaryIO], Result]) -> Result:
    """Return what `store` makes of the request's body, in a thread, without holding the body.

    Args:
        request: whose body to read.
        limit: in bytes.
        store: reads the stream to its end and keeps all of it or nothing.

    Raises:
        TooLarge: the body is over the limit; found before reading when its length is announced.
    """
    _check_announced(request, limit)
    stream = io.BufferedReader(BodyStream(request, limit), BUFFER_BYTES)
    limiter: CapacityLimiter = request.app.state.uploads
    return await to_thread.run_sync(partial(store, stream), limiter=limiter)


def uploads_limiter() -> CapacityLimiter:
    """Return what keeps slow uploads from taking the threads of all other requests."""
    return anyio.CapacityLimiter(UPLOADS_MAX)


def _check_announced(request: Request, limit: int) -> None:
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and (len(announced) > 18 or int(announced) > limit):
        raise _too_large(limit)


def _too_large(limit: int) -> TooLarge:
    message = f"The body is over the limit of {limit:,} bytes."
    return TooLarge(message, limit_bytes=limit)
