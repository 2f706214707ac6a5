"""The files of a step run: what it wrote below outputs/ and logs/, and its logs."""

from __future__ import annotations

import builtins
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Any

from penstock.errors import Invalid
from penstock.sdk.client import Client, file_route
from penstock.wire import FileDocument

STANDARD_LOG = "user_logs/std_log.txt"
_FOLDERS = ("outputs", "logs", "user_logs", "system_logs")
_LOG_FOLDERS = ("logs", "user_logs", "system_logs")
# What the old service called the log of a step's script, before it had user_logs/.
_OLD_LOGS = "azureml-logs"


def stored_name(name: str) -> str:
    """Return where a file called `name` lies: below outputs/, unless it names another folder."""
    path = PurePosixPath(name.replace(os.sep, "/"))
    if not path.parts or path.is_absolute() or ".." in path.parts:
        raise Invalid(field="name", value=name, expected="a relative path inside the run's files")
    if path.parts[0] == _OLD_LOGS:
        return STANDARD_LOG
    return (path if path.parts[0] in _FOLDERS else PurePosixPath("outputs") / path).as_posix()


class RunFiles:
    """The files at one place of the API. Paths are as `list` shows them, or below outputs/."""

    def __init__(self, client: Client, path: str) -> None:
        """Work on the files at the API path `path`."""
        self._client = client
        self._path = path

    def url_of(self, name: str) -> str:
        """Return the URL of a file."""
        return self._client.url_of(self._route(name))

    def list(self) -> builtins.list[str]:
        """Return the paths of all files."""
        documents = self._client.read_list(FileDocument, self._path)
        return [document.path for document in documents]

    def logs(self) -> builtins.list[str]:
        """Return the paths of the logs."""
        return [path for path in self.list() if path.partition("/")[0] in _LOG_FOLDERS]

    def text(self, name: str) -> str:
        """Return the content of a text file."""
        return self._client.request("GET", self._route(name)).text

    def upload(self, name: str, path_or_stream: str | os.PathLike[str] | IO[Any]) -> str:
        """Store a file, or what a stream still holds, and return its path."""
        target = stored_name(name)
        if isinstance(path_or_stream, (str, os.PathLike)):
            source = Path(path_or_stream)
            if not source.is_file():
                raise Invalid(field="path", value=str(source), expected="a file that exists")
            self._client.upload(self._route(target), source)
            return target
        content = path_or_stream.read()
        return self.put(name, content.encode() if isinstance(content, str) else bytes(content))

    def put(self, name: str, content: bytes) -> str:
        """Store bytes as a file, and return its path."""
        target = stored_name(name)
        self._client.request("PUT", self._route(target), content=content)
        return target

    def upload_folder(self, name: str, path: str | os.PathLike[str]) -> builtins.list[str]:
        """Store every file below a local folder under the path `name`."""
        root = Path(path)
        if not root.is_dir():
            raise Invalid(field="path", value=str(root), expected="a directory that exists")
        files = sorted(file for file in root.rglob("*") if file.is_file())
        return [self.upload(f"{name}/{file.relative_to(root).as_posix()}", file) for file in files]

    def download(self, name: str, destination: str | os.PathLike[str] | None = None) -> Path:
        """Write a file to `destination`, a path or an existing folder; here when None."""
        file_name = PurePosixPath(name).name
        target = Path(file_name if destination is None else destination)
        if target.is_dir() or (
            destination is not None and str(destination).endswith(("/", os.sep))
        ):
            target = target / file_name
        self._client.download(self._route(name), target)
        return target

    def download_all(
        self,
        prefix: str | None,
        directory: str | os.PathLike[str] | None,
        paths: Sequence[str] | None = None,
        *,
        append_prefix: bool = True,
    ) -> builtins.list[Path]:
        """Write every file whose path begins with `prefix` below a folder; here when None.

        Args:
            prefix: None: all files.
            directory: the folder.
            paths: where each file goes, instead of its own path below the folder.
            append_prefix: keep the prefix in the path below the folder.
        """
        names = [name for name in self.list() if name.startswith(prefix or "")]
        if paths is not None and len(paths) != len(names):
            raise Invalid(
                field="output_paths", value=list(paths), expected=f"{len(names)} paths, one a file"
            )
        root = Path(directory or ".")
        cut = 0 if append_prefix else len(prefix or "")
        targets = paths or [name[cut:].lstrip("/") for name in names]
        written = [root / target for target in targets]
        for name, target in zip(names, written, strict=True):
            self._client.download(self._route(name), target)
        return written

    def _route(self, name: str) -> str:
        return self._path + file_route(path=stored_name(name))


class NoFiles(RunFiles):
    """The files of a run that keeps none: a pipeline run, whose steps have them."""

    def list(self) -> builtins.list[str]:
        """Return []."""
        return []

    def _route(self, name: str) -> str:
        raise Invalid(
            "A pipeline run keeps no files; its step runs do (see get_steps).",
            field="name",
            value=name,
        )


def logs_folder(destination: str | os.PathLike[str] | None) -> Path:
    """Return the folder that logs are written to; a new one when None."""
    return Path(destination) if destination else Path(tempfile.mkdtemp(prefix="penstock-logs-"))
