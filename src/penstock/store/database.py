"""The database: transactions for everybody else, and the translation of its errors into ours.

SQLite has one writer: `begin` queues the writers of this process at a lock and then takes SQLite's
own write lock at once (BEGIN IMMEDIATE), so that a transaction never fails half way for want of it.
Readers have connections of their own and are not stopped by the writer. PostgreSQL needs none of
this.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from penstock.clock import Clock, SystemClock
from penstock.errors import Invalid, StorageFull, StoreBusy
from penstock.store.migrations import HEAD

log = logging.getLogger(__name__)

LOCK_WAIT_SECONDS = 10.0


class AlreadyThere(Exception):
    """A row with the same unique key exists. The caller knows what that means."""


# ---- transactions --------------------------------------------------------------------------------


class Transaction:
    """One unit of work; all of it is kept, or nothing."""

    __slots__ = ("_callbacks", "connection", "kind")

    def __init__(self, connection: sa.Connection, kind: str) -> None:
        self.connection = connection
        self.kind = kind  # "sqlite" or "postgresql"
        self._callbacks: list[Callable[[], None]] = []

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what the block did, and only that, if it raises; the exception goes on.

        What the block registered with `on_commit` is forgotten with it.
        """
        mark = len(self._callbacks)
        self.connection.exec_driver_sql("SAVEPOINT inner_part")  # of several, the innermost counts
        try:
            yield
        except BaseException:
            del self._callbacks[mark:]
            if not self.connection.invalidated:
                self.connection.exec_driver_sql("ROLLBACK TO SAVEPOINT inner_part")
                self.connection.exec_driver_sql("RELEASE SAVEPOINT inner_part")
            raise
        self.connection.exec_driver_sql("RELEASE SAVEPOINT inner_part")

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Call `callback` after this transaction has been committed; never if it is rolled back."""
        self._callbacks.append(callback)

    def lock(self, name: str) -> None:
        """Wait until no other transaction holds `name`, then hold it until this one ends.

        For what is counted or numbered and then written. On SQLite a write transaction excludes all
        others anyway.
        """
        if self.kind == "postgresql":
            self.connection.execute(_LOCK, {"name": name})

    def run_callbacks(self) -> None:
        """Call what was registered, in order; an error in one is logged, and the others go on."""
        for callback in self._callbacks:
            try:
                callback()
            except Exception:
                log.exception("on_commit_failed")


_LOCK = sa.select(
    sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(sa.bindparam("name", type_=sa.Text), 0))
)


class Store:
    """A database at a URL. Threads share one Store; each transaction belongs to one thread."""

    def __init__(self, url: str) -> None:
        """Prepare connections; for SQLite, create the file and its folder (for the owner only).

        Args:
            url: `sqlite:///<path>` or `postgresql://…`.

        Raises:
            Invalid: neither of the two, or an in-memory SQLite database.
        """
        address = _address(url)
        self.kind: str = address.get_backend_name()
        if self.kind == "sqlite":
            _create_file(Path(address.database or ""))
            self._writers, self._readers = _sqlite_engine(address), _sqlite_engine(address, True)
        else:
            self._writers = _postgresql_engine(address)
            self._readers = self._writers.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
        self._turn: _Turn | None = _Turn() if self.kind == "sqlite" else None

    @contextmanager
    def begin(self) -> Iterator[Transaction]:
        """Open a transaction that may write: committed at the end, rolled back if the block raises.

        Raises:
            StoreBusy: another writer held the database too long, or the database is away.
            StorageFull: there is no room left.
        """
        with self._turn or nullcontext(), _opened(self._writers) as connection:
            tx = Transaction(connection, self.kind)
            yield tx
        tx.run_callbacks()

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Open a transaction that sees one state of the database throughout and cannot write.

        Raises:
            StoreBusy: the database is away.
        """
        with _opened(self._readers) as connection:
            yield Transaction(connection, self.kind)

    def upgrade(self) -> None:
        """Bring the schema to this version's; nothing happens, and quickly, if it is there already.

        Any number of processes may do this at once: one does the work, the others wait and find it
        done.

        Raises:
            Conflict: the database was written by a newer Penstock.
        """
        with self.read() as tx:
            if schema_version(tx.connection) == HEAD:
                return
        from penstock.store.migrations.running import run  # Alembic costs 0.2 s to import

        with self._turn or nullcontext(), self._writers.connect() as connection:
            run(connection)

    def dispose(self) -> None:
        """Close all connections that are not in use."""
        self._writers.dispose()
        self._readers.dispose()


