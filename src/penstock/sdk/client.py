"""The transport: requests to a server, answers as documents, problems as errors.

This is the only module of the SDK that waits.
"""

from __future__ import annotations

import secrets
import ssl
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.parse import quote, urlsplit

import httpx
from pydantic import BaseModel

from penstock.errors import (
    NotAuthenticated,
    PenstockError,
    ServerUnreachable,
    Unavailable,
    from_problem,
)
from penstock.settings import find_connection, is_loopback
from penstock.wire import Page

Doc = TypeVar("Doc", bound=BaseModel)
Answer = TypeVar("Answer")
Content = bytes | Callable[[], Iterable[bytes]]

API = "/api/v1"
_ATTEMPTS_MAX = 4
_FIRST_PAUSE_SECONDS = 0.1
_PAUSE_SECONDS_MAX = 10.0
_SAFE_METHODS = frozenset({"GET", "HEAD", "PUT"})
_CHUNK_BYTES = 1 << 20


def route(*parts: str) -> str:
    """Return the path of these parts; whatever needs quoting is quoted, slashes included."""
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def file_route(*parts: str, path: str) -> str:
    """Return the path of these parts with a file's path at the end; its slashes stay."""
    return f"{route(*parts)}/{quote(path)}"


def new_submission_key() -> str:
    """Return a name for one submission, so that repeating the request cannot start a second run."""
    return secrets.token_hex(16)


def connect(
    environ: Mapping[str, str], *, url: str | None = None, token: str | None = None
) -> Client:
    """Return a client for the server that `url` and `token` or the surroundings name."""
    if url is not None:
        environ = {**environ, "PENSTOCK_URL": url}
    found = find_connection(environ)
    return Client(found.url, token or found.token)


