"""`penstock experiment`: list, show."""

from __future__ import annotations

from typing import Annotated

import typer

from penstock.cli.printing import Column
from penstock.cli.session import Session
from penstock.cli.verbs import noun, server_verb
from penstock.wire import ExperimentDocument

app = noun("experiment", "Experiments: the names under which runs are grouped.")


def _tags(experiment: ExperimentDocument) -> str:
    return ", ".join(f"{key}={value}" for key, value in experiment.tags.items())


@server_verb(app, "list")
def list_experiments(
    here: Session,
    every: Annotated[bool, typer.Option("--all", help="Archived ones too.")] = False,
) -> None:
    """List the experiments of the workspace."""
    path = here.path("experiments")
    found = here.client.pages(ExperimentDocument, path, include_archived=every)
    columns = [
        Column("NAME", lambda e: e.name),
        Column("CREATED", lambda e: here.printer.when(e.created_at)),
        Column("TAGS", _tags),
        Column("ARCHIVED", lambda e: here.printer.when(e.archived_at)),
    ]
    here.printer.many(found, columns, empty="No experiments. One is created by its first run.")


@server_verb(app, "show")
def show_experiment(
    here: Session, name: Annotated[str, typer.Argument(help="The experiment.")]
) -> None:
    """Show one experiment."""
    here.printer.one(
        here.client.read(ExperimentDocument, here.path("experiments", name)),
        [
            Column("Name", lambda e: e.name),
            Column("Id", lambda e: e.id),
            Column("Tags", _tags),
            Column("Created", lambda e: here.printer.when(e.created_at)),
            Column("Archived", lambda e: here.printer.when(e.archived_at)),
        ],
    )
