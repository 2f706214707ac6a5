"""Every table, on one page.

Instants are integers: microseconds since 1970-01-01 UTC, so that they sort and compare alike in
both databases. Documents are JSON text. Names of constraints are explicit so that migrations can
name them.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Instant = sa.BigInteger  # microseconds since the epoch, UTC
Document = sa.Text  # JSON

# The conditions of partial indexes. Queries repeat them word for word: that is how a database sees
# that the index fits.
UNFINISHED_RUN = sa.text("state IN ('NotStarted', 'Running')")
STEP_IN_LINE = sa.text("state IN ('Queued', 'Running')")

workspaces = sa.Table(
    "workspaces",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("subscription_id", sa.Text, nullable=False),
    sa.Column("resource_group", sa.Text, nullable=False),
    sa.Column("default_datastore", sa.Text, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
)

experiments = sa.Table(
    "experiments",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("workspace_id", sa.ForeignKey("workspaces.id"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("archived_at", Instant),
    sa.Column("tags", Document, nullable=False),
    sa.UniqueConstraint("workspace_id", "name"),
)

datastores = sa.Table(
    "datastores",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("workspace_id", sa.ForeignKey("workspaces.id"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("config", Document, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.UniqueConstraint("workspace_id", "name"),
)

snapshots = sa.Table(
    "snapshots",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("workspace_id", sa.ForeignKey("workspaces.id"), primary_key=True),
    sa.Column("files", Document, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
)

graphs = sa.Table(
    "graphs",
    metadata,
    # Derived from the document, so that publishing the same graph twice keeps one copy.
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("workspace_id", sa.ForeignKey("workspaces.id"), nullable=False),
    sa.Column("document", Document, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
)

published_pipelines = sa.Table(
    "published_pipelines",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("workspace_id", sa.ForeignKey("workspaces.id"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),  # not unique, as in the old service
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("version", sa.Text),
    sa.Column("graph_id", sa.ForeignKey("graphs.id"), nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("continue_on_step_failure", sa.Boolean, nullable=False),
    sa.Column("step_count", sa.Integer, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Index(None, "workspace_id", "created_at", "id"),
    sa.Index(None, "workspace_id", "name"),
)

schedules = sa.Table(
    "schedules",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("workspace_id", sa.ForeignKey("workspaces.id"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),  # not unique, as in the old service
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("pipeline_id", sa.ForeignKey("published_pipelines.id")),
    sa.Column("pipeline_endpoint_id", sa.Text),
    sa.Column("experiment", sa.Text, nullable=False),
    sa.Column("parameters", Document, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("recurrence", Document),
    sa.Column("data_change", Document),
    sa.Column("continue_on_step_failure", sa.Boolean),
    sa.Column("catch_up", sa.Text, nullable=False),
    sa.Column("catch_up_window_seconds", sa.Float, nullable=False),
    sa.Column("overlap", sa.Text, nullable=False),
    sa.Column("run_on_create", sa.Boolean, nullable=False),
    # The next nominal fire time. The timer is only the alarm clock; this is what will be fired.
    sa.Column("next_fire_time", Instant),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("quarantined_reason", sa.Text),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.CheckConstraint("(recurrence IS NULL) <> (data_change IS NULL)", name="one_trigger"),
    sa.CheckConstraint(
        "(pipeline_id IS NULL) <> (pipeline_endpoint_id IS NULL)", name="one_target"
    ),
    sa.Index(None, "workspace_id", "created_at", "id"),
    sa.Index(None, "pipeline_id"),
    sa.Index(None, "pipeline_endpoint_id"),
)

fires = sa.Table(
    "fires",
    metadata,
    # The primary key is what makes a fire happen once, whoever tries, however often.
    sa.Column("source_id", sa.Text, primary_key=True),
    sa.Column("fire_key", sa.Text, primary_key=True),
    sa.Column("fire_time", Instant),
    sa.Column("fired_at", Instant, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("run_id", sa.Text),
    sa.Column("count", sa.BigInteger, nullable=False),
    sa.Column("through_time", Instant),
    sa.Index(None, "source_id", "fired_at", "fire_key"),
    sqlite_with_rowid=False,  # the key is the row: one tree less to write at each fire
)

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("workspace_id", sa.ForeignKey("workspaces.id"), nullable=False),
    sa.Column("experiment", sa.Text, nullable=False),
    sa.Column("graph_id", sa.ForeignKey("graphs.id"), nullable=False),
    sa.Column("pipeline_id", sa.Text),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("schedule_id", sa.Text),
    sa.Column("fire_time", Instant),
    sa.Column("cause", sa.Text, nullable=False),
    sa.Column("is_queued", sa.Boolean, nullable=False),
    sa.Column("parent_run_id", sa.Text),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("parameters", Document, nullable=False),
    sa.Column("continue_on_step_failure", sa.Boolean, nullable=False),
    sa.Column("regenerate_outputs", sa.Boolean, nullable=False),
    sa.Column("tags", Document, nullable=False),
    sa.Column("properties", Document, nullable=False),
    sa.Column("cancel_requested_at", Instant),
    sa.Column("error", sa.Text),
    # What the caller chose to make a repeated submission a no-op.
    sa.Column("submission_key", sa.Text),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("started_at", Instant),
    sa.Column("ended_at", Instant),
    # Partial, because nearly all runs come from schedules and have no key.
    sa.Index(
        "uq_runs_submission_key",
        "workspace_id",
        "submission_key",
        unique=True,
        sqlite_where=sa.text("submission_key IS NOT NULL"),
        postgresql_where=sa.text("submission_key IS NOT NULL"),
    ),
    sa.Index(None, "workspace_id", "created_at", "id"),
    sa.Index(None, "workspace_id", "experiment", "created_at"),
    sa.Index(None, "schedule_id", "created_at"),
    sa.Index(None, "pipeline_id", "created_at"),
    sa.Index(
        "ix_runs_unfinished",
        "schedule_id",
        "created_at",
        sqlite_where=UNFINISHED_RUN,
        postgresql_where=UNFINISHED_RUN,
    ),
)

step_runs = sa.Table(
    "step_runs",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("run_id", sa.ForeignKey("runs.id"), nullable=False),
    sa.Column("step_id", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    # The fencing number: a result is taken only from the attempt that stands here.
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("attempts_lost", sa.Integer, nullable=False),
    sa.Column("compute", sa.Text, nullable=False),
    sa.Column("available_at", Instant),
    sa.Column("queued_at", Instant),
    sa.Column("started_at", Instant),
    sa.Column("ended_at", Instant),
    sa.Column("exit_code", sa.Integer),
    sa.Column("error", sa.Text),
    sa.Column("tags", Document, nullable=False),
    sa.Column("properties", Document, nullable=False),
    sa.UniqueConstraint("run_id", "step_id"),
    # The waiting line of each compute target, and how many run there.
    sa.Index(
        "ix_step_runs_line",
        "compute",
        "state",
        "queued_at",
        "id",
        sqlite_where=STEP_IN_LINE,
        postgresql_where=STEP_IN_LINE,
    ),
)

metrics = sa.Table(
    "metrics",
    metadata,
    sa.Column("run_id", sa.Text, primary_key=True),  # of a run or a step run
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("sequence", sa.Integer, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("value", Document, nullable=False),
    sa.Column("step", sa.BigInteger),
    sa.Column("logged_at", Instant, nullable=False),
)

timers = sa.Table(
    "timers",
    metadata,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("subject_id", sa.Text, primary_key=True),
    sa.Column("due_at", Instant, nullable=False),
    sa.Column("token", sa.BigInteger, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    # Each lane of the daemon asks for its own kind: a million sleeping schedules cost a step
    # nothing.
    sa.Index(None, "kind", "due_at", "subject_id"),
    sqlite_with_rowid=False,
)

activity = sa.Table(
    "activity",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("workspace_id", sa.Text, nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("subject_kind", sa.Text, nullable=False),
    sa.Column("subject_id", sa.Text, nullable=False),
    sa.Column("detail", Document, nullable=False),
    sa.Index(None, "workspace_id", "at", "id"),
    sa.Index(None, "subject_id", "at"),
)
