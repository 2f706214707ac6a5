"""What a run can do with its files: list, upload and download them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from penstock.sdk.exceptions import UserErrorException
from penstock.sdk.run_files import RunFiles, logs_folder


class FilingRun(ABC):
    """The methods for files. A run says with `_files` where its files are."""

    @property
    @abstractmethod
    def _files(self) -> RunFiles:
        """The run's files."""

    def _log_names(self) -> list[str]:
        return self._files.logs()

    def _keep_file(self, name: str, content: bytes) -> str:
        return self._files.put(name, content)

    def get_file_names(self) -> list[str]:
        """Return the paths of the run's files."""
        return self._files.list()

    def upload_file(self, name: str, path_or_stream: Any, datastore_name: str | None = None) -> str:
        """Store a file with the run, below outputs/ unless `name` says logs/; return its path."""
        return self._files.upload(name, path_or_stream)

    def upload_files(
        self,
        names: list[str],
        paths: list[str],
        return_artifacts: bool = False,
        timeout_seconds: float | None = None,
        datastore_name: str | None = None,
    ) -> list[str]:
        """Store files with the run, each under the name at the same place of the other list."""
        if len(names) != len(paths):
            raise UserErrorException(field="paths", value=paths, expected=f"{len(names)} paths")
        return [self._files.upload(n, path) for n, path in zip(names, paths, strict=True)]

    def upload_folder(self, name: str, path: str, datastore_name: str | None = None) -> list[str]:
        """Store every file below a local folder with the run."""
        return self._files.upload_folder(name, path)

    def download_file(self, name: str, output_file_path: str | None = None) -> str:
        """Write one of the run's files to a path or into a folder; here when None."""
        return str(self._files.download(name, output_file_path))

    def download_files(
        self,
        prefix: str | None = None,
        output_directory: str | None = None,
        output_paths: list[str] | None = None,
        batch_size: int = 100,
        append_prefix: bool = True,
        timeout_seconds: float | None = None,
    ) -> None:
        """Write the run's files whose paths begin with `prefix` below a folder; here when None."""
        self._files.download_all(
            prefix, output_directory, output_paths, append_prefix=append_prefix
        )

    def get_all_logs(self, destination: str | None = None) -> list[str]:
        """Write the logs below a folder (a new one when None), and return their paths."""
        folder = logs_folder(destination)
        names = self._log_names()
        return [str(self._files.download(name, folder / Path(name))) for name in names]
