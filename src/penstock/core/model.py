"""The nouns of Penstock as frozen values: what the store remembers and the verbs pass around.

Instants are aware UTC datetimes. Ids are opaque text (GUIDs where the old SDK had GUIDs).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from penstock.core.due import CatchUp, Outcome, Overlap
from penstock.core.recurrence import Recurrence
from penstock.core.states import RunState, StepState

JsonValue = Any  # what json.loads can return; a recursive alias buys nothing here


class Status(StrEnum):
    """Whether an entity may be used. The words are the old service's."""

    ACTIVE = "Active"
    DEPRECATED = "Deprecated"
    DISABLED = "Disabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """The boundary of names, data and permissions."""

    id: str
    name: str  # unique on a server
    subscription_id: str  # kept for scripts that print or store it; decides nothing here
    resource_group: str
    default_datastore: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """A name under which runs are grouped; created on first use."""

    id: str
    workspace_id: str
    name: str
    created_at: datetime
    archived_at: datetime | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Datastore:
    """A place where data lives."""

    id: str
    workspace_id: str
    name: str
    kind: str  # "local_directory"; remote kinds come with the change-based schedules
    config: Mapping[str, JsonValue]  # local_directory: {"path": absolute directory}
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A step's source directory as it was when the pipeline was built."""

    id: str  # derived from the files, so that the same files are the same snapshot
    workspace_id: str
    files: tuple[SnapshotFile, ...]
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotFile:
    """One file of a snapshot."""

    path: str  # relative, with forward slashes
    sha256: str
    size: int
    is_executable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedPipeline:
    """An immutable, submittable pipeline; only its status changes."""

    id: str
    workspace_id: str
    name: str
    description: str
    version: str | None
    graph_id: str
    status: Status
    continue_on_step_failure: bool
    created_at: datetime
    updated_at: datetime
    created_by: str
    step_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DataChange:
    """What a change-based schedule watches."""

    datastore: str
    path: str | None  # folder on the datastore; None is its root
    polling_minutes: int
    data_path_parameter: str | None  # the pipeline parameter that receives the changed file


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A trigger and what it submits.

    Exactly one of `recurrence` and `data_change` is set; it decides the kind of the schedule.
    """

    id: str
    workspace_id: str
    name: str
    description: str
    pipeline_id: str | None  # exactly one of pipeline_id and pipeline_endpoint_id is set
    pipeline_endpoint_id: str | None
    experiment: str
    parameters: Mapping[str, JsonValue]  # assignments; {"datastore":…, "path":…} for a data path
    status: Status
    recurrence: Recurrence | None
    data_change: DataChange | None
    continue_on_step_failure: bool | None  # None: the published pipeline's own value
    catch_up: CatchUp
    catch_up_window_seconds: float
    overlap: Overlap
    run_on_create: bool
    next_fire_time: datetime | None  # None: disabled, data change, or nothing left to fire
    failures: int  # submissions that failed one after the other; 0 after a success
    quarantined_reason: str | None  # set when it stopped itself after too many failures
    created_at: datetime
    updated_at: datetime
    created_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fire:
    """The record of one evaluation of a trigger: it fired, or why it did not.

    `(source_id, fire_key)` is unique: whoever comes second finds that the fire was done before.
    """

    source_id: str  # a schedule's id
    fire_key: str  # of a recurrence: its fire time, see service/firing.py
    fire_time: datetime | None  # the nominal time, not when it was noticed
    fired_at: datetime  # when it was evaluated
    outcome: Outcome
    reason: str
    run_id: str | None = None
    count: int = 1  # occurrences that this record stands for (missed ones are recorded together)
    through_time: datetime | None = None  # the last of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One execution of a pipeline."""

    id: str
    workspace_id: str
    experiment: str
    graph_id: str
    pipeline_id: str | None  # None: submitted without having been published
    state: RunState
    source: str  # "SDK", "REST", "Schedule", "CLI": what asked for it
    schedule_id: str | None
    fire_time: datetime | None
    cause: str  # one sentence: what started it
    is_queued: bool  # starts only when no earlier run of its schedule is active
    parent_run_id: str | None
    description: str
    parameters: Mapping[str, JsonValue]  # every parameter of the graph with its resolved value
    continue_on_step_failure: bool
    regenerate_outputs: bool
    tags: Mapping[str, str]
    properties: Mapping[str, str]
    cancel_requested_at: datetime | None
    error: str | None
    created_at: datetime
    created_by: str
    started_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRun:
    """One step of one run, over all its attempts."""

    id: str
    run_id: str
    step_id: str  # the node in the graph
    name: str
    state: StepState
    attempt: int  # the fencing number: 0 before the first launch; only the newest may report
    attempts_lost: int  # of them, those that vanished without a trace: they did not fail
    compute: str  # name of the compute target
    available_at: datetime | None  # while Queued: not launched before (back-off)
    queued_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    exit_code: int | None
    error: str | None
    tags: Mapping[str, str]
    properties: Mapping[str, str]

    @property
    def place(self) -> StepPlace:
        """Where it stands."""
        return StepPlace(self.id, self.run_id, self.step_id, self.state, self.attempt, self.compute)


class StepPlace(NamedTuple):
    """Where one step of a run stands: what deciding about the run needs, and no more."""

    id: str  # of the step run
    run_id: str
    step_id: str
    state: StepState
    attempt: int
    compute: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One logged value of a run or step run."""

    run_id: str
    name: str
    sequence: int  # 0, 1, … within (run_id, name)
    kind: str  # "scalar", "list", "row", "table", "image", "confusion_matrix", …
    value: JsonValue
    step: int | None
    logged_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Timer:
    """The alarm clock of one subject: when its handler must next look at it."""

    kind: str  # "schedule", "run", "step", …
    subject_id: str
    due_at: datetime
    token: int  # raised by each claim; a handler's last write names it
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """Who did what: the line that is kept about each change."""

    id: str
    workspace_id: str
    at: datetime
    actor: str
    action: str  # "schedule.create", "run.cancel", …
    subject_kind: str
    subject_id: str
    detail: Mapping[str, JsonValue]
