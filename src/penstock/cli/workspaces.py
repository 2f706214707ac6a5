"""`penstock workspace`: list, show, create, config."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from penstock.cli.printing import Column
from penstock.cli.session import Session
from penstock.cli.verbs import noun, server_verb
from penstock.errors import Conflict
from penstock.sdk.client import route
from penstock.wire import WorkspaceDocument, WorkspaceDraft

app = noun("workspace", "Workspaces: the boundary of names and data.")

WorkspaceArgument = Annotated[
    str | None, typer.Argument(metavar="[NAME]", help="Default: the workspace that is meant here.")
]


@server_verb(app, "list")
def list_workspaces(here: Session) -> None:
    """List the workspaces of the server."""
    found = here.client.read_list(WorkspaceDocument, route("workspaces"))
    columns = [
        Column("NAME", lambda w: w.name),
        Column("RESOURCE GROUP", lambda w: w.resource_group),
        Column("SUBSCRIPTION", lambda w: w.subscription_id),
        Column("CREATED", lambda w: here.printer.when(w.created_at)),
    ]
    here.printer.many(found, columns, empty="No workspaces.")


@server_verb(app, "show")
def show_workspace(here: Session, name: WorkspaceArgument = None) -> None:
    """Show one workspace."""
    _show(here, here.client.read(WorkspaceDocument, route("workspaces", name or here.workspace)))


@server_verb(app, "create")
def create_workspace(
    here: Session,
    name: Annotated[str, typer.Argument(help="Its name, unique on the server.")],
    subscription_id: Annotated[
        str | None, typer.Option(help="Kept for scripts that print it.", show_default=False)
    ] = None,
    resource_group: Annotated[
        str | None, typer.Option(help="Kept for scripts that print it.", show_default=False)
    ] = None,
) -> None:
    """Create a workspace, with its default datastore."""
    draft = WorkspaceDraft(
        name=name, subscription_id=subscription_id, resource_group=resource_group
    )
    _show(here, here.client.send(WorkspaceDocument, "POST", route("workspaces"), draft))


@server_verb(app, "config")
def write_config(
    here: Session,
    name: WorkspaceArgument = None,
    directory: Annotated[
        Path, typer.Option(help="Where .azureml/config.json is written.", file_okay=False)
    ] = Path("."),
    overwrite: Annotated[bool, typer.Option(help="Replace a file that says otherwise.")] = False,
) -> None:
    """Write .azureml/config.json, by which scripts and commands below find the workspace."""
    workspace = here.client.read(WorkspaceDocument, route("workspaces", name or here.workspace))
    config = {
        "subscription_id": workspace.subscription_id,
        "resource_group": workspace.resource_group,
        "workspace_name": workspace.name,
    }
    text = json.dumps(config, indent=4) + "\n"
    file = here.outside.directory / directory / ".azureml" / "config.json"
    if file.is_file() and file.read_text("utf-8") != text and not overwrite:
        raise Conflict(f"{file} is there and says otherwise. Use --overwrite to replace it.")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8")
    here.printer.say(f"Wrote {file}.")
    here.printer.data(config)


def _show(here: Session, workspace: WorkspaceDocument) -> None:
    here.printer.one(
        workspace,
        [
            Column("Name", lambda w: w.name),
            Column("Id", lambda w: w.id),
            Column("Resource group", lambda w: w.resource_group),
            Column("Subscription", lambda w: w.subscription_id),
            Column("Default datastore", lambda w: w.default_datastore),
            Column("Created", lambda w: here.printer.when(w.created_at)),
        ],
    )
