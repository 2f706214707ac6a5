"""`penstock status`: the server and the workspace on one screen."""

from __future__ import annotations

from itertools import islice

from penstock.cli.printing import Column, ago
from penstock.cli.session import Session
from penstock.core.states import RunState
from penstock.wire import RunDocument, ScheduleDocument, ServerDocument

__all__ = ["show_status"]

COUNTED_MAX = 1000
NEXT_FIRES_SHOWN = 5


def show_status(here: Session) -> None:
    """Show how the server does.

    And what the workspace has under way, and what fires next.
    """
    server = here.client.read(ServerDocument, "/server")
    schedules = list(
        islice(
            here.client.pages(ScheduleDocument, here.path("schedules"), active_only=True),
            COUNTED_MAX,
        )
    )
    active_states = [RunState.NOT_STARTED.value, RunState.RUNNING.value]
    runs = list(
        islice(here.client.pages(RunDocument, here.path("runs"), state=active_states), COUNTED_MAX)
    )
    upcoming = [s for s in schedules if s.next_fire_time is not None]
    upcoming.sort(key=lambda s: (s.next_fire_time, s.id))
    upcoming = upcoming[:NEXT_FIRES_SHOWN]
    here.printer.data(
        {
            "server": server.model_dump(mode="json"),
            "workspace": here.workspace,
            "schedules_active": len(schedules),
            "runs_active": len(runs),
            "next_fires": [
                s.model_dump(mode="json", include={"id", "name", "next_fire_time"})
                for s in upcoming
            ],
        }
    )
    if here.printer.is_table:
        _show_server(here, server)
        _show_workspace(here, len(schedules), len(runs), upcoming)


def _show_server(here: Session, server: ServerDocument) -> None:
    here.printer.one(
        server,
        [
            Column("Server", lambda s: s.url),
            Column("Version", lambda s: s.version),
            Column("Database", lambda s: s.database),
            Column("Time zones", lambda s: s.tzdata_version),
            Column("Started", lambda s: here.printer.when(s.started_at)),
            Column("Last tick", lambda s: _last_tick(here, s)),
            Column("Timers due", lambda s: str(s.timers_due)),
        ],
    )
    here.printer.say()
    columns = [
        Column("COMPUTE", lambda c: c.name),
        Column("KIND", lambda c: c.kind),
        Column("RUNNING", lambda c: f"{c.steps_running} of {c.steps_running_max}", is_right=True),
        Column("QUEUED", lambda c: str(c.steps_queued), is_right=True),
    ]
    here.printer.many(server.compute_targets, columns, empty="No compute targets.")


def _last_tick(here: Session, server: ServerDocument) -> str:
    if server.last_tick_at is None:
        return "never: nothing fires until the daemon runs"
    return ago(server.last_tick_at, here.printer.now)


def _show_workspace(
    here: Session, schedules: int, runs: int, upcoming: list[ScheduleDocument]
) -> None:
    here.printer.say()
    here.printer.say(
        f"Workspace {here.workspace!r}: {_counted(schedules, 'active schedule')}, "
        f"{_counted(runs, 'active run')}."
    )
    if upcoming:
        here.printer.say()
        columns = [
            Column("NEXT FIRE", lambda s: here.printer.when(s.next_fire_time)),
            Column("SCHEDULE", lambda s: s.name),
            Column("ID", lambda s: s.id),
        ]
        here.printer.many(upcoming, columns, empty="")


def _counted(count: int, what: str) -> str:
    more = "+" if count == COUNTED_MAX else ""
    return f"{count}{more} {what}{'' if count == 1 else 's'}"
