"""What a command works with: the server it talks to, the workspace it means, and the printer."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from penstock.cli.printing import Format, Printer
from penstock.clock import Clock, SystemClock
from penstock.errors import Invalid
from penstock.sdk.client import Client, Patience, connect, route

__all__ = ["WORKSPACE_DEFAULT", "Outside", "Session", "workspace_name"]

WORKSPACE_DEFAULT = "default"


def _pause(seconds: float) -> None:
    Patience(seconds, shortest=seconds, longest=seconds).wait()


@dataclass(frozen=True, kw_only=True)
class Outside:
    """What a command finds around it. Tests hand in their own, as the context's object."""

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    directory: Path = field(default_factory=Path.cwd)
    clock: Clock = field(default_factory=SystemClock)
    connect: Callable[..., Client] = connect  # of the SDK: (environ, url=None)
    pause: Callable[[float], None] = _pause  # between two looks at something that changes


class Session:
    """One command's work: it connects when first asked to, and not before."""

    def __init__(
        self, outside: Outside, *, output: Format, workspace: str | None, url: str | None
    ) -> None:
        """Keep the shared options; `workspace` and `url` are None where they were not given."""
        self.outside = outside
        self.printer = Printer(output, outside.clock.now())
        self._workspace = workspace
        self._url = url

    @cached_property
    def client(self) -> Client:
        """The connection to the server that the options or the environment name."""
        return self.outside.connect(self.outside.environ, url=self._url)

    @cached_property
    def workspace(self) -> str:
        """The name of the workspace that the command is about."""
        return self._workspace or workspace_name(self.outside.environ, self.outside.directory)

    def path(self, *parts: str) -> str:
        """Return the API's path of something in the workspace."""
        return route("workspaces", self.workspace, *parts)


def workspace_name(environ: Mapping[str, str], directory: Path) -> str:
    """Return the workspace that is meant when none is named.

    PENSTOCK_WORKSPACE wins; else the `workspace_name` of the nearest `.azureml/config.json`, from
    `directory` upward; else "default".

    Raises:
        Invalid: the nearest config.json is not JSON, or names no workspace.
    """
    if environ.get("PENSTOCK_WORKSPACE"):
        return environ["PENSTOCK_WORKSPACE"]
    for folder in (directory, *directory.parents):
        file = folder / ".azureml" / "config.json"
        if file.is_file():
            return _configured_name(file)
    return WORKSPACE_DEFAULT


def _configured_name(file: Path) -> str:
    try:
        config = json.loads(file.read_text("utf-8"))
        name = config.get("workspace_name") if isinstance(config, dict) else None
    except ValueError as error:
        raise Invalid(f"{file} is not JSON: {error}.") from error
    if not isinstance(name, str) or not name:
        raise Invalid(f"{file} has no text `workspace_name`. Write it, or use --workspace.")
    return name
