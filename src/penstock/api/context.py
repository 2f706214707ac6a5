"""What the handlers are given: the server's parts, and who asks when."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request

from penstock.clock import Clock
from penstock.core import model
from penstock.core.access import Actor
from penstock.datastores.blobs import Blobs
from penstock.datastores.listing import Datastore
from penstock.service.tokens import RunTokens
from penstock.settings import Settings
from penstock.store.database import Store, Transaction
from penstock.wire import ServerDocument

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The parts of the server that requests are answered with. Built once, by `serve`."""

    store: Store
    clock: Clock
    settings: Settings
    blobs: Blobs
    tokens: RunTokens
    admin_token: str = field(repr=False)
    version: str
    base_url: Callable[[], str]  # where this server is reached; known once it listens
    open_datastore: Callable[[model.Datastore], Datastore]
    wake: Callable[[], None]  # tells the daemon that something may be due
    server_status: Callable[[], ServerDocument]
    json_bytes_max: int = 10 * MEBIBYTE
    blob_bytes_max: int = 300 * MEBIBYTE  # one file of a snapshot
    file_bytes_max: int = 100 * 1024 * MEBIBYTE  # one object of a datastore, or file of a step


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request whose caller is known."""

    context: Context
    actor: Actor
    now: datetime  # the clock was read once, when the request came in

    def read(self) -> AbstractContextManager[Transaction]:
        """Open a transaction that only reads."""
        return self.context.store.read()

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """Open a transaction that writes. Once it is committed the daemon looks for due timers.

        It is woken by writes that arm nothing, too: an idle look costs less than knowing which do.
        """
        with self.context.store.begin() as tx:
            yield tx
        self.context.wake()


async def _call_of(request: Request) -> Call:
    return Call(context=request.app.state.context, actor=request.state.actor, now=request.state.now)


Caller = Annotated[Call, Depends(_call_of)]
