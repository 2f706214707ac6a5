"""Datastores: uploading to them, downloading from them, and pointing at places on them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import penstock
from penstock.errors import Conflict, Invalid, NotFound
from penstock.sdk.client import file_route
from penstock.sdk.data import DataReference
from penstock.wire import DatastoreDocument, EntryDocument

# The words of the old SDK for our kinds. A local directory stands where a blob container stood.
_OLD_TYPES = {"local_directory": "AzureBlob"}


class Datastore:
    """A place where data lives, by name."""

    def __init__(self, workspace: penstock.Workspace, name: str | None = None) -> None:
        """Find a datastore.

        Args:
            workspace: where.
            name: its name; the workspace's default datastore when None.

        Raises:
            NotFound: there is no datastore of that name.
        """
        if name is None:
            document = _default(workspace)
        else:
            document = workspace.client.read(DatastoreDocument, workspace.route("datastores", name))
        self._set(workspace, document)

    def _set(self, workspace: penstock.Workspace, document: DatastoreDocument) -> None:
        self.workspace = workspace
        self.name = document.name
        self.kind = document.kind
        self.is_default = document.is_default

    @classmethod
    def _of(cls, workspace: penstock.Workspace, document: DatastoreDocument) -> Datastore:
        datastore = cls.__new__(cls)
        datastore._set(workspace, document)
        return datastore

    def __repr__(self) -> str:
        return f"Datastore(name={self.name!r}, kind={self.kind!r})"

    @staticmethod
    def get(workspace: penstock.Workspace, datastore_name: str) -> Datastore:
        """Return a datastore; raise NotFound if there is none of that name."""
        return Datastore(workspace, datastore_name)

    @staticmethod
    def get_default(workspace: penstock.Workspace) -> Datastore:
        """Return the workspace's default datastore."""
        return Datastore(workspace)

    @staticmethod
    def list(workspace: penstock.Workspace) -> list[Datastore]:
        """Return the workspace's datastores."""
        return [Datastore._of(workspace, document) for document in _documents(workspace)]

    @property
    def datastore_type(self) -> str:
        """The kind in the words of the old SDK; `kind` has ours."""
        return _OLD_TYPES.get(self.kind, "Custom")

    # ---- pointing at places ----------------------------------------------------------------------

    def path(
        self, path: str | None = None, data_reference_name: str | None = None
    ) -> DataReference:
        """Return a reference to a place on the datastore; None is its root."""
        return DataReference(self, data_reference_name, path)

    def as_download(self, path_on_compute: str | None = None) -> DataReference:
        """Return a reference to the whole datastore, copied to the step before it starts."""
        return self.path().as_download(path_on_compute)

    def as_upload(self, path_on_compute: str | None = None) -> DataReference:
        """Return a reference to the whole datastore, copied from the step when it has ended."""
        return self.path().as_upload(path_on_compute)

    def as_mount(self) -> DataReference:
        """Return a reference to the whole datastore, reached as the place itself."""
        return self.path().as_mount()

    # ---- moving files ----------------------------------------------------------------------------

    def upload(
        self,
        src_dir: str | os.PathLike[str],
        target_path: str | None = None,
        overwrite: bool = False,
        show_progress: bool = True,
    ) -> DataReference:
        """Upload every file below a local directory, and return a reference to where they are.

        Args:
            src_dir: the directory.
            target_path: where on the datastore; None is its root.
            overwrite: replace files that are there; otherwise they stay as they are.
            show_progress: print a line for each file.

        Raises:
            Invalid: there is no such directory.
        """
        source = Path(src_dir)
        if not source.is_dir():
            raise Invalid(field="src_dir", value=str(src_dir), expected="a directory that exists")
        files = sorted(path for path in source.rglob("*") if path.is_file())
        return self._upload(files, source, target_path, overwrite, show_progress)

    def upload_files(
        self,
        files: Sequence[str | os.PathLike[str]],
        relative_root: str | os.PathLike[str] | None = None,
        target_path: str | None = None,
        overwrite: bool = False,
        show_progress: bool = True,
    ) -> DataReference:
        """Upload local files, and return a reference to where they are.

        Args:
            files: the files.
            relative_root: files keep their path below this folder; without it, below the folder
                that they have in common.
            target_path: where on the datastore; None is its root.
            overwrite: replace files that are there; otherwise they stay as they are.
            show_progress: print a line for each file.

        Raises:
            Invalid: no files, one that does not exist, or one outside `relative_root`.
        """
        paths = [Path(file) for file in files]
        for path in paths:
            if not path.is_file():
                raise Invalid(field="files", value=str(path), expected="files that exist")
        if not paths:
            raise Invalid(field="files", value=[], expected="at least one file")
        root = relative_root or os.path.commonpath([path.absolute().parent for path in paths])
        return self._upload(paths, Path(root), target_path, overwrite, show_progress)

    def _upload(
        self,
        files: Sequence[Path],
        root: Path,
        target_path: str | None,
        overwrite: bool,
        show_progress: bool,
    ) -> DataReference:
        say = print if show_progress else _say_nothing
        say(f"Uploading an estimated of {len(files)} files")
        done = 0
        for file in files:
            target = _target(file, root, target_path)
            try:
                self.workspace.client.upload(
                    self._file_route(target), file, overwrite="true" if overwrite else "false"
                )
            except Conflict:
                say(f"Target already exists. Skipping upload for {target}")
                continue
            done += 1
            say(f"Uploaded {file}, {done} files out of an estimated total of {len(files)}")
        say(f"Uploaded {done} files")
        return self.path(target_path)

    def download(
        self,
        target_path: str | os.PathLike[str],
        prefix: str | None = None,
        overwrite: bool = False,
        show_progress: bool = True,
    ) -> int:
        """Download the files below a folder, or one file, and return how many were written.

        Args:
            target_path: the local directory; files keep their whole path below it.
            prefix: the folder or file on the datastore; None is everything.
            overwrite: replace local files; otherwise they stay as they are.
            show_progress: print a line for each file.
        """
        say = print if show_progress else _say_nothing
        done = 0
        for path in self._paths(prefix):
            destination = Path(target_path, *PurePosixPath(path).parts)
            if destination.exists() and not overwrite:
                say(f"Path already exists. Skipping download for {destination}")
                continue
            say(f"Downloading {path}")
            self.workspace.client.download(self._file_route(path), destination)
            done += 1
            say(f"Downloaded {path}, {done} files so far")
        say(f"Downloaded {done} files")
        return done

    def files(
        self, prefix: str | None = None, *, recursive: bool = True
    ) -> Iterator[EntryDocument]:
        """Yield the entries below a folder of the datastore, in the order of their paths."""
        return self.workspace.client.pages(
            EntryDocument,
            self.workspace.route("datastores", self.name, "files"),
            prefix=prefix or "",
            recursive="true" if recursive else "false",
        )

    def _paths(self, prefix: str | None) -> Iterator[str]:
        """Yield the paths below the folder `prefix`; if there are none, `prefix` is a file."""
        folder = (prefix or "").strip("/")
        is_empty = True
        try:
            for entry in self.files(folder):
                is_empty = False
                yield entry.path
        except NotFound:
            pass
        if is_empty and folder and self._has_file(folder):
            yield folder

    def _has_file(self, path: str) -> bool:
        folder = PurePosixPath(path).parent.as_posix()
        siblings = self.files("" if folder == "." else folder, recursive=False)
        try:
            return any(entry.path == path for entry in siblings)
        except NotFound:
            return False

    def _file_route(self, path: str) -> str:
        return self.workspace.route() + file_route("datastores", self.name, "files", path=path)


def _documents(workspace: penstock.Workspace) -> list[DatastoreDocument]:
    return workspace.client.read_list(DatastoreDocument, workspace.route("datastores"))


def _default(workspace: penstock.Workspace) -> DatastoreDocument:
    for document in _documents(workspace):
        if document.is_default:
            return document
    raise NotFound(f"The workspace {workspace.name!r} has no default datastore.", kind="datastore")


def _target(file: Path, root: Path, target_path: str | None) -> str:
    """Return the path on the datastore of a local file below `root`."""
    try:
        relative = file.absolute().relative_to(root.absolute())
    except ValueError:
        raise Invalid(
            field="relative_root", value=str(root), expected=f"a folder that holds {file}"
        ) from None
    return PurePosixPath((target_path or "").strip("/"), *relative.parts).as_posix()


def _say_nothing(text: str) -> None:
    """Stand in for print where nothing is to be shown."""
