"""Transactions: what is kept, what is undone, who waits for whom, and what errors become."""

from __future__ import annotations

import logging
import stat
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from types import MappingProxyType

import pytest
import sqlalchemy as sa
from tests.builders import NOW, a_workspace
from tests.databases import PostgresServer

from penstock.errors import Invalid, StorageFull, StoreBusy
from penstock.store import database, timers, workspaces
from penstock.store.database import AlreadyThere, Store, Transaction, instant, micros, new_id


class Spoiled(Exception):
    """What a block raises in these tests."""


def spoil(tx: Transaction, *inserted: str) -> None:
    """Insert workspaces, then raise."""
    for name in inserted:
        insert(tx, name)
    raise Spoiled


def names(store: Store) -> list[str]:
    with store.read() as tx:
        return [workspace.name for workspace in workspaces.list(tx)]


def insert(tx: Transaction, name: str) -> None:
    workspaces.insert(tx, a_workspace(id=new_id(), name=name))


# ---- commit and rollback -------------------------------------------------------------------------


def test_a_block_that_ends_is_committed(store: Store) -> None:
    with store.begin() as tx:
        insert(tx, "a")
    assert names(store) == ["a"]


def test_a_block_that_raises_is_rolled_back(store: Store) -> None:
    with pytest.raises(Spoiled), store.begin() as tx:
        spoil(tx, "a")
    assert names(store) == []


def test_a_savepoint_undoes_only_its_own_block(store: Store) -> None:
    with store.begin() as tx:
        insert(tx, "before")
        with pytest.raises(Spoiled), tx.savepoint():
            spoil(tx, "inside")
        insert(tx, "after")
    assert names(store) == ["after", "before"]


def test_a_savepoint_that_ends_is_kept(store: Store) -> None:
    with store.begin() as tx, tx.savepoint(), tx.savepoint():
        insert(tx, "inside")
    assert names(store) == ["inside"]


def test_a_refused_row_leaves_the_transaction_usable_after_a_savepoint(store: Store) -> None:
    with store.begin() as tx:
        insert(tx, "a")
        with pytest.raises(AlreadyThere), tx.savepoint():
            insert(tx, "a")
        insert(tx, "b")
    assert names(store) == ["a", "b"]


def test_a_reader_sees_one_state_throughout(store: Store) -> None:
    with store.read() as reading:
        assert workspaces.list(reading) == []
        with store.begin() as tx:
            insert(tx, "a")
        assert workspaces.list(reading) == []
    assert names(store) == ["a"]


def test_a_reader_cannot_write(store: Store) -> None:
    with pytest.raises(sa.exc.DBAPIError), store.read() as tx:
        insert(tx, "a")
    assert names(store) == []


# ---- callbacks -----------------------------------------------------------------------------------


def test_callbacks_run_in_order_after_the_commit(store: Store) -> None:
    seen: list[tuple[str, list[str]]] = []
    with store.begin() as tx:
        tx.on_commit(lambda: seen.append(("first", names(store))))
        tx.on_commit(lambda: seen.append(("second", names(store))))
        insert(tx, "a")
        assert seen == []
    assert seen == [("first", ["a"]), ("second", ["a"])]


def test_a_callback_may_open_a_transaction(store: Store) -> None:
    def write() -> None:
        with store.begin() as tx:
            insert(tx, "b")

    with store.begin() as tx:
        tx.on_commit(write)
        insert(tx, "a")
    assert names(store) == ["a", "b"]


def test_callbacks_do_not_run_after_a_rollback(store: Store) -> None:
    seen: list[str] = []

    def register_and_fail() -> None:
        with store.begin() as tx:
            tx.on_commit(lambda: seen.append("ran"))
            raise Spoiled

    with pytest.raises(Spoiled):
        register_and_fail()
    assert seen == []


def test_callbacks_of_an_undone_savepoint_are_forgotten(store: Store) -> None:
    seen: list[str] = []

    def register_and_fail(tx: Transaction) -> None:
        with tx.savepoint():
            tx.on_commit(lambda: seen.append("inside"))
            raise Spoiled

    with store.begin() as tx:
        tx.on_commit(lambda: seen.append("outside"))
        with pytest.raises(Spoiled):
            register_and_fail(tx)
    assert seen == ["outside"]


