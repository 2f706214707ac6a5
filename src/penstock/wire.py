"""The documents on the wire, defined once for both ends.

Requests are checked here for shape (unknown keys are refused, so that a typing mistake is not
silently dropped); whether they make sense is the core's and the services' business. Values that
are the same everywhere (a recurrence, a graph) cross the wire as themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Generic, Self, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from penstock.core.due import CatchUp, Outcome, Overlap
from penstock.core.model import (
    DataChange,
    Experiment,
    Fire,
    Metric,
    PublishedPipeline,
    Run,
    Schedule,
    SnapshotFile,
    Status,
    StepRun,
    Workspace,
)
from penstock.core.pipeline import Graph
from penstock.core.recurrence import Occurrence, Recurrence
from penstock.core.states import RunState, StepState, history_status
from penstock.errors import Invalid

RECURRENCE: TypeAdapter[Recurrence] = TypeAdapter(Recurrence)
DATA_CHANGE: TypeAdapter[DataChange] = TypeAdapter(DataChange)
GRAPH: TypeAdapter[Graph] = TypeAdapter(Graph)
SNAPSHOT_FILES: TypeAdapter[tuple[SnapshotFile, ...]] = TypeAdapter(tuple[SnapshotFile, ...])

Item = TypeVar("Item")

# What a request may hold at most, in characters unless said otherwise; the services refuse more.
NAME_MAX = 255  # of names and ids
DESCRIPTION_MAX = 5_000
PATH_MAX = 1_024
TEXT_MAX = 131_071  # bytes, of any other text: the longest word that Linux passes to a process
NOTES_MAX = 50  # tags of one thing; as many properties
NOTE_NAME_MAX = 256
NOTE_VALUE_MAX = 1_000
PARAMETERS_MAX = 1_048_576  # bytes, of all assignments together as JSON


class Request(BaseModel):
    """What a client sends: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid")

    @classmethod
    def made(cls, **fields: Any) -> Self:
        """Return a request with what a user gave.

        Raises:
            Invalid: a field has a wrong type or is out of range; all of them are listed.
        """
        try:
            return cls(**fields)
        except ValidationError as error:
            faults = [
                {"field": ".".join(map(str, fault["loc"])), "message": fault["msg"]}
                for fault in error.errors(include_url=False, include_input=False)
            ]
            value, where = error.errors(include_url=False)[0]["input"], faults[0]["field"]
            raise Invalid(
                f"{where} = {value!r} is not valid: {faults[0]['message']}.",
                field=where,
                value=value,
                errors=faults,
            ) from error


class Document(BaseModel):
    """What the server answers: unknown keys are ignored, so that an older client reads a newer
    server."""

    model_config = ConfigDict(extra="ignore")


class Page(Document, Generic[Item]):
    """A part of a list, newest first unless said otherwise."""

    items: list[Item]
    next: str | None = Field(
        None, description="Pass as `after` for the next page; null on the last one."
    )


# ---- workspaces, experiments, datastores ---------------------------------------------------------


class WorkspaceDraft(Request):
    name: str
    subscription_id: str | None = None
    resource_group: str | None = None


class WorkspaceDocument(Document):
    id: str
    name: str
    subscription_id: str
    resource_group: str
    default_datastore: str
    created_at: datetime

    @classmethod
    def of(cls, workspace: Workspace) -> WorkspaceDocument:
        return cls(**_fields(workspace))


class ExperimentDocument(Document):
    id: str
    name: str
    created_at: datetime
    archived_at: datetime | None
    tags: dict[str, str]

    @classmethod
    def of(cls, experiment: Experiment) -> ExperimentDocument:
        return cls(**_fields(experiment))


class ExperimentChanges(Request):
    tags: dict[str, str] | None = None
    is_archived: bool | None = None


class DatastoreDocument(Document):
    name: str
    kind: str
    is_default: bool
    created_at: datetime


class EntryDocument(Document):
    path: str
    size: int
    etag: str
    modified_at: datetime


class ComputeTargetDocument(Document):
    name: str
    kind: str
    steps_running_max: int
    steps_running: int
    steps_queued: int


