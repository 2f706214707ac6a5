"""A workspace in a real database, for tests of the verbs and of the daemon."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.builders import NOW, a_snapshot

from penstock import wire
from penstock.core.access import ADMIN, Actor
from penstock.core.model import PublishedPipeline, Run, Schedule, SnapshotFile
from penstock.core.pipeline import Graph, Step
from penstock.core.recurrence import Frequency, Recurrence
from penstock.errors import PenstockError
from penstock.service import pipelines, runs, schedules, workspaces
from penstock.store import pipelines as pipeline_rows
from penstock.store import timers
from penstock.store.database import Store, Transaction
from penstock.store.tables import metadata
from penstock.testing.clock import ManualClock

SCRIPTS = ("train.py", "prepare.py", "score.py")


def minutes(interval: int = 1, **fields: Any) -> Recurrence:
    """Return a recurrence of so many minutes."""
    return Recurrence(frequency=Frequency.MINUTE, interval=interval, **fields)


class Site:
    """A store with one workspace, and the administrator who works there."""

    def __init__(self, store: Store, home: Path) -> None:
        self.store = store
        self.home = home
        self.clock = ManualClock(NOW)
        self.admin = ADMIN
        draft = wire.WorkspaceDraft(name="home")
        with store.begin() as tx:
            self.workspace = workspaces.create(tx, ADMIN, draft, home=home, now=NOW)
            files = tuple(SnapshotFile(path=p, sha256="ab" * 32, size=1) for p in SCRIPTS)
            snapshot = a_snapshot(workspace_id=self.workspace.id, files=files)
            pipeline_rows.put_snapshot(tx, snapshot)
        self.snapshot_id = snapshot.id

    @property
    def now(self) -> datetime:
        """What the clock shows."""
        return self.clock.now()

    def later(self, **length: float) -> datetime:
        """Move the clock on and return what it shows then."""
        self.clock.advance(timedelta(**length))
        return self.now

    # ---- verbs ----

    def call(self, verb: Callable[..., Any], *args: Any, actor: Actor = ADMIN, **named: Any) -> Any:
        """Call a verb in a transaction of its own, at the clock's time unless `now` is given."""
        with self.store.begin() as tx:
            return self.within(tx, verb, *args, actor=actor, **named)

    def within(
        self, tx: Transaction, verb: Callable[..., Any], *args: Any, actor: Actor, **named: Any
    ) -> Any:
        """Call a verb in an open transaction."""
        if "now" in inspect.signature(verb).parameters:
            named = {"now": self.now} | named
        return verb(tx, actor, self.workspace, *args, **named)

    # ---- things to work with ----

    def step(self, id: str = "train", **fields: Any) -> Step:
        """Return a step that can run."""
        step = Step(id=id, name=id, script="train.py", snapshot_id=self.snapshot_id)
        return replace(step, **fields)

    def graph(self, *steps: Step, **fields: Any) -> Graph:
        """Return a graph that can run; of one step, if none is given."""
        return Graph(steps=steps or (self.step(),), **fields)

    def publish(self, *steps: Step, parameters: Any = (), **fields: Any) -> PublishedPipeline:
        """Publish a pipeline."""
        graph = self.graph(*steps, parameters=tuple(parameters))
        published: PublishedPipeline = self.call(
            pipelines.publish, wire.PublishRequest(graph=graph, **fields)
        )
        return published

    def submit(self, *steps: Step, parameters: Any = (), **fields: Any) -> Run:
        """Submit a run of a graph of these steps, or of one step."""
        graph = self.graph(*steps, parameters=tuple(parameters))
        request = wire.SubmitRequest(**{"experiment": "training", "graph": graph} | fields)
        run: Run = self.call(runs.submit, request)
        return run

    def draft(self, **fields: Any) -> wire.ScheduleDraft:
        """Return the draft of a schedule: every minute, of a pipeline published for it."""
        if "pipeline_id" not in fields and "pipeline_endpoint_id" not in fields:
            fields["pipeline_id"] = self.publish().id
        if "recurrence" not in fields and "data_change" not in fields:
            fields["recurrence"] = minutes()
        return wire.ScheduleDraft(**{"name": "often", "experiment": "training"} | fields)

    def schedule(self, **fields: Any) -> Schedule:
        """Create a schedule."""
        schedule: Schedule = self.call(schedules.create, self.draft(**fields))
        return schedule

    def update(self, id: str, **changes: Any) -> Schedule:
        """Change a schedule."""
        changed: Schedule = self.call(schedules.update, id, wire.ScheduleChanges(**changes))
        return changed

    # ---- what is stored ----

    def due_at(self, kind: str, id: str) -> datetime | None:
        """Return when a timer is due."""
        with self.store.read() as tx:
            timer = timers.find(tx, kind, id)
        return timer.due_at if timer else None

    def contents(self) -> dict[str, set[tuple[Any, ...]]]:
        """Return every row of every table."""
        with self.store.read() as tx:
            return {
                table.name: {tuple(row) for row in tx.connection.execute(sa.select(table))}
                for table in metadata.sorted_tables
            }

    @contextmanager
    def refuses(
        self, error: type[PenstockError], match: str | None = None
    ) -> Iterator[pytest.ExceptionInfo[PenstockError]]:
        """Expect that the block is refused, and that nothing at all was stored."""
        before = self.contents()
        with pytest.raises(error, match=match) as caught:
            yield caught
        assert self.contents() == before
