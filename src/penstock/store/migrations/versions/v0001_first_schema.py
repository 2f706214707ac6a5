"""The first schema.

Written out rather than made from `tables.metadata`, which goes on changing while a version stays.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "workspaces",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("subscription_id", sa.Text(), nullable=False),
        sa.Column("resource_group", sa.Text(), nullable=False),
        sa.Column("default_datastore", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_workspaces"),
        sa.UniqueConstraint("name", name="uq_workspaces_name"),
    )
    op.create_table(
        "experiments",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("archived_at", sa.BigInteger()),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name="fk_experiments_workspace_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_experiments"),
        sa.UniqueConstraint("workspace_id", "name", name="uq_experiments_workspace_id_name"),
    )
    op.create_table(
        "datastores",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("config", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name="fk_datastores_workspace_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_datastores"),
        sa.UniqueConstraint("workspace_id", "name", name="uq_datastores_workspace_id_name"),
    )
    op.create_table(
        "snapshots",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("files", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name="fk_snapshots_workspace_id"
        ),
        sa.PrimaryKeyConstraint("id", "workspace_id", name="pk_snapshots"),
    )
    op.create_table(
        "graphs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name="fk_graphs_workspace_id"),
        sa.PrimaryKeyConstraint("id", name="pk_graphs"),
    )
    op.create_table(
        "published_pipelines",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("version", sa.Text()),
        sa.Column("graph_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("continue_on_step_failure", sa.Boolean(), nullable=False),
        sa.Column("step_count", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["graph_id"], ["graphs.id"], name="fk_published_pipelines_graph_id"
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name="fk_published_pipelines_workspace_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_published_pipelines"),
    )
    op.create_index(
        "ix_published_pipelines_workspace_id_created_at_id",
        "published_pipelines",
        ["workspace_id", "created_at", "id"],
    )
    op.create_index(
        "ix_published_pipelines_workspace_id_name", "published_pipelines", ["workspace_id", "name"]
    )
    op.create_table(
        "schedules",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("pipeline_id", sa.Text()),
        sa.Column("pipeline_endpoint_id", sa.Text()),
        sa.Column("experiment", sa.Text(), nullable=False),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("recurrence", sa.Text()),
        sa.Column("data_change", sa.Text()),
        sa.Column("continue_on_step_failure", sa.Boolean()),
        sa.Column("catch_up", sa.Text(), nullable=False),
        sa.Column("catch_up_window_seconds", sa.Float(), nullable=False),
        sa.Column("overlap", sa.Text(), nullable=False),
        sa.Column("run_on_create", sa.Boolean(), nullable=False),
        sa.Column("next_fire_time", sa.BigInteger()),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("quarantined_reason", sa.Text()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "(pipeline_id IS NULL) <> (pipeline_endpoint_id IS NULL)",
            name="ck_schedules_one_target",
        ),
        sa.CheckConstraint(
            "(recurrence IS NULL) <> (data_change IS NULL)", name="ck_schedules_one_trigger"
        ),
        sa.ForeignKeyConstraint(
            ["pipeline_id"], ["published_pipelines.id"], name="fk_schedules_pipeline_id"
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name="fk_schedules_workspace_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_schedules"),
    )
    op.create_index("ix_schedules_pipeline_endpoint_id", "schedules", ["pipeline_endpoint_id"])
    op.create_index("ix_schedules_pipeline_id", "schedules", ["pipeline_id"])
    op.create_index(
        "ix_schedules_workspace_id_created_at_id", "schedules", ["workspace_id", "created_at", "id"]
    )
    op.create_table(
        "fires",
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("fire_key", sa.Text(), nullable=False),
        sa.Column("fire_time", sa.BigInteger()),
        sa.Column("fired_at", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text()),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("through_time", sa.BigInteger()),
        sa.PrimaryKeyConstraint("source_id", "fire_key", name="pk_fires"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_fires_source_id_fired_at_fire_key", "fires", ["source_id", "fired_at", "fire_key"]
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("experiment", sa.Text(), nullable=False),
        sa.Column("graph_id", sa.Text(), nullable=False),
        sa.Column("pipeline_id", sa.Text()),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("schedule_id", sa.Text()),
        sa.Column("fire_time", sa.BigInteger()),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("is_queued", sa.Boolean(), nullable=False),
        sa.Column("parent_run_id", sa.Text()),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("continue_on_step_failure", sa.Boolean(), nullable=False),
        sa.Column("regenerate_outputs", sa.Boolean(), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("properties", sa.Text(), nullable=False),
        sa.Column("cancel_requested_at", sa.BigInteger()),
        sa.Column("error", sa.Text()),
        sa.Column("submission_key", sa.Text()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger()),
        sa.Column("ended_at", sa.BigInteger()),
        sa.ForeignKeyConstraint(["graph_id"], ["graphs.id"], name="fk_runs_graph_id"),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], name="fk_runs_workspace_id"),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
    )
    op.create_index("ix_runs_pipeline_id_created_at", "runs", ["pipeline_id", "created_at"])
    op.create_index("ix_runs_schedule_id_created_at", "runs", ["schedule_id", "created_at"])
    op.create_index(
        "ix_runs_unfinished",
        "runs",
        ["schedule_id", "created_at"],
        sqlite_where=sa.text("state IN ('NotStarted', 'Running')"),
        postgresql_where=sa.text("state IN ('NotStarted', 'Running')"),
    )
    op.create_index(
        "ix_runs_workspace_id_created_at_id", "runs", ["workspace_id", "created_at", "id"]
    )
    op.create_index(
        "ix_runs_workspace_id_experiment_created_at",
        "runs",
        ["workspace_id", "experiment", "created_at"],
    )
    op.create_index(
        "uq_runs_submission_key",
        "runs",
        ["workspace_id", "submission_key"],
        unique=True,
        sqlite_where=sa.text("submission_key IS NOT NULL"),
        postgresql_where=sa.text("submission_key IS NOT NULL"),
    )
    op.create_table(
        "step_runs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("step_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("attempts_lost", sa.Integer(), nullable=False),
        sa.Column("compute", sa.Text(), nullable=False),
        sa.Column("available_at", sa.BigInteger()),
        sa.Column("queued_at", sa.BigInteger()),
        sa.Column("started_at", sa.BigInteger()),
        sa.Column("ended_at", sa.BigInteger()),
        sa.Column("exit_code", sa.Integer()),
        sa.Column("error", sa.Text()),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("properties", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_step_runs_run_id"),
        sa.PrimaryKeyConstraint("id", name="pk_step_runs"),
        sa.UniqueConstraint("run_id", "step_id", name="uq_step_runs_run_id_step_id"),
    )
    op.create_index(
        "ix_step_runs_line",
        "step_runs",
        ["compute", "state", "queued_at", "id"],
        sqlite_where=sa.text("state IN ('Queued', 'Running')"),
        postgresql_where=sa.text("state IN ('Queued', 'Running')"),
    )
    op.create_table(
        "metrics",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("step", sa.BigInteger()),
        sa.Column("logged_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "name", "sequence", name="pk_metrics"),
    )
    op.create_table(
        "timers",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "subject_id", name="pk_timers"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_timers_kind_due_at_subject_id", "timers", ["kind", "due_at", "subject_id"])
    op.create_table(
        "activity",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject_kind", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_activity"),
    )
    op.create_index("ix_activity_subject_id_at", "activity", ["subject_id", "at"])
    op.create_index("ix_activity_workspace_id_at_id", "activity", ["workspace_id", "at", "id"])
