"""Who may do what. Until identities arrive there are two actors: the administrator and a step at
work.

`may` is asked once, in the service verbs, and its answer carries the rule that decided.
"""

from __future__ import annotations

from dataclasses import dataclass

# What a running step may do, on its own run only.
STEP_ACTIONS = frozenset(
    {
        "workspace.read",
        "experiment.read",
        "datastore.read",
        "datastore.write",
        "run.read",
        "run.write",
        "run.submit",
        "pipeline.read",
    }
)
_OWN_RUN_ACTIONS = frozenset({"run.write"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Whoever asks."""

    name: str  # for records: "admin", "step 3f…"
    run_id: str | None = None  # set for a step at work: the pipeline run it belongs to
    step_run_id: str | None = None
    workspace_id: str | None = None  # set for a step at work: the only workspace it may touch


ADMIN = Actor(name="admin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The answer, with the rule that decided."""

    is_allowed: bool
    reason: str


def may(
    actor: Actor, action: str, *, workspace_id: str | None = None, run_id: str | None = None
) -> Decision:
    """Decide whether `actor` may do `action`.

    A step at work may read its workspace, use its datastores and submit runs there, and write
    (metrics, tags, files) to the run it belongs to; nothing else. Everybody else who got this far
    is the administrator.

    Args:
        actor: who asks.
        action: `noun.verb`, e.g. `schedule.create`.
        workspace_id: where.
        run_id: the pipeline run that would be written to, for run.write.
    """
    if actor.step_run_id is None:
        return Decision(is_allowed=True, reason="the administrator may do everything")
    if action not in STEP_ACTIONS:
        return Decision(is_allowed=False, reason=f"a step's token does not allow {action}")
    if workspace_id is not None and workspace_id != actor.workspace_id:
        return Decision(is_allowed=False, reason="a step's token is good in its own workspace only")
    if action in _OWN_RUN_ACTIONS and run_id != actor.run_id:
        return Decision(is_allowed=False, reason="a step's token may write to its own run only")
    return Decision(is_allowed=True, reason="a step may use its workspace and write to its own run")
