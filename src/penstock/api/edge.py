"""What every request passes on its way to the routes, and every answer on its way back.

in    no NUL and no endless names in the address → the caller is known → the clock is read
out   errors become problem documents → nothing is cached, nothing is guessed
"""

from __future__ import annotations

import logging

from anyio import to_thread
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from penstock.api import problems
from penstock.api.auth import OPEN_PATHS, actor_of, challenge, token_of
from penstock.api.context import Context
from penstock.core.access import Actor
from penstock.errors import Conflict, Invalid, NotAuthenticated, PenstockError
from penstock.store.database import AlreadyThere, new_id

logger = logging.getLogger(__name__)

PATH_BYTES_MAX = 3000  # file systems refuse 4096, our own folders included
NAME_BYTES_MAX = 255  # of one part between slashes; what file systems allow


class Edge:
    """The ASGI layer around all routes, so that none can forget it."""

    def __init__(self, app: ASGIApp, context: Context) -> None:
        """Stand in front of `app`."""
        self.app = app
        self.context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, or answer it here."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer = _Answer(send)
        try:
            await self._admit(scope)
            await self.app(scope, receive, answer)
        except ClientDisconnect:
            return  # there is nobody left to answer
        except Exception as error:
            if answer.has_started:
                raise  # too late for another answer; the server logs it and closes the connection
            await _answer_to(error, scope)(scope, receive, answer)

    async def _admit(self, scope: Scope) -> None:
        _check_address(scope)
        state = scope.setdefault("state", {})
        state["now"] = self.context.clock.now()
        if scope["path"] not in OPEN_PATHS:
            state["actor"] = await self._actor(scope)

    async def _actor(self, scope: Scope) -> Actor:
        token = token_of(Headers(scope=scope).get("authorization", ""), scope["path"])
        if token is None or self.context.tokens.read(token) is None:
            return actor_of(self.context, token)  # decided without the store
        return await to_thread.run_sync(actor_of, self.context, token)


def _check_address(scope: Scope) -> None:
    """Refuse here what a database or a file system would refuse later, less clearly."""
    path: str = scope["path"]
    if "\0" in path or b"%00" in scope["query_string"] or b"\0" in scope["query_string"]:
        raise Invalid("The address holds a NUL character.", field="url")
    content = path.encode("utf-8", errors="surrogatepass")
    longest = max(len(part) for part in content.split(b"/"))
    if len(content) > PATH_BYTES_MAX or longest > NAME_BYTES_MAX:
        raise Invalid(
            f"The address is too long: at most {PATH_BYTES_MAX} bytes, and {NAME_BYTES_MAX} "
            "between two slashes.",
            field="url",
        )


def _answer_to(error: Exception, scope: Scope) -> Response:
    if isinstance(error, NotAuthenticated):
        return problems.response(error, challenge(scope["path"]))
    if isinstance(error, PenstockError):
        return problems.response(error)
    if isinstance(error, AlreadyThere):
        # Two requests made the same thing at once, and a unique key let one of them through.
        return problems.response(Conflict("Somebody else has just made the same. Try again."))
    error_id = new_id()
    logger.error(
        "request-failed error_id=%s method=%s path=%r",
        *(error_id, scope["method"], scope["path"]),
        exc_info=error,
    )
    return problems.response(problems.unexpected(error_id))


class _Answer:
    """Sends an answer with the headers that every answer has."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.has_started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.has_started = True
            headers = MutableHeaders(scope=message)
            headers.setdefault("Cache-Control", "no-store")
            headers.setdefault("X-Content-Type-Options", "nosniff")
        await self._send(message)