class _Turn:
    """The queue of this process's writers: first come, first served.

    A plain lock would let the thread that has just released it take it again at once, and a busy
    daemon would keep the API waiting.
    """

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._queue: deque[threading.Lock] = deque()  # one closed gate for each that waits
        self._is_taken = False
        self._holder: int | None = None

    def __enter__(self) -> None:
        me = threading.get_ident()
        if self._holder == me:
            raise RuntimeError("this thread has a write transaction open already")
        with self._mutex:
            gate = self._join()
        if gate is not None and not gate.acquire(timeout=LOCK_WAIT_SECONDS):
            self._leave(gate)
        self._holder = me

    def __exit__(self, *_: object) -> None:
        with self._mutex:
            self._holder = None
            if self._queue:
                self._queue.popleft().release()  # the turn passes on without being free in between
            else:
                self._is_taken = False

    def _join(self) -> threading.Lock | None:
        """Take the turn if it is free, else return a gate that opens when it comes."""
        if not self._is_taken:
            self._is_taken = True
            return None
        gate = threading.Lock()
        gate.acquire()
        self._queue.append(gate)
        return gate

    def _leave(self, gate: threading.Lock) -> None:
        """Give up waiting, unless the turn came at this very moment."""
        with self._mutex:
            if gate in self._queue:
                self._queue.remove(gate)
                raise StoreBusy("The database is busy: another transaction takes very long.")


@contextmanager
def _opened(engine: sa.Engine) -> Iterator[sa.Connection]:
    try:
        connection = engine.connect()
    except sa.exc.TimeoutError as exc:
        raise StoreBusy("The database is busy: all connections are in use.") from exc
    with connection, connection.begin():
        yield connection


def schema_version(connection: sa.Connection) -> str | None:
    """Return the version of the database's schema; None for an empty database."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    version = sa.table("alembic_version", sa.column("version_num", sa.Text))
    return connection.execute(sa.select(version.c.version_num)).scalar()


# ---- engines -------------------------------------------------------------------------------------


def _address(url: str) -> sa.URL:
    expected = "sqlite:///<path> or postgresql://<user>@<host>/<database>"
    try:
        address = sa.make_url(url)
    except sa.exc.ArgumentError as exc:
        raise Invalid(
            "The database URL cannot be read.", field="database_url", expected=expected
        ) from exc
    backend = address.get_backend_name()
    if backend in ("postgresql", "postgres"):
        return address.set(drivername="postgresql+psycopg")
    if backend != "sqlite" or address.database in (None, "", ":memory:") or address.query:
        shown = address.render_as_string(hide_password=True)
        raise Invalid(field="database_url", value=shown, expected=expected)
    return address.set(drivername="sqlite+pysqlite")


def _create_file(path: Path) -> None:
    """Create an empty database that is in WAL mode from the first moment that others can see it.

    Switching a file to WAL does not wait for locks: of two processes that create the database
    together, one would fail.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists():
        return
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        connection = sqlite3.connect(draft)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.close()
        os.link(draft, path)
    except FileExistsError:
        pass  # another process was first
    except OSError:
        log.info("no_hard_links path=%s", path)  # the first connection will create it
    finally:
        os.unlink(draft)


