"""`penstock datastore`: list, show, ls, get, put."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from penstock.cli.printing import Column, sized
from penstock.cli.session import Session
from penstock.cli.verbs import noun, server_verb
from penstock.errors import Conflict
from penstock.sdk.client import file_route
from penstock.wire import DatastoreDocument, EntryDocument

app = noun("datastore", "Datastores: the places where data lives.")

DatastoreArgument = Annotated[
    str, typer.Argument(metavar="DATASTORE", help="The name of a datastore.")
]
PathArgument = Annotated[str, typer.Argument(metavar="PATH", help="A file's path on it.")]
Overwrite = Annotated[bool, typer.Option(help="Replace what is there.")]


@server_verb(app, "list")
def list_datastores(here: Session) -> None:
    """List the datastores of the workspace."""
    found = here.client.read_list(DatastoreDocument, here.path("datastores"))
    columns = [
        Column("NAME", lambda d: d.name),
        Column("KIND", lambda d: d.kind),
        Column("DEFAULT", lambda d: "yes" if d.is_default else ""),
        Column("CREATED", lambda d: here.printer.when(d.created_at)),
    ]
    here.printer.many(found, columns, empty="No datastores.")


@server_verb(app, "show")
def show_datastore(here: Session, datastore: DatastoreArgument) -> None:
    """Show one datastore."""
    here.printer.one(
        here.client.read(DatastoreDocument, here.path("datastores", datastore)),
        [
            Column("Name", lambda d: d.name),
            Column("Kind", lambda d: d.kind),
            Column("Default", lambda d: "yes" if d.is_default else "no"),
            Column("Created", lambda d: here.printer.when(d.created_at)),
        ],
    )


@server_verb(app, "ls")
def list_files(
    here: Session,
    datastore: DatastoreArgument,
    prefix: Annotated[str, typer.Argument(metavar="[FOLDER]", help="Below this folder.")] = "",
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Sub-folders too.")] = False,
) -> None:
    """List the files on a datastore."""
    path = here.path("datastores", datastore, "files")
    found = here.client.pages(EntryDocument, path, prefix=prefix or None, recursive=recursive)
    columns = [
        Column("PATH", lambda e: e.path),
        Column("SIZE", lambda e: sized(e.size), is_right=True),
        Column("MODIFIED", lambda e: here.printer.when(e.modified_at)),
    ]
    here.printer.many(found, columns, empty="No files here. --recursive looks in sub-folders too.")


@server_verb(app, "get")
def get_file(
    here: Session,
    datastore: DatastoreArgument,
    path: PathArgument,
    destination: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="A local file or folder. Default: here."),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Copy a file from a datastore to this machine."""
    name = path.rstrip("/").rpartition("/")[2]
    local = here.outside.directory / (destination or "")
    local = local / name if local.is_dir() else local
    if local.exists() and not overwrite:
        raise Conflict(f"{local} is there already. Use --overwrite to replace it.")
    size = here.client.download(_file_path(here, datastore, path), local)
    here.printer.say(f"Wrote {local} ({sized(size)}).")
    here.printer.data({"path": path, "file": str(local), "size": size})


@server_verb(app, "put")
def put_file(
    here: Session,
    datastore: DatastoreArgument,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="A local file.")
    ],
    path: PathArgument,
    overwrite: Overwrite = False,
) -> None:
    """Copy a file from this machine to a datastore."""
    local = here.outside.directory / file
    here.client.upload(_file_path(here, datastore, path), local, overwrite=overwrite)
    here.printer.say(f"Put {local} at {datastore}/{path}.")
    here.printer.data({"path": path, "file": str(local), "size": local.stat().st_size})


def _file_path(here: Session, datastore: str, path: str) -> str:
    return file_route("workspaces", here.workspace, "datastores", datastore, "files", path=path)
