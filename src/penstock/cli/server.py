"""`penstock up` and `penstock db upgrade`: the commands that are the server, not its client."""

from __future__ import annotations

import logging
from enum import StrEnum
from pathlib import Path
from time import gmtime
from typing import Annotated

import typer

from penstock.cli.session import Session
from penstock.cli.verbs import noun, verb
from penstock.settings import TOKEN_FILE, Settings

__all__ = ["app", "up"]

app = noun("db", "The server's database.")


class LogLevel(StrEnum):
    """From how important on a line is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


Home = Annotated[
    Path | None,
    typer.Option(
        help="Where the server keeps its data. Default: PENSTOCK_HOME.", show_default=False
    ),
]
ConfigDir = Annotated[
    Path | None,
    typer.Option(
        help="Where token and address are kept. Default: PENSTOCK_CONFIG_DIR.", show_default=False
    ),
]
DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        help="sqlite:///… or postgresql://…  Default: a file in the home.", show_default=False
    ),
]


def up(
    here: Session,
    host: Annotated[
        str | None,
        typer.Option(help="The address it listens at. Default: 127.0.0.1.", show_default=False),
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="0 is any free one. Default: 8710.", show_default=False)
    ] = None,
    home: Home = None,
    config_dir: ConfigDir = None,
    database_url: DatabaseUrl = None,
    steps_running_max: Annotated[
        int | None,
        typer.Option(
            help="Steps that run at the same time. Default: number of CPUs.", show_default=False
        ),
    ] = None,
    log_level: Annotated[
        LogLevel, typer.Option(help="What goes to standard error.")
    ] = LogLevel.INFO,
) -> None:
    """Start the server.

    It serves the API, fires schedules, and runs steps on this machine, until Ctrl-C.
    """
    from penstock.serve import run_until_signal  # costs a second; no other command needs it

    settings = Settings.load(
        here.outside.environ,
        host=host,
        port=port,
        home=home,
        config_dir=config_dir,
        database_url=database_url,
        steps_running_max=steps_running_max,
    )

    _log_to_stderr(log_level)
    run_until_signal(settings, on_ready=lambda url: _banner(here, settings, url))
    here.printer.say("Stopped.")


@verb(app, "upgrade")
def upgrade(
    here: Session,
    home: Home = None,
    config_dir: ConfigDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Bring the database's schema up to this version; `penstock up` does it by itself."""
    from penstock.store.database import Store  # as above

    settings = Settings.load(
        here.outside.environ, home=home, config_dir=config_dir, database_url=database_url
    )
    store = Store(settings.database_url)
    try:
        store.upgrade()
    finally:
        store.dispose()
    here.printer.say("The database is up to date.")
    here.printer.data({"is_current": True})


def _log_to_stderr(level: LogLevel) -> None:
    formatter = logging.Formatter("%(asctime)sZ %(levelname)-7s %(name)s %(message)s")
    formatter.converter = gmtime
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(level=level.upper(), handlers=[handler])
    for library in ("alembic", "httpx", "httpcore"):
        logging.getLogger(library).setLevel(logging.WARNING)


def _banner(here: Session, settings: Settings, url: str) -> None:
    token_file = settings.config_dir / TOKEN_FILE
    here.printer.say(f"Penstock is up at {url}")
    here.printer.say(f"  the API's page  {url}/docs")
    here.printer.say(f"  data            {settings.home}")
    here.printer.say(f"  token           {token_file}")
    here.printer.say("Ctrl-C stops it; runs go on where they were when it starts again.")
    here.printer.data({"url": url, "home": str(settings.home), "token_file": str(token_file)})
    here.printer.console.file.flush()
