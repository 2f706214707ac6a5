"""The composition root: builds a whole server from its settings, starts it and stops it.

    start    the port is taken → home, secrets, schema, default workspace → HTTP answers
             → the daemon works → server.json says where
    stop     server.json goes → HTTP stops → the daemon ends its pass; running steps are left alone,
             and found again by the next start

Several servers may share one home, or one database: whatever is due is claimed by one of them.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import secrets
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import FrameType
from typing import Any

from fastapi import FastAPI

from penstock import wire
from penstock.api.app import build_app
from penstock.api.context import Context
from penstock.api.listening import HttpServer, Listener
from penstock.clock import Clock, SystemClock
from penstock.compute.local import LocalTarget
from penstock.core import zones
from penstock.core.access import ADMIN
from penstock.daemon.launches import Surroundings
from penstock.daemon.loop import Daemon
from penstock.daemon.running import Rules
from penstock.datastores.blobs import Blobs
from penstock.datastores.opening import open_datastore
from penstock.errors import Conflict, Invalid, PenstockError, StorageFull
from penstock.service import workspaces
from penstock.service.tokens import PREFIX as RUN_TOKEN_PREFIX
from penstock.service.tokens import RunTokens
from penstock.settings import SERVER_FILE, TOKEN_FILE, Settings, read_token
from penstock.store import steps, timers
from penstock.store.database import Store

logger = logging.getLogger(__name__)

ADMIN_TOKEN_PREFIX = "pst_"
SECRET_FILE = "secret"  # in the home: signs the tokens of running steps
LOCAL = "local"  # the compute target that every name stands for until it is registered otherwise


class Server:
    """A server: HTTP and daemon over one store. Made by `build`, started and stopped once."""

    def __init__(
        self,
        *,
        settings: Settings,
        token: str,
        store: Store,
        app: FastAPI,
        daemon: Daemon,
        listener: Listener,
    ) -> None:
        """Keep the parts; nothing answers before `start`."""
        self.settings = settings
        self.token = token
        self.store = store
        self.app = app
        self._daemon = daemon
        self._listener = listener
        self._http = HttpServer(app, listener)
        self._thread = threading.Thread(target=self._http.run, name="http", daemon=True)

    @property
    def url(self) -> str:
        """Where the server is reached from this machine."""
        return self._listener.url

    def start(self) -> None:
        """Answer requests, fire schedules and run steps, in threads; return when all is ready."""
        self._thread.start()
        try:
            self._http.is_settled.wait()
            if not self._http.started:
                raise PenstockError("The HTTP server did not start. The log says why.")
            self._daemon.start()
            _write_server_file(self.settings, self.url)
        except BaseException:
            self.stop()
            raise
        logger.info("server-started url=%s pid=%s", self.url, os.getpid())

    def stop(self) -> None:
        """Stop answering, end the daemon's pass, close the store. Running steps go on."""
        _remove_server_file(self.settings)
        self._http.should_exit = True
        self._thread.join()
        self._daemon.stop()
        self.store.dispose()
        logger.info("server-stopped url=%s", self.url)


def build(settings: Settings, clock: Clock | None = None) -> Server:
    """Build a server that is ready to be started; its port is taken and its database is up to date.

    Args:
        settings: what its owner decided.
        clock: another clock than the machine's, for tests.

    Raises:
        Conflict: the port is taken, or the database belongs to a newer Penstock.
        Invalid: the address is not one of this machine, is open to others without a token that its
            owner knows, or a file of ours is not usable.
        StoreBusy: the database is away.
    """
    clock = clock or SystemClock()
    _check_token(settings)
    listener = Listener(settings.host, settings.port)
    try:
        return _built(settings, clock, _admin_token(settings), listener)
    except BaseException:
        listener.socket.close()
        raise


