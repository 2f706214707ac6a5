"""The schema: made by the migrations, equal to the tables, upgraded once whoever comes."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from tests.builders import (
    NOW,
    a_data_change,
    a_datastore,
    a_recurrence,
    a_run,
    a_schedule,
    a_step_run,
    a_workspace,
    stored,
)

from penstock.core.model import Schedule
from penstock.errors import Conflict
from penstock.store import (
    activity,
    fires,
    metrics,
    pages,
    pipelines,
    runs,
    schedules,
    steps,
    tables,
    timers,
    workspaces,
)
from penstock.store.database import AlreadyThere, Store, Transaction, new_id, schema_version
from penstock.store.migrations import HEAD
from penstock.store.migrations.running import configuration

# ---- equal to the tables -------------------------------------------------------------------------


def test_the_migrated_schema_is_the_declared_one(store: Store) -> None:
    with store.begin() as tx:
        options = {"compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(tx.connection, opts=options)
        assert compare_metadata(context, tables.metadata) == []


def test_check_constraints_and_partial_indexes_are_the_declared_ones(
    empty_database_url: str,
) -> None:
    """What Alembic does not compare: their texts, as the database itself shows them."""
    store = Store(empty_database_url)
    store.upgrade()
    with store.begin() as tx:
        migrated = texts(tx.connection)
        tx.connection.execute(sa.text("DROP TABLE alembic_version"))
        tables.metadata.drop_all(tx.connection)
        tables.metadata.create_all(tx.connection)
        assert texts(tx.connection) == migrated
    assert "ck_schedules_one_trigger" in migrated
    assert "WHERE" in migrated["ix_runs_unfinished"]
    store.dispose()


def texts(connection: sa.Connection) -> dict[str, str]:
    """Return the definition of every index, check constraint and (SQLite) table, by name."""
    if connection.dialect.name == "postgresql":
        rows = connection.exec_driver_sql(
            "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' UNION ALL "
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint "
            "WHERE connamespace = 'public'::regnamespace"
        )
        return {name: text for name, text in rows if not name.startswith("alembic")}
    found: dict[str, str] = {}
    rows = connection.exec_driver_sql(
        "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'alembic%'"
    )
    for name, text in rows:
        found[name] = "\n".join(sorted(line.strip().rstrip(",") for line in text.splitlines()))
    for checks in tables.schedules.constraints:
        if isinstance(checks, sa.CheckConstraint) and str(checks.name) in found["schedules"]:
            found[str(checks.name)] = str(checks.sqltext)
    return found


def test_the_newest_version_is_the_one_that_is_written_down() -> None:
    script = ScriptDirectory.from_config(configuration())
    assert script.get_heads() == [HEAD]


# ---- constraints bite ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "schedule",
    [
        a_schedule(recurrence=None),
        a_schedule(data_change=a_data_change(), recurrence=a_recurrence()),
        a_schedule(pipeline_id=None),
        a_schedule(pipeline_endpoint_id="endpoint"),
    ],
    ids=["no trigger", "two triggers", "no pipeline", "two pipelines"],
)
def test_a_schedule_has_one_trigger_and_one_pipeline(store: Store, schedule: Schedule) -> None:
    with store.begin() as tx:
        stored(tx)
        with pytest.raises(sa.exc.IntegrityError), tx.savepoint():
            schedules.insert(tx, schedule)


def test_names_are_unique_where_they_must_be(store: Store) -> None:
    with store.begin() as tx:
        stored(tx)
        with pytest.raises(AlreadyThere), tx.savepoint():
            workspaces.insert(tx, a_workspace(id=new_id()))
        workspaces.insert_datastore(tx, a_datastore())
        with pytest.raises(AlreadyThere), tx.savepoint():
            workspaces.insert_datastore(tx, a_datastore())


def test_a_submission_key_is_used_once_in_a_workspace(store: Store) -> None:
    other = a_workspace(id=new_id(), name="other")
    with store.begin() as tx:
        stored(tx)
        workspaces.insert(tx, other)
        runs.insert(tx, a_run(), "key")
        runs.insert(tx, a_run(workspace_id=other.id), "key")
        runs.insert(tx, a_run())
        runs.insert(tx, a_run())
        with pytest.raises(AlreadyThere), tx.savepoint():
            runs.insert(tx, a_run(), "key")


def test_a_run_has_each_step_once(store: Store) -> None:
    run = a_run()
    with store.begin() as tx:
        stored(tx)
        runs.insert(tx, run)
        steps.insert_many(tx, [a_step_run(run_id=run.id)])
        with pytest.raises(AlreadyThere), tx.savepoint():
            steps.insert_many(tx, [a_step_run(run_id=run.id)])


def test_what_a_row_refers_to_must_be_there(store: Store) -> None:
    with store.begin() as tx:
        stored(tx)
        for refused in (
            lambda: runs.insert(tx, a_run(graph_id="none")),
            lambda: runs.insert(tx, a_run(workspace_id="none")),
            lambda: schedules.insert(tx, a_schedule(pipeline_id="none")),
            lambda: steps.insert_many(tx, [a_step_run()]),
            lambda: pipelines.put_graph(tx, new_id(), "none", "{}", NOW),
        ):
            with pytest.raises(sa.exc.IntegrityError), tx.savepoint():
                refused()


# ---- upgrading -----------------------------------------------------------------------------------


def test_an_empty_database_gets_the_newest_schema(empty_database_url: str) -> None:
    store = Store(empty_database_url)
    with store.read() as tx:
        assert schema_version(tx.connection) is None
    store.upgrade()
    with store.read() as tx:
        assert schema_version(tx.connection) == HEAD
    store.dispose()


def test_upgrading_again_changes_nothing(store: Store) -> None:
    with store.begin() as tx:
        stored(tx)
    store.upgrade()
    with store.read() as tx:
        assert workspaces.get(tx, "home") == a_workspace()


def test_all_who_upgrade_at_once_succeed(empty_database_url: str) -> None:
    stores = [Store(empty_database_url) for _ in range(3)]
    start = threading.Barrier(3)

    def upgrade(store: Store) -> None:
        start.wait()
        store.upgrade()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(upgrade, stores))
    with stores[0].begin() as tx:
        stored(tx)
    for store in stores:
        store.dispose()


_OPEN_AND_UPGRADE = """
import sys
from penstock.store.database import Store
store = Store(sys.argv[1])
store.upgrade()
print("alembic" in sys.modules)
"""


def test_two_processes_that_create_the_database_at_once_both_succeed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new' / 'penstock.db'}"
    command = [sys.executable, "-c", _OPEN_AND_UPGRADE, url]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    errors = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], errors


def test_a_current_database_does_not_cost_an_import_of_alembic(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'penstock.db'}"
    command = [sys.executable, "-c", _OPEN_AND_UPGRADE, url]
    answers = [
        subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
        for _ in range(2)
    ]
    assert answers == ["True", "False"]


def test_a_database_of_a_newer_penstock_is_refused(empty_database_url: str) -> None:
    store = Store(empty_database_url)
    store.upgrade()
    with store.begin() as tx:
        tx.connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Conflict, match="newer Penstock") as caught:
        store.upgrade()
    assert caught.value.details["schema_version"] == "9999"
    with store.begin() as tx:  # and it was left as it was
        assert schema_version(tx.connection) == "9999"
    store.dispose()


def test_references_are_checked_again_after_an_upgrade(empty_database_url: str) -> None:
    store = Store(empty_database_url)
    store.upgrade()
    with store.begin() as tx:
        stored(tx)
        with pytest.raises(sa.exc.IntegrityError), tx.savepoint():
            runs.insert(tx, a_run(graph_id="none"))
    store.dispose()


# ---- every hot query is a search -----------------------------------------------------------------


def plans(store: Store, ask: Callable[[Transaction], object]) -> list[str]:
    """Return how SQLite answers each statement that `ask` sends."""
    sent: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, sql: str, parameters: Any, *_: object) -> None:
        sent.append((sql, parameters))

    with store.begin() as tx:
        sa.event.listen(tx.connection, "before_cursor_execute", note)
        ask(tx)
        sa.event.remove(tx.connection, "before_cursor_execute", note)
        found = []
        for sql, parameters in sent:
            rows = tx.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", parameters)
            found.append("; ".join(row.detail for row in rows))
    assert found
    return found


CURSOR = pages.cursor([1, "id"])
CURSOR_FIRE = pages.cursor([1, "key"])

QUERIES: dict[str, Callable[[Transaction], object]] = {
    "claim": lambda tx: timers.claim(tx, ["step", "run"], NOW, 30.0, 100),
    "due": lambda tx: timers.due(tx, "schedule", NOW, 100),
    "next due": lambda tx: timers.next_due(tx, ["schedule"]),
    "fires of a source": lambda tx: fires.list(tx, "source", after=CURSOR_FIRE),
    "last fire": lambda tx: fires.last(tx, "source"),
    "runs": lambda tx: runs.list(tx, "workspace", after=CURSOR),
    "runs of a schedule": lambda tx: runs.list(tx, "workspace", schedule_id="s"),
    "submission key": lambda tx: runs.find_by_submission_key(tx, "workspace", "key"),
    "schedules": lambda tx: schedules.list(tx, "workspace", after=CURSOR),
    "pipelines": lambda tx: pipelines.list(tx, "workspace", after=CURSOR),
    "line": lambda tx: steps.next_in_line(tx, "local", NOW, 10),
    "activity": lambda tx: activity.list(tx, "workspace", after=CURSOR),
    "experiments": lambda tx: workspaces.list_experiments(tx, "workspace"),
}
UNSORTED: dict[str, Callable[[Transaction], object]] = {
    "count due": lambda tx: timers.count_due(tx, NOW),
    "active runs": lambda tx: runs.active_for_schedule(tx, "schedule"),
    "active counts": lambda tx: runs.active_counts(tx, ["a", "b"]),
    "schedules by id": lambda tx: schedules.get_many(tx, ["a", "b"]),
    "runs by id": lambda tx: runs.get_many(tx, ["a", "b"]),
    "steps of runs": lambda tx: steps.for_runs(tx, ["a", "b"]),
    "line counts": lambda tx: steps.counts(tx, "local"),
    "metrics": lambda tx: metrics.list(tx, ["a", "b"]),
    "activity of a subject": lambda tx: activity.list(tx, "workspace", subject_id="s"),
}


@pytest.mark.parametrize("name", [*QUERIES, *UNSORTED])
def test_a_query_reads_no_more_than_it_returns(tmp_path: Path, name: str) -> None:
    store = Store(f"sqlite:///{tmp_path / 'penstock.db'}")
    store.upgrade()
    for plan in plans(store, (QUERIES | UNSORTED)[name]):
        whole_tables = [f"SCAN {table}" for table in tables.metadata.tables]
        assert not any(scan in plan for scan in whole_tables), plan
        assert name in UNSORTED or "TEMP B-TREE" not in plan, plan
    store.dispose()