# ---- snapshots -----------------------------------------------------------------------------------


class MissingBlobs(Request):
    sha256: list[str] = Field(max_length=10_000)


class SnapshotDraft(Request):
    files: list[SnapshotFile] = Field(max_length=10_000)


class SnapshotDocument(Document):
    id: str


# ---- pipelines -----------------------------------------------------------------------------------


class PublishRequest(Request):
    """Publish `graph`, or the graph of the run `run_id`; exactly one of them."""

    graph: Graph | None = None
    run_id: str | None = None
    name: str | None = None
    description: str | None = None
    version: str | None = None
    continue_on_step_failure: bool | None = None


class PipelineChanges(Request):
    status: Status


class PublishedPipelineDocument(Document):
    id: str
    name: str
    description: str
    version: str | None
    graph_id: str
    status: Status
    continue_on_step_failure: bool
    step_count: int
    created_at: datetime
    updated_at: datetime
    created_by: str
    endpoint: str = Field(description="The URL that starts a run of this pipeline when posted to.")

    @classmethod
    def of(cls, pipeline: PublishedPipeline, *, endpoint: str) -> PublishedPipelineDocument:
        return cls(**_fields(pipeline), endpoint=endpoint)


class ValidationDocument(Document):
    errors: list[dict[str, str]]


# ---- schedules -----------------------------------------------------------------------------------


class ScheduleDraft(Request):
    name: str
    experiment: str
    pipeline_id: str | None = None
    pipeline_endpoint_id: str | None = None
    description: str = ""
    recurrence: Recurrence | None = None
    data_change: DataChange | None = None
    parameters: dict[str, Any] = {}
    status: Status = Status.ACTIVE
    continue_on_step_failure: bool | None = None
    run_on_create: bool = True
    catch_up: CatchUp = CatchUp.SKIP
    catch_up_window_seconds: float = 86_400.0
    overlap: Overlap = Overlap.ALLOW


class ScheduleChanges(Request):
    """Only what is set changes."""

    name: str | None = None
    description: str | None = None
    recurrence: Recurrence | None = None
    data_change: DataChange | None = None
    parameters: dict[str, Any] | None = None
    status: Status | None = None
    continue_on_step_failure: bool | None = None
    catch_up: CatchUp | None = None
    catch_up_window_seconds: float | None = None
    overlap: Overlap | None = None


class ScheduleDocument(Document):
    id: str
    name: str
    description: str
    pipeline_id: str | None
    pipeline_endpoint_id: str | None
    experiment: str
    parameters: dict[str, Any]
    status: Status
    recurrence: Recurrence | None
    data_change: DataChange | None
    continue_on_step_failure: bool | None
    catch_up: CatchUp
    catch_up_window_seconds: float
    overlap: Overlap
    run_on_create: bool
    next_fire_time: datetime | None
    failures: int
    quarantined_reason: str | None
    created_at: datetime
    updated_at: datetime
    created_by: str

    @classmethod
    def of(cls, schedule: Schedule) -> ScheduleDocument:
        return cls(**_fields(schedule))


class FireDocument(Document):
    source_id: str
    fire_key: str
    fire_time: datetime | None
    fired_at: datetime
    outcome: Outcome
    reason: str
    run_id: str | None
    count: int
    through_time: datetime | None

    @classmethod
    def of(cls, fire: Fire) -> FireDocument:
        return cls(**_fields(fire))


class FireRequest(Request):
    """Fire a schedule by hand; `parameters` override its own for this run."""

    parameters: dict[str, Any] = {}


class PreviewRequest(Request):
    recurrence: Recurrence
    count: int = Field(10, ge=1, le=1000)
    after: AwareDatetime | None = Field(None, description="Fires later than this; now when null.")
    run_on_create: bool = True


class OccurrenceDocument(Document):
    """A slot of a recurrence; one that a clock change dropped or merged has no fire of its own."""

    fire_time: datetime | None = Field(description="UTC; null when nothing fires here.")
    local_time: datetime | None = Field(
        description="The same instant in the recurrence's time zone."
    )
    nominal_time: datetime = Field(description="The wall time that the recurrence names.")
    mark: str | None = Field(description="on_create, moved, merged, dropped, repeated, or null.")

    @classmethod
    def of(cls, occurrence: Occurrence) -> OccurrenceDocument:
        return cls(**_fields(occurrence))