def test_an_error_in_a_callback_is_logged_and_the_others_run(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []

    def fail() -> None:
        raise Spoiled

    with caplog.at_level(logging.ERROR), store.begin() as tx:
        tx.on_commit(fail)
        tx.on_commit(lambda: seen.append("ran"))
    assert seen == ["ran"]
    assert "on_commit_failed" in caplog.text


# ---- several writers -----------------------------------------------------------------------------


def test_a_second_writer_waits_for_the_first(store: Store) -> None:
    """Both count and then write; neither may count what the other is about to change."""

    def add_one(_: int) -> None:
        with store.begin() as tx:
            tx.lock("counter")
            found = timers.find(tx, "counter", "c")
            at = found.due_at if found else NOW
            timers.put(tx, "counter", "c", at + timedelta(seconds=1))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add_one, range(40)))
    with store.read() as tx:
        assert timers.next_due(tx) == NOW + timedelta(seconds=40)


def test_readers_are_not_stopped_by_a_writer(store: Store) -> None:
    with store.begin() as tx:
        insert(tx, "a")
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(names, store).result(timeout=5) == []


def test_two_stores_write_to_one_database(store: Store, database_url: str) -> None:
    other = Store(database_url)
    with store.begin() as tx:
        insert(tx, "a")
    with other.begin() as tx:
        insert(tx, "b")
    other.dispose()
    assert names(store) == ["a", "b"]


def test_a_thread_that_begins_twice_is_told_so(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'a.db'}")
    with store.begin(), pytest.raises(RuntimeError, match="open already"), store.begin():
        pass
    store.dispose()


def test_writers_take_turns_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'a.db'}")
    order: list[int] = []

    def write(number: int) -> None:
        with store.begin():
            order.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(5)]
    with store.begin():
        for thread in threads:
            thread.start()
            time.sleep(0.05)  # so that it stands in the queue before the next one comes
        assert order == []
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3, 4]
    store.dispose()


# ---- errors --------------------------------------------------------------------------------------


def test_a_database_locked_by_another_process_is_busy(tmp_path: Path) -> None:
    holder, waiter = (
        Store(f"sqlite:///{tmp_path / 'a.db'}"),
        Store(f"sqlite:///{tmp_path / 'a.db'}"),
    )
    impatient(waiter)
    with holder.begin():
        with pytest.raises(StoreBusy) as caught, waiter.begin():
            pass
        assert caught.value.retry_after > 0
        assert "locked" in str(caught.value.__cause__)
    with waiter.begin() as tx:  # and it is usable when the other one is done
        assert tx.connection.exec_driver_sql("SELECT 1").scalar() == 1
    holder.dispose()
    waiter.dispose()


def impatient(store: Store) -> None:
    """Make a store's writer give up at once when another process has the lock."""
    with store.begin() as tx:
        tx.connection.exec_driver_sql("PRAGMA busy_timeout=1")


def test_a_full_disk_is_told_and_nothing_of_the_transaction_stays(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'a.db'}")
    store.upgrade()
    with store.begin() as tx:
        insert(tx, "before")
        tx.connection.exec_driver_sql("PRAGMA max_page_count=1")  # raised to what is in use
    with pytest.raises(StorageFull) as caught, store.begin() as tx:
        spoil(tx, "inside", "x" * 1_000_000)
    assert "full" in str(caught.value.__cause__)
    assert caught.value.http_status == 507
    assert names(store) == ["before"]
    store.dispose()


def test_a_transaction_that_met_a_full_disk_cannot_go_on(tmp_path: Path) -> None:
    """SQLite has rolled back by then; what came after would be committed on its own."""
    store = Store(f"sqlite:///{tmp_path / 'a.db'}")
    store.upgrade()
    with store.begin() as tx:
        tx.connection.exec_driver_sql("PRAGMA max_page_count=1")

    def go_on_regardless() -> None:
        with store.begin() as tx:
            insert(tx, "inside")
            with pytest.raises(StorageFull), tx.savepoint():
                insert(tx, "x" * 1_000_000)
            insert(tx, "afterwards")

    with pytest.raises(sa.exc.PendingRollbackError):
        go_on_regardless()
    assert names(store) == []
    with store.begin() as tx:
        insert(tx, "later")
    assert names(store) == ["later"]
    store.dispose()


