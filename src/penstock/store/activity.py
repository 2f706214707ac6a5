"""Activity: the line that is kept about each change."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from penstock.core.model import Activity, JsonValue
from penstock.store import pages
from penstock.store.database import Transaction, dumps, loads, micros, new_id
from penstock.store.database import at as instant_at
from penstock.store.pages import Page
from penstock.store.tables import activity

_INSERT = sa.insert(activity)


def record(
    tx: Transaction,
    *,
    workspace_id: str,
    at: datetime,
    actor: str,
    action: str,
    subject_kind: str,
    subject_id: str,
    detail: Mapping[str, JsonValue] | None = None,
) -> None:
    """Keep a line about a change, in the transaction that makes it.

    Args:
        tx: the transaction.
        workspace_id: where.
        at: when.
        actor: who.
        action: `noun.verb`, e.g. `schedule.create`.
        subject_kind: a word of the glossary.
        subject_id: the id of what was changed.
        detail: facts about the change; no secrets.
    """
    values = {
        "id": new_id(),
        "workspace_id": workspace_id,
        "at": micros(at),
        "actor": actor,
        "action": action,
        "subject_kind": subject_kind,
        "subject_id": subject_id,
        "detail": dumps(detail or {}),
    }
    tx.connection.execute(_INSERT, values)


def list(
    tx: Transaction,
    workspace_id: str,
    *,
    subject_id: str | None = None,
    after: str | None = None,
    limit: int = 100,
) -> Page[Activity]:
    """Return a page of what was done in a workspace, or to one subject, newest first."""
    query = sa.select(activity).where(activity.c.workspace_id == workspace_id)
    if subject_id is not None:
        query = query.where(activity.c.subject_id == subject_id)
    newest = (activity.c.at, activity.c.id)
    return pages.fetch(tx, query, newest, make=_activity, after=after, limit=limit)


def _activity(row: sa.Row[Any]) -> Activity:
    return Activity(
        id=row.id,
        workspace_id=row.workspace_id,
        at=instant_at(row.at),
        actor=row.actor,
        action=row.action,
        subject_kind=row.subject_kind,
        subject_id=row.subject_id,
        detail=loads(row.detail),
    )