class PreviewDocument(Document):
    description: str = Field(description="The recurrence as a sentence.")
    time_zone: str = Field(description="IANA name.")
    occurrences: list[OccurrenceDocument]


# ---- runs ----------------------------------------------------------------------------------------


class SubmitRequest(Request):
    """Ask for a run of `graph` or of the published pipeline `pipeline_id`; exactly one of them."""

    experiment: str
    graph: Graph | None = None
    pipeline_id: str | None = None
    parameters: dict[str, Any] = {}
    continue_on_step_failure: bool | None = None
    regenerate_outputs: bool = False
    parent_run_id: str | None = None
    description: str = ""
    tags: dict[str, str] = {}
    properties: dict[str, str] = {}
    source: str = "SDK"


class RunDocument(Document):
    id: str
    experiment: str
    graph_id: str
    pipeline_id: str | None
    state: RunState
    history_status: str = Field(description="The state in the run history's words.")
    source: str
    schedule_id: str | None
    fire_time: datetime | None
    cause: str
    is_queued: bool
    parent_run_id: str | None
    description: str
    parameters: dict[str, Any]
    continue_on_step_failure: bool
    regenerate_outputs: bool
    tags: dict[str, str]
    properties: dict[str, str]
    cancel_requested_at: datetime | None
    error: str | None
    created_at: datetime
    created_by: str
    started_at: datetime | None
    ended_at: datetime | None

    @classmethod
    def of(cls, run: Run) -> RunDocument:
        word = history_status(run.state, is_canceling=run.cancel_requested_at is not None)
        return cls(**_fields(run), history_status=word)


class StepRunDocument(Document):
    id: str
    run_id: str
    step_id: str
    name: str
    state: StepState
    history_status: str
    attempt: int
    attempts_lost: int
    compute: str
    available_at: datetime | None
    queued_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    exit_code: int | None
    error: str | None
    tags: dict[str, str]
    properties: dict[str, str]

    @classmethod
    def of(cls, step_run: StepRun) -> StepRunDocument:
        return cls(**_fields(step_run), history_status=history_status(step_run.state))


class OutputDocument(Document):
    """Where a step run's output lies."""

    name: str
    datastore: str
    path: str
    pipeline_output_name: str | None


class RunChanges(Request):
    """Tags: given ones are set, `removed_tags` go. Properties can only be added."""

    tags: dict[str, str] | None = None
    removed_tags: list[str] = []
    properties: dict[str, str] | None = None
    description: str | None = None


class MetricDraft(Request):
    name: str = Field(min_length=1, max_length=255)
    kind: str = "scalar"
    value: Any
    step: int | None = Field(None, ge=-(2**63), lt=2**63)


class MetricsRequest(Request):
    metrics: list[MetricDraft] = Field(max_length=10_000)


class MetricDocument(Document):
    run_id: str
    name: str
    sequence: int
    kind: str
    value: Any
    step: int | None
    logged_at: datetime

    @classmethod
    def of(cls, metric: Metric) -> MetricDocument:
        return cls(**_fields(metric))


class FileDocument(Document):
    """A file that a step run left: below outputs/, logs/, user_logs/ or system_logs/."""

    path: str
    size: int


class LogDocument(Document):
    """A piece of a step run's log."""

    text: str
    next_offset: int = Field(description="Bytes; pass as `offset` to go on from here.")
    is_complete: bool = Field(description="True when the step has ended and everything was read.")


class ActivityDocument(Document):
    at: datetime
    actor: str
    action: str
    subject_kind: str
    subject_id: str
    detail: dict[str, Any]


class HealthDocument(Document):
    status: str
    version: str


class ServerDocument(Document):
    version: str
    url: str
    database: str
    tzdata_version: str | None
    started_at: datetime
    last_tick_at: datetime | None
    timers_due: int
    compute_targets: list[ComputeTargetDocument]


def _fields(value: Any) -> Mapping[str, Any]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}