def test_a_postgresql_server_that_does_not_answer_is_busy() -> None:
    store = Store("postgresql://nobody@127.0.0.1:1/nowhere")
    with pytest.raises(StoreBusy) as caught, store.begin():
        pass
    assert caught.value.__cause__ is not None
    store.dispose()


@pytest.mark.postgres
def test_a_store_recovers_when_its_connection_was_cut(postgres_server: PostgresServer) -> None:
    url = postgres_server.new_database()
    store, other = Store(url), Store(url)
    store.upgrade()
    with pytest.raises(StoreBusy), store.begin() as tx:
        write_with_a_cut_between(tx, other)
    assert names(store) == []
    with store.begin() as tx:
        insert(tx, "later")
    assert names(store) == ["later"]
    store.dispose()
    other.dispose()


def write_with_a_cut_between(tx: Transaction, other: Store) -> None:
    insert(tx, "a")
    with other.begin() as cutting:
        cutting.connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    insert(tx, "b")


@pytest.mark.postgres
def test_text_that_postgresql_cannot_hold_is_the_callers_fault(
    postgres_server: PostgresServer,
) -> None:
    store = Store(postgres_server.new_database())
    store.upgrade()
    with pytest.raises(Invalid, match="cannot be stored"), store.begin() as tx:
        insert(tx, "a\0b")
    store.dispose()


# ---- opening -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "mysql://localhost/x",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:////tmp/x.db?mode=ro",
    ],
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(Invalid) as caught:
        Store(url)
    assert caught.value.details["field"] == "database_url"


def test_a_password_is_not_shown_when_a_url_is_refused() -> None:
    with pytest.raises(Invalid) as caught:
        Store("mysql://root:secret@localhost/x")
    assert "secret" not in str(caught.value)
    assert "secret" not in str(caught.value.details)


def test_the_file_and_its_folder_are_for_the_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "new" / "penstock.db"
    Store(f"sqlite:///{path}").dispose()
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [item.name for item in path.parent.iterdir()] == ["penstock.db"]


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear reader, " * 1000)
    store = Store(f"sqlite:///{path}")
    with pytest.raises(Invalid, match="not a database"), store.read():
        pass
    store.dispose()


def test_every_connection_to_sqlite_is_durable_and_checks_references(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'a.db'}")
    openers: list[Callable[[], object]] = [store.begin, store.read]
    for opened in openers:
        with opened() as tx:  # type: ignore[attr-defined]
            pragmas = {
                name: tx.connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            }
        expected = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
        assert pragmas == expected | {"busy_timeout": database.LOCK_WAIT_SECONDS * 1000}
    store.dispose()


# ---- values --------------------------------------------------------------------------------------


def test_ids_are_guids_and_differ() -> None:
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(len(id) == 36 and id[14] == "7" and id[19] in "89ab" for id in ids)


@pytest.mark.parametrize(
    "moment",
    [
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(2024, 2, 29, 12, 30, 15, 123_457, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    ],
)
def test_instants_come_back_to_the_microsecond(moment: datetime) -> None:
    assert instant(micros(moment)) == moment


def test_instants_of_any_zone_are_stored_as_utc() -> None:
    east = datetime(2024, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    assert instant(micros(east)) == datetime(2024, 1, 1, tzinfo=UTC)


def test_a_naive_datetime_is_no_instant() -> None:
    with pytest.raises(ValueError, match="aware"):
        micros(datetime(2024, 1, 1))  # noqa: DTZ001


def test_no_instant_stays_none() -> None:
    assert instant(None) is None
    assert database.micros_or_none(None) is None


def test_documents_of_any_mapping_come_back() -> None:
    document = MappingProxyType({"b": 1, "a": MappingProxyType({"ü": [None, True, 1.5]})})
    assert database.loads(database.dumps(document)) == {"b": 1, "a": {"ü": [None, True, 1.5]}}
    assert list(database.loads(database.dumps(document))) == ["b", "a"]
    assert database.loads(database.dumps({})) == {}
    assert database.loads(database.dumps([])) == []