def _built(settings: Settings, clock: Clock, token: str, listener: Listener) -> Server:
    _make_private_folder(settings.home)
    tokens = RunTokens(_secret(settings.home / SECRET_FILE))
    blobs = Blobs(settings.home / "blobs")
    store = _opened_store(settings, clock.now())
    around = Surroundings(
        home=settings.home,
        tokens=tokens,
        base_url=lambda: listener.url,
        open_datastore=open_datastore,
    )
    daemon = Daemon(
        store=store,
        clock=clock,
        targets={LOCAL: LocalTarget(settings.python, blobs, settings.stop_grace_seconds)},
        around=around,
        rules=Rules(
            steps_running_max=settings.steps_running_max,
            step_poll_seconds=settings.step_poll_seconds,
        ),
        late_seconds_max=settings.late_seconds_max,
    )
    status = _Status(
        settings=settings,
        clock=clock,
        store=store,
        daemon=daemon,
        url=listener.url,
        version=_version(),
        started_at=clock.now(),
    )
    context = Context(
        store=store,
        clock=clock,
        settings=settings,
        blobs=blobs,
        tokens=tokens,
        admin_token=token,
        version=status.version,
        base_url=around.base_url,
        open_datastore=open_datastore,
        wake=daemon.wake,
        server_status=status.document,
    )
    return Server(
        settings=settings,
        token=token,
        store=store,
        app=build_app(context),
        daemon=daemon,
        listener=listener,
    )


def _opened_store(settings: Settings, now: datetime) -> Store:
    with _usable(settings.home):
        store = Store(settings.database_url)
    try:
        store.upgrade()
        _ensure_workspace(store, settings, now)
    except BaseException:
        store.dispose()
        raise
    return store


def run_until_signal(settings: Settings, on_ready: Callable[[str], None]) -> None:
    """Run a server until Ctrl-C or SIGTERM; a second signal ends the process at once.

    Call it from the main thread.

    Args:
        settings: what its owner decided.
        on_ready: called with the URL when the server answers.

    Raises:
        PenstockError: as for `build`.
    """
    with _signals() as wait_for_signal:
        server = build(settings)
        server.start()
        try:
            on_ready(server.url)
            wait_for_signal()
        finally:
            server.stop()


@contextmanager
def _signals() -> Iterator[Callable[[], None]]:
    """Give a function that returns after the first SIGINT or SIGTERM; the second acts as usual."""
    # A pipe, because a handler runs between any two instructions of the main thread, where taking
    # a lock (as an Event does) could wait for itself.
    reader, writer = os.pipe()
    former: dict[int, Any] = {}

    def handle(number: int, frame: FrameType | None) -> None:
        os.write(writer, b"!")
        for known, handler in former.items():
            signal.signal(known, handler)

    for number in (signal.SIGINT, signal.SIGTERM):
        former[number] = signal.signal(number, handle)
    try:
        yield lambda: _ignore(os.read(reader, 1))
    finally:
        for known, handler in former.items():
            signal.signal(known, handler)
        os.close(reader)
        os.close(writer)


def _ignore(_: object) -> None:
    return None


# ---- files ---------------------------------------------------------------------------------------


def _check_token(settings: Settings) -> None:
    """Refuse what must not guard the server.

    An address that others can reach needs a token that its owner has: one that this start makes
    would guard the door without anybody having seen the key.
    """
    token = settings.token or read_token(settings.config_dir / TOKEN_FILE)
    if token is not None and token.startswith(RUN_TOKEN_PREFIX):
        raise Invalid(field="PENSTOCK_TOKEN", value="psr_…", expected="not the token of a step")
    if token is None and not settings.is_loopback:
        raise Invalid(
            f"host = {settings.host!r} lets other machines reach this server, and it has no token "
            "yet. Start it once on 127.0.0.1, which makes one, or set PENSTOCK_TOKEN.",
            field="host",
            value=settings.host,
        )