def _sqlite_engine(address: sa.URL, is_read_only: bool = False) -> sa.Engine:
    engine = sa.create_engine(
        address,
        # None leaves BEGIN to us; the driver would start transactions where it sees fit.
        connect_args={
            "isolation_level": None,
            "check_same_thread": False,
            "timeout": LOCK_WAIT_SECONDS,
        },
        poolclass=sa.QueuePool,
        pool_size=8 if is_read_only else 1,
        max_overflow=56 if is_read_only else 0,
        pool_timeout=LOCK_WAIT_SECONDS,
        hide_parameters=True,
    )
    pragmas = [*_PRAGMAS, "PRAGMA query_only=ON" if is_read_only else "PRAGMA cache_size=-65536"]
    begin = "BEGIN" if is_read_only else "BEGIN IMMEDIATE"

    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        try:
            for pragma in pragmas:
                connection.execute(pragma)
        except sqlite3.Error as exc:
            raise _sqlite_meaning(exc) or exc from exc

    sa.event.listen(engine, "connect", prepare)
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    sa.event.listen(engine, "handle_error", _translate)
    return engine


_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA mmap_size=268435456",
    "PRAGMA journal_size_limit=67108864",
    "PRAGMA wal_autocheckpoint=4000",  # pages; a checkpoint waits for the disk twice
)


def _postgresql_engine(address: sa.URL) -> sa.Engine:
    settings = f"-c TimeZone=UTC -c lock_timeout={int(LOCK_WAIT_SECONDS * 1000)}"
    try:
        engine = sa.create_engine(
            address,
            connect_args={"options": settings, "connect_timeout": int(LOCK_WAIT_SECONDS)},
            pool_size=10,
            max_overflow=30,
            pool_timeout=LOCK_WAIT_SECONDS,
            hide_parameters=True,
        )
    except ModuleNotFoundError as exc:
        message = "The PostgreSQL driver is not installed: pip install 'penstock[postgres]'."
        raise Invalid(message, field="database_url") from exc
    sa.event.listen(engine, "handle_error", _translate)
    return engine


# ---- errors --------------------------------------------------------------------------------------

_FULL = "There is no room left for the database."
_BUSY = "The database is busy."
_AWAY = "The database does not answer."
_UNSTORABLE = "A value cannot be stored: a number is too large, or a text has characters like NUL."


def _translate(context: sa.engine.ExceptionContext) -> Exception | None:
    """Return the error that is raised, `from` the driver's, instead of SQLAlchemy's own."""
    error = context.original_exception
    if not isinstance(error, sqlite3.Error):
        return _postgresql_meaning(error, context.is_disconnect)
    meaning = _sqlite_meaning(error)
    if isinstance(meaning, StorageFull):
        # SQLite may have rolled back everything: nothing more may be written on this connection,
        # or it would be written outside of any transaction.
        context.is_disconnect = True
        context.invalidate_pool_on_disconnect = False
    return meaning


def _sqlite_meaning(error: sqlite3.Error) -> Exception | None:
    code: int = getattr(error, "sqlite_errorcode", 0)
    if code in (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY):
        return AlreadyThere(str(error))
    if code == sqlite3.SQLITE_NOTADB:
        return Invalid("The file is not a database of Penstock.", field="database_url")
    if code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreBusy(_BUSY)
    if code & 0xFF == sqlite3.SQLITE_FULL or code == sqlite3.SQLITE_IOERR_SHMSIZE:
        return StorageFull(_FULL)
    return None


def _postgresql_meaning(error: BaseException, is_disconnect: bool) -> Exception | None:
    state: str = getattr(error, "sqlstate", None) or ""
    if state == "23505":
        return AlreadyThere(str(error))
    if state == "53100":
        return StorageFull(_FULL)
    if state in ("22003", "22021") or (not state and _is_a(error, "DataError")):
        return Invalid(_UNSTORABLE)
    if state in _BUSY_STATES:
        return StoreBusy(_BUSY)
    # A refused or lost connection has no state at all, since no server was there to send one.
    if (
        is_disconnect
        or state[:2] in ("08", "57")
        or (not state and _is_a(error, "OperationalError"))
    ):
        return StoreBusy(_AWAY)
    return None