class Client:
    """Speaks to one server.

    A request that may be repeated without harm (GET, PUT, anything with an `Idempotency-Key`) is
    repeated a few times, with growing pauses, when the server does not answer or says that it is
    busy. A connection that was refused carried nothing, so then any request is repeated.

    The token is shown to the server only: it is in no representation and no error.
    """

    def __init__(
        self,
        url: str,
        token: str | None,
        *,
        transport: httpx.BaseTransport | None = None,
        timeout: float = 30,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Prepare a client; nothing is sent.

        Args:
            url: the server's address, e.g. `http://127.0.0.1:8710`.
            token: what the server knows the caller by.
            transport: another way to send requests, for tests.
            timeout: seconds without an answer after which a request has failed.
            pause: waits for so many seconds; another one is for tests.
        """
        self.url = url.rstrip("/")
        self.token = token
        self._pause = pause
        parts = urlsplit(self.url)
        # Loading the machine's certificates takes longer than most requests; plain HTTP needs none.
        verify = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if parts.scheme == "http" else True
        self._http = httpx.Client(
            base_url=self.url + API,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            transport=transport,
            timeout=timeout,
            verify=verify,
            # A proxy of the company's network cannot reach this machine's own server.
            trust_env=not is_loopback(parts.hostname or ""),
        )
        # Users do not close clients; an open connection must not outlive its client.
        self._closing = weakref.finalize(self, self._http.close)
        self._closing.atexit = False  # the last metrics are sent while the process ends

    def __repr__(self) -> str:
        return f"Client(url={self.url!r})"

    def close(self) -> None:
        """Close the connections. A client that nobody refers to any more closes by itself."""
        self._closing()

    def url_of(self, path: str) -> str:
        """Return the full URL of an API path."""
        return self.url + API + path

    # ---- requests --------------------------------------------------------------------------------

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        content: Content | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Send a request and return the answer, which is a good one.

        Args:
            method: GET, POST, …
            path: below /api/v1.
            params: the query; None values are left out.
            json: the body as JSON.
            content: the body as bytes, or a function that returns them anew for each attempt.
            headers: further headers.

        Raises:
            PenstockError: whatever the server found wrong, as the class that it raised.
            ServerUnreachable: nothing answers at the address.
        """

        def send() -> httpx.Response:
            request = self._http.build_request(
                method,
                path,
                params=_query(params),
                json=json,
                content=content() if callable(content) else content,
                headers=headers,
            )
            response = self._http.send(request)
            if response.is_error:
                raise self._error(response)
            return response

        may_repeat = method in _SAFE_METHODS or "Idempotency-Key" in (headers or {})
        return self._with_patience(send, may_repeat=may_repeat)

    def read(self, document: type[Doc], path: str, **params: Any) -> Doc:
        """Return the document at `path`."""
        return document.model_validate_json(self.request("GET", path, params=params).content)

    def read_list(self, document: type[Doc], path: str, **params: Any) -> list[Doc]:
        """Return the documents at `path`, which answers a plain list."""
        listed = self.request("GET", path, params=params).json()
        return [document.model_validate(item) for item in listed]

    def pages(self, document: type[Doc], path: str, **params: Any) -> Iterator[Doc]:
        """Yield every document of the list at `path`, page after page as they are asked for."""
        after: str | None = None
        while True:
            content = self.request("GET", path, params={**params, "after": after}).content
            page = Page[document].model_validate_json(content)  # type: ignore[valid-type]
            yield from page.items
            after = page.next
            if after is None:
                return

    def send(
        self,
        document: type[Doc],
        method: str,
        path: str,
        body: BaseModel | None = None,
        *,
        submission_key: str | None = None,
    ) -> Doc:
        """Send `body` (only what was set in it) and return the document that is the answer."""
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if submission_key is not None:
            headers["Idempotency-Key"] = submission_key
        content = body.model_dump_json(exclude_unset=True).encode() if body is not None else None
        response = self.request(method, path, content=content, headers=headers)
        return document.model_validate_json(response.content)

    def upload(self, path: str, file: Path, **params: Any) -> None:
        """Put the content of a local file at `path`."""
        self.request("PUT", path, params=params, content=lambda: _chunks(file))

    def download(self, path: str, destination: Path, **params: Any) -> int:
        """Write what is at `path` to a local file, which is there whole or not at all.

        Returns:
            The number of bytes.
        """
        destination.parent.mkdir(parents=True, exist_ok=True)
        partial = destination.with_name(f"{destination.name}.{secrets.token_hex(4)}.part")

        def fetch() -> int:
            with partial.open("wb") as file:
                return self._stream(path, file, params)

        try:
            size = self._with_patience(fetch, may_repeat=True)
            partial.replace(destination)
        finally:
            partial.unlink(missing_ok=True)
        return size

    def _stream(self, path: str, file: IO[bytes], params: Mapping[str, Any]) -> int:
        with self._http.stream("GET", path, params=_query(params)) as response:
            if response.is_error:
                response.read()
                raise self._error(response)
            return sum(file.write(chunk) for chunk in response.iter_bytes(_CHUNK_BYTES))

    # ---- errors ----------------------------------------------------------------------------------

    def _with_patience(self, send: Callable[[], Answer], *, may_repeat: bool) -> Answer:
        """Call `send` until it returns; give up after some attempts, or where that may harm."""
        pause = _FIRST_PAUSE_SECONDS
        for attempt in range(1, _ATTEMPTS_MAX + 1):
            is_last = attempt == _ATTEMPTS_MAX
            asked: float | None = None
            try:
                return send()
            except httpx.ConnectError as error:
                if is_last:
                    raise self._unreachable(error) from error
            except httpx.TransportError as error:
                if is_last or not may_repeat:
                    raise self._unreachable(error) from error
            except Unavailable as error:
                if is_last or not may_repeat or error.http_status != 503:
                    raise
                asked = error.retry_after
            self._pause(min(_PAUSE_SECONDS_MAX, max(pause, asked or 0)))
            pause *= 3
        raise AssertionError("the last attempt returns or raises")

    def _unreachable(self, error: httpx.TransportError) -> ServerUnreachable:
        reason = str(error) or type(error).__name__
        return ServerUnreachable(
            f"No Penstock server answers at {self.url} ({reason}). Start one with `penstock up`, "
            "or set PENSTOCK_URL to the address of a running one.",
            url=self.url,
        )

    def _error(self, response: httpx.Response) -> PenstockError:
        """Return the error that a bad answer carries; the answer itself is its `response`."""
        try:
            problem = response.json()
        except ValueError:
            problem = None
        if isinstance(problem, dict) and "code" in problem:
            if "Retry-After" in response.headers and problem.get("retry_after") is None:
                problem["retry_after"] = _seconds(response.headers["Retry-After"])
            error = from_problem(problem)
        else:
            error = _unexplained(response)
        if isinstance(error, NotAuthenticated):
            error.message += self._token_hint()
            error.args = (error.message,)
        vars(error)["response"] = response  # scripts look at error.response.status_code
        return error

    def _token_hint(self) -> str:
        if self.token is None:
            return (
                f" No token was found for {self.url}: set PENSTOCK_TOKEN, or run as the user who "
                "started the server."
            )
        return f" The token that was sent to {self.url} is not known there: check PENSTOCK_TOKEN."


class Patience:
    """Waits in steps that grow from short to long, and knows when its time is over."""

    def __init__(self, seconds: float, *, shortest: float = 0.1, longest: float = 1.0) -> None:
        """Begin to count now.

        Args:
            seconds: how long to go on.
            shortest: the first wait, in seconds.
            longest: no wait is longer.
        """
        self._until = time.monotonic() + seconds
        self._next = self._shortest = shortest
        self._longest = longest

    @property
    def is_over(self) -> bool:
        """True when the time is up."""
        return time.monotonic() >= self._until

    def hurry(self) -> None:
        """Begin again with short waits: something is happening."""
        self._next = self._shortest

    def wait(self) -> None:
        """Wait for the next step, but not longer than the time that is left."""
        time.sleep(max(0.0, min(self._next, self._until - time.monotonic())))
        self._next = min(self._longest, self._next * 1.5)


def _query(params: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (params or {}).items() if value is not None}


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as content:
        while chunk := content.read(_CHUNK_BYTES):
            yield chunk


def _seconds(text: str) -> float:
    """Return a Retry-After header in seconds; dates are not waited for."""
    return float(text) if text.isdigit() else 1.0


def _unexplained(response: httpx.Response) -> PenstockError:
    """Return an error for an answer that is no problem document: a proxy's, for example."""
    request = response.request
    text = response.text.strip().replace("\n", " ")[:200]
    message = (
        f"{request.method} {request.url.path}: the answer was {response.status_code} "
        f"{response.reason_phrase}{': ' + text if text else ''}."
    )
    if response.status_code == 503:
        return Unavailable(message, retry_after=_seconds(response.headers.get("Retry-After", "1")))
    if response.status_code == 401:
        return NotAuthenticated(message)
    return PenstockError(message, status=response.status_code)