def _admin_token(settings: Settings) -> str:
    """Return the token that was given, or the one in the file, which is made if it is not there."""
    if settings.token is not None:
        return settings.token
    _make_private_folder(settings.config_dir)
    path = settings.config_dir / TOKEN_FILE
    token = _kept(path, ADMIN_TOKEN_PREFIX + secrets.token_urlsafe(32))
    if not token:
        raise Invalid(f"{path} holds no token. Remove it, and the next start makes a new one.")
    return token


def _secret(path: Path) -> bytes:
    text = _kept(path, secrets.token_hex(32))
    try:
        secret = bytes.fromhex(text)
    except ValueError:
        secret = b""
    if len(secret) < 32:
        raise Invalid(f"{path} does not hold a secret of 32 bytes in hexadecimal.", field=str(path))
    return secret


def _kept(path: Path, text: str) -> str:
    """Return what the private file `path` holds; `text`, which is written there, if it is new.

    The file appears with its content or not at all, and only once: of two servers that start
    together one writes it and the other reads it.
    """
    with _usable(path):
        if not path.exists():
            draft = _private_draft(path, text)
            try:
                with suppress(FileExistsError):
                    os.link(draft, path)
            finally:
                draft.unlink()
        if path.stat().st_mode & 0o077:
            logger.warning("file-was-open-to-others path=%s", path)
            path.chmod(0o600)
    return read_token(path) or ""


def _private_draft(path: Path, text: str) -> Path:
    """Write `text` to a new file beside `path` that only its owner reads, and return that file."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(f"{text}\n")
        file.flush()
        os.fsync(descriptor)
    return draft


def _make_private_folder(path: Path) -> None:
    with _usable(path):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)


@contextmanager
def _usable(path: Path) -> Iterator[None]:
    """Turn what the system says about `path` into an error that names it."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(f"There is no room left for {path}.") from error
        reason = error.strerror or str(error)
        raise Invalid(f"{path} cannot be used: {reason}.", field="home", value=str(path)) from error


def _write_server_file(settings: Settings, url: str) -> None:
    """Tell this user's clients where the server is; of several, where the last one is."""
    _make_private_folder(settings.config_dir)
    path = settings.config_dir / SERVER_FILE
    with _usable(path):
        _private_draft(path, json.dumps({"url": url, "pid": os.getpid()})).replace(path)


def _remove_server_file(settings: Settings) -> None:
    path = settings.config_dir / SERVER_FILE
    with suppress(OSError, ValueError):
        if json.loads(path.read_text(encoding="utf-8"))["pid"] == os.getpid():
            path.unlink()


# ---- first contents, and the state of things -----------------------------------------------------


def _ensure_workspace(store: Store, settings: Settings, now: datetime) -> None:
    with store.read() as tx:
        if workspaces.list_all(tx, ADMIN):
            return
    draft = wire.WorkspaceDraft(name=workspaces.DEFAULT_WORKSPACE)
    with suppress(Conflict), store.begin() as tx:  # Conflict: another server has just made it
        workspaces.create(tx, ADMIN, draft, home=settings.home, now=now)


def _version() -> str:
    try:
        return version("penstock")
    except PackageNotFoundError:
        return "unknown"  # run from a folder of sources that was never installed


@dataclass(frozen=True, slots=True, kw_only=True)
class _Status:
    settings: Settings
    clock: Clock
    store: Store
    daemon: Daemon
    url: str
    version: str
    started_at: datetime

    def document(self) -> wire.ServerDocument:
        """Return the state of the server as it is now."""
        with self.store.read() as tx:
            timers_due = timers.count_due(tx, self.clock.now())
            running, queued = steps.counts(tx, LOCAL)
        local = wire.ComputeTargetDocument(
            name=LOCAL,
            kind="local",
            steps_running_max=self.settings.steps_running_max,
            steps_running=running,
            steps_queued=queued,
        )
        return wire.ServerDocument(
            version=self.version,
            url=self.url,
            database=self.store.kind,
            tzdata_version=zones.tzdata_version(),
            started_at=self.started_at,
            last_tick_at=self.daemon.last_tick_at,
            timers_due=timers_due,
            compute_targets=[local],
        )
