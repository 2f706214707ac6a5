"""`penstock demo`: a server of its own, the quickstart run against it, everything in one folder."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from penstock.cli.session import Session
from penstock.errors import PenstockError
from penstock.settings import SERVER_FILE, Connection, find_connection

__all__ = ["QUICKSTART", "demo"]

QUICKSTART = Path(__file__).parent / "examples" / "diabetes" / "quickstart.py"

START_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 30.0
_LOOK_SECONDS = 0.1


def demo(
    here: Session,
    directory: Annotated[
        Path, typer.Option(help="Everything is kept in it; it may be removed afterwards.")
    ] = Path(".demo"),
    port: Annotated[int, typer.Option(help="The server's port; 0 is any free one.")] = 0,
    stay: Annotated[
        bool | None,
        typer.Option(
            help="Keep serving until Ctrl-C. Default: on a terminal only.", show_default=False
        ),
    ] = None,
) -> None:
    """Show a scheduled pipeline at work.

    Starts a server made for this, runs the quickstart against it, and keeps everything in one
    folder. Nothing of the user's own server or configuration is touched.
    """
    if find_spec("sklearn") is None:
        raise PenstockError(
            "The demo trains a model with scikit-learn: pip install 'penstock[demo]'"
        )
    folder = (here.outside.directory / directory).absolute()
    stays = here.printer.console.is_terminal if stay is None else stay
    with _terminated_like_interrupted(), _own_server(here, folder, port) as (server, connection):
        _run_quickstart(here, folder, connection)
        if stays:
            _stay(here, folder, server, connection)
    here.printer.say("The demo's server has stopped. To look at its runs again:")
    home, config = _settings_of(folder).values()
    _say_path(here)
    here.printer.say(f"  penstock up --home {shlex.quote(home)} --config-dir {shlex.quote(config)}")


def _say_path(here: Session) -> None:
    """Say where the `penstock` program lies, to a user whose shell would not find it."""
    if shutil.which("penstock", path=here.outside.environ.get("PATH")) is None:
        programs = shlex.quote(str(Path(sys.executable).parent))
        here.printer.say(f'  export PATH={programs}:"$PATH"')


def _settings_of(folder: Path) -> dict[str, str]:
    return {
        "PENSTOCK_HOME": str(folder / "home"),
        "PENSTOCK_CONFIG_DIR": str(folder / "config"),
    }


def _environ(here: Session, folder: Path, **more: str) -> dict[str, str]:
    """Return the environment without what points at the user's own server."""
    kept = {k: v for k, v in here.outside.environ.items() if not k.startswith("PENSTOCK_")}
    return kept | _settings_of(folder) | more


@contextmanager
def _own_server(
    here: Session, folder: Path, port: int
) -> Iterator[tuple[subprocess.Popen[Any], Connection]]:
    """Start a server, wait until it answers, and stop it in the end, whatever happens."""
    folder.mkdir(parents=True, exist_ok=True)
    written = folder / "config" / SERVER_FILE
    written.unlink(missing_ok=True)  # of a demo that was killed
    log = folder / "server.log"
    here.printer.say(f"Starting a server in {folder} …")
    with log.open("wb") as file:
        server = subprocess.Popen(
            [sys.executable, "-m", "penstock", "up", "--port", str(port)],
            env=_environ(here, folder),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for us; we stop the server when we are done
        )
    try:
        _await_ready(server, written, log)
        yield server, find_connection(_environ(here, folder))
    finally:
        _stop(server)


def _await_ready(server: subprocess.Popen[Any], written: Path, log: Path) -> None:
    for _ in range(int(START_SECONDS_MAX / _LOOK_SECONDS)):
        if written.is_file():
            return
        if _has_ended(server, _LOOK_SECONDS):
            end = log.read_text("utf-8", "replace").strip().splitlines()[-5:]
            raise PenstockError("\n".join([f"The demo's server did not start; see {log}:", *end]))
    raise PenstockError(f"The demo's server was not ready in {START_SECONDS_MAX:g} s; see {log}.")


def _has_ended(process: subprocess.Popen[Any], seconds: float) -> bool:
    """Wait for a process for so long; return whether it has ended."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _stop(server: subprocess.Popen[Any]) -> None:
    server.send_signal(signal.SIGINT)
    if not _has_ended(server, STOP_SECONDS_MAX):
        server.kill()
        server.wait()


def _run_quickstart(here: Session, folder: Path, connection: Connection) -> None:
    """Run the script as a user would: another process that knows an address and a token."""
    environ = _environ(here, folder, PENSTOCK_URL=connection.url)
    environ["PENSTOCK_TOKEN"] = connection.token or ""
    here.printer.say(f"Running {os.path.relpath(QUICKSTART, here.outside.directory)}")
    here.printer.say()
    here.printer.console.file.flush()  # before the script's own lines
    script = subprocess.Popen(
        [sys.executable, str(QUICKSTART)], env=environ, cwd=folder, start_new_session=True
    )
    try:
        code = script.wait()
    except KeyboardInterrupt:
        script.send_signal(signal.SIGINT)
        _has_ended(script, STOP_SECONDS_MAX)  # it disables its schedule
        raise
    finally:
        script.kill()
        script.wait()
    if code != 0:
        log = folder / "server.log"
        raise PenstockError(
            f"The quickstart ended with exit code {code}; the server's log is {log}."
        )


def _stay(
    here: Session, folder: Path, server: subprocess.Popen[Any], connection: Connection
) -> None:
    say = here.printer.say
    say()
    say(f"The server is still up at {connection.url}; Ctrl-C stops it. In another terminal:")
    config = _settings_of(folder)["PENSTOCK_CONFIG_DIR"]
    _say_path(here)
    say(f"  export PENSTOCK_CONFIG_DIR={shlex.quote(config)}")
    say("  penstock status")
    try:
        code = server.wait()
    except KeyboardInterrupt:
        say()
        return
    raise PenstockError(
        f"The server ended by itself with exit code {code}; see {folder}/server.log."
    )


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """Let SIGTERM end the demo as Ctrl-C does, so that its server never outlives it."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
