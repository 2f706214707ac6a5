"""The whole command line, put together."""

from __future__ import annotations

from importlib.metadata import version

import typer

from penstock.cli import (
    datastores,
    demo,
    experiments,
    pipelines,
    runs,
    schedules,
    server,
    status,
    workspaces,
)
from penstock.cli.session import Session
from penstock.cli.verbs import server_verb, verb

__all__ = ["app"]

app = typer.Typer(
    name="penstock",
    help="Penstock schedules and triggers machine-learning pipelines.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

verb(app, "up")(server.up)
verb(app, "demo")(demo.demo)
server_verb(app, "status")(status.show_status)
for group in (workspaces, pipelines, schedules, runs, experiments, datastores, server):
    app.add_typer(group.app)


@verb(app, "version")
def show_version(here: Session) -> None:
    """Print the version of this program."""
    number = version("penstock")
    here.printer.say(f"penstock {number}")
    here.printer.data({"version": number})