# serialization failure, deadlock, lock timeout, out of memory, too many connections
_BUSY_STATES = frozenset({"40001", "40P01", "55P03", "53200", "53300"})


def _is_a(error: BaseException, name: str) -> bool:
    """Ask for a driver's class by name: the driver may not be installed."""
    return any(cls.__name__ == name for cls in type(error).__mro__)


# ---- values --------------------------------------------------------------------------------------

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# What ids are made of: a clock, whose time they tell nobody, and a source of random bytes.
_INGREDIENTS: ContextVar[tuple[Clock, Callable[[int], bytes]]] = ContextVar(
    "ingredients", default=(SystemClock(), os.urandom)
)
_MARKS, _VERSION_7 = 0xF << 76 | 0x3 << 62, 0x7 << 76 | 0x2 << 62  # RFC 9562
Item = TypeVar("Item")


def new_id() -> str:
    """Return an id that nobody else has: a GUID of version 7, the clock's milliseconds and chance.

    Ids made one after the other are neighbours in the indexes. With wholly random ones each new
    row would write a page of its own in every index.
    """
    clock, random_bytes = _INGREDIENTS.get()
    milliseconds = micros(clock.now()) // 1000
    chance = int.from_bytes(random_bytes(10))
    number = milliseconds << 80 | chance
    digits = f"{number & ~_MARKS | _VERSION_7:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def new_token() -> int:
    """Return a timer's first token, chosen by chance.

    A timer that is deleted and armed again must not repeat the tokens of its former life, or a
    handler that slept through both would be taken for the present one.
    """
    return int.from_bytes(_INGREDIENTS.get()[1](6))


@contextmanager
def ids_from(clock: Clock, random_bytes: Callable[[int], bytes]) -> Iterator[None]:
    """Make the ids and tokens of this thread from other ingredients, to the end of the block.

    For a simulation, which must come out the same when it is run again: many orders are orders of
    ids.

    Args:
        clock: the simulation's clock.
        random_bytes: returns so many bytes, as `random.Random(seed).randbytes` does.
    """
    before = _INGREDIENTS.set((clock, random_bytes))
    try:
        yield
    finally:
        _INGREDIENTS.reset(before)


def micros(instant: datetime) -> int:
    """Return an instant as it stands in the tables: microseconds since 1970 UTC."""
    if instant.tzinfo is None:
        raise ValueError(f"an instant must be aware: {instant!r}")
    return (instant - _EPOCH) // _MICROSECOND


def micros_or_none(instant: datetime | None) -> int | None:
    """Return an instant as it stands in the tables; None stays None."""
    return None if instant is None else micros(instant)


def instant(value: int | None) -> datetime | None:
    """Return the aware UTC datetime of microseconds since 1970; None for None."""
    return None if value is None else at(value)


# The same few instants are read again and again: the tick of a batch, when a schedule was made.
@lru_cache(maxsize=65_536)
def at(value: int) -> datetime:
    """Return the aware UTC datetime of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=value)


def dumps(value: Any) -> str:
    """Return a document as compact JSON; the order of keys is kept."""
    return _ENCODER.encode(value) if value != {} else "{}"


def loads(text: str) -> Any:
    """Return the value of a JSON document."""
    return json.loads(text) if text != "{}" else {}


# Made once: json.dumps makes an encoder for each call that does not use its defaults. A mapping
# that is not a dict is stored like one.
_ENCODER = json.JSONEncoder(separators=(",", ":"), default=dict)


def chunks(items: Sequence[Item], size: int = 500) -> Iterator[Sequence[Item]]:
    """Yield `items` in pieces, since a statement takes a limited number of parameters."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
