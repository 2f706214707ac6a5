"""Asking for permission: the one place where the verbs turn a refusal into an error."""

from __future__ import annotations

from penstock.core import access
from penstock.core.access import Actor
from penstock.errors import NotAllowed


def require(
    actor: Actor, action: str, *, workspace_id: str | None = None, run_id: str | None = None
) -> None:
    """Return if `actor` may do `action`; else raise NotAllowed with the rule that decided."""
    decision = access.may(actor, action, workspace_id=workspace_id, run_id=run_id)
    if not decision.is_allowed:
        message = f"{actor.name} may not do {action}: {decision.reason}."
        raise NotAllowed(message, action=action, rule=decision.reason)
