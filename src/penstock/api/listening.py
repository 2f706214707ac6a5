"""The server's address, and the HTTP server that answers there."""

from __future__ import annotations

import errno
import socket
import threading

import uvicorn
from fastapi import FastAPI

from penstock.errors import Conflict, Invalid, PenstockError

BACKLOG = 1024
# What is under way when the server stops has so long to end.
STOP_SECONDS = 5
# Longer than clients keep an idle connection, so that they never write to one that we have closed.
KEEP_ALIVE_SECONDS = 75


class Listener:
    """The socket of a server, bound and listening: no second server can have its address."""

    def __init__(self, host: str, port: int) -> None:
        """Take the port; 0 takes any that is free.

        Raises:
            Conflict: somebody else has it.
            Invalid: `host` is not an address of this machine, or the port needs more rights.
        """
        self.socket = _bound(host, port)
        self.url = _url(host, self.socket.getsockname()[1])


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        expected = "a name or address of this machine"
        raise Invalid(field="host", value=host, expected=expected) from error
    # With the protocol, because asyncio sends small packets at once (TCP_NODELAY) only on sockets
    # that say they are TCP; without it every answer comes 40 ms late.
    bound = socket.socket(family, kind, protocol)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(address)
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        raise _not_bound(host, port, error) from error
    return bound


def _not_bound(host: str, port: int, error: OSError) -> PenstockError:
    if error.errno == errno.EADDRINUSE:
        return Conflict(
            f"{host}:{port} is in use: another server listens there. Stop it, or choose another "
            "port with PENSTOCK_PORT (0 takes any that is free).",
            address=f"{host}:{port}",
        )
    if error.errno == errno.EACCES:
        expected = "a port that your user may open, such as 8710"
        return Invalid(field="port", value=port, expected=expected)
    return Invalid(field="host", value=host, expected="an address of this machine")


def _url(host: str, port: int) -> str:
    """Return the address for clients on this machine; one that means "all" is not one to go to."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class HttpServer(uvicorn.Server):
    """Uvicorn in a thread: it says when it is up (or will never be), and leaves signals alone."""

    def __init__(self, app: FastAPI, listener: Listener) -> None:
        """Serve `app` at `listener`, once it is run."""
        self._listener = listener
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                lifespan="off",
                ws="none",
                http="h11",
                loop="asyncio",
                backlog=BACKLOG,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=STOP_SECONDS,
            )
        )
        self.is_settled = threading.Event()

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until `should_exit` is set."""
        try:
            super().run([self._listener.socket])
        finally:
            self.is_settled.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, and say so."""
        await super().startup(sockets)
        self.is_settled.set()
