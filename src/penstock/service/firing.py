"""Firing schedules: what turns a planned fire into a run and a record, both or neither."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from penstock.core.due import Outcome, PlannedFire
from penstock.core.model import Fire, PublishedPipeline, Run, Schedule
from penstock.core.pipeline import Graph, resolve_parameters
from penstock.errors import Conflict
from penstock.service import pipelines, runs
from penstock.store import pipelines as pipeline_rows
from penstock.store.database import Transaction

# A schedule that could not submit its run so many times in a row stops itself.
FAILURES_MAX = 5
RETRY_SECONDS = 2.0


@lru_cache(maxsize=256)  # what is due together is due at the same time
def fire_key(fire_time: datetime) -> str:
    """Return the key under which the fire of a nominal time is recorded.

    It is made of what the user sees and nothing else, so that it survives an edit of the
    schedule, an upgrade and a restart.
    """
    return fire_time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@lru_cache(maxsize=256)
def _in_words(fire_time: datetime) -> str:
    return f"{fire_time:%Y-%m-%d %H:%M:%S} UTC"


class Targets:
    """The published pipelines and graphs that one batch of fires needs, each read once."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._published: dict[str, PublishedPipeline] = {}
        self._graphs: dict[str, Graph] = {}

    def of(self, schedule: Schedule) -> tuple[PublishedPipeline, Graph]:
        """Return what `schedule` submits.

        Raises:
            Conflict: the published pipeline is disabled.
        """
        if schedule.pipeline_id is None:
            message = f"The schedule {schedule.name!r} starts a pipeline endpoint that is not here."
            raise Conflict(message, id=schedule.pipeline_endpoint_id)
        if schedule.pipeline_id not in self._published:
            published = pipeline_rows.get(self._tx, schedule.workspace_id, schedule.pipeline_id)
            self._published[published.id] = published
        published = runs.checked_active(self._published[schedule.pipeline_id])
        if published.graph_id not in self._graphs:
            graph = pipelines.load_graph(self._tx, schedule.workspace_id, published.graph_id)
            self._graphs[published.graph_id] = graph
        return published, self._graphs[published.graph_id]


def scheduled_run(
    targets: Targets,
    schedule: Schedule,
    planned: PlannedFire,
    now: datetime,
    *,
    cause: str | None = None,
    assignments: Mapping[str, Any] | None = None,
) -> Run:
    """Return the run that a fire of `schedule` starts (not yet stored).

    Args:
        targets: the pipelines and graphs of the batch.
        schedule: what fires.
        planned: the fire.
        now: the present instant.
        cause: why, as a sentence; the fire time of the schedule when None.
        assignments: parameter values that go before the schedule's own.

    Raises:
        Conflict: the published pipeline is disabled.
        InvalidParameters: the schedule's parameters do not fit the pipeline.
    """
    published, graph = targets.of(schedule)
    return runs.compose(
        workspace_id=schedule.workspace_id,
        experiment=schedule.experiment,
        graph_id=published.graph_id,
        published=published,
        parameters=resolve_parameters(graph, {**schedule.parameters, **(assignments or {})}),
        continue_on_step_failure=schedule.continue_on_step_failure,
        source="Schedule",
        cause=cause or f"schedule {schedule.name!r} was due at {_in_words(planned.fire_time)}",
        created_by=f"schedule {schedule.id}",
        now=now,
        schedule_id=schedule.id,
        fire_time=planned.fire_time,
        is_queued=planned.queue,
    )


def record(
    schedule: Schedule,
    planned: PlannedFire,
    now: datetime,
    run: Run | None,
    *,
    key: str | None = None,
) -> Fire:
    """Return the record of an evaluation that fired, skipped or missed, under `key` or its fire
    time's."""
    return Fire(
        source_id=schedule.id,
        fire_key=key or fire_key(planned.fire_time),
        fire_time=planned.fire_time,
        fired_at=now,
        outcome=planned.outcome,
        reason=planned.reason,
        run_id=run.id if run else None,
        count=planned.count,
        through_time=planned.through_time,
    )


def failure(schedule: Schedule, fire_time: datetime, now: datetime, reason: str) -> Fire:
    """Return the record of a submission that failed; the fire time itself stays free for the
    retry."""
    attempt = schedule.failures + 1
    return Fire(
        source_id=schedule.id,
        fire_key=f"{fire_key(fire_time)}/failed/{fire_key(now)}",
        fire_time=fire_time,
        fired_at=now,
        outcome=Outcome.FAILED,
        reason=f"attempt {attempt} of {FAILURES_MAX} failed: {reason}",
    )


def unreadable(schedule_id: str, due_at: datetime, now: datetime, reason: str) -> Fire:
    """Return the record of an evaluation that failed because the schedule cannot be read."""
    return Fire(
        source_id=schedule_id,
        fire_key=f"{fire_key(due_at)}/failed/{fire_key(now)}",
        fire_time=due_at,
        fired_at=now,
        outcome=Outcome.FAILED,
        reason=reason,
    )
