"""Places on datastores: data paths, how they reach a step, and references to both together."""

from __future__ import annotations

import re
from typing import Any

import penstock
from penstock.errors import Invalid

_PORT_NAME = re.compile(r"[A-Za-z0-9_]+")
_INPUT_MODES = ("mount", "download")
_MODES = (*_INPUT_MODES, "upload")

VARIABLE_PREFIX = "AZUREML_DATAREFERENCE_"
"""A step finds an input's or output's local path in this variable with its name at the end."""


def checked_port_name(field: str, name: Any) -> str:
    """Return the name of an input or output; raise Invalid unless it is letters, digits and _."""
    if isinstance(name, str) and _PORT_NAME.fullmatch(name):
        return name
    raise Invalid(field=field, value=name, expected="letters, digits and underscores only")


def checked_mode(field: str, mode: Any, *, is_input: bool = False) -> str:
    """Return a mode of access; raise Invalid for any other word."""
    allowed = _INPUT_MODES if is_input else _MODES
    if mode in allowed:
        return str(mode)
    raise Invalid(field=field, value=mode, expected=f"one of {', '.join(allowed)}")


def place_name(datastore: penstock.Datastore | str | None) -> str | None:
    """Return the name of a datastore given as an object, a name, or None."""
    return datastore if isinstance(datastore, str) or datastore is None else datastore.name


class DataPath:
    """A folder or file on a datastore: what a data-path parameter holds."""

    def __init__(
        self,
        datastore: penstock.Datastore | str | None = None,
        path_on_datastore: str | None = None,
        name: str | None = None,
    ) -> None:
        """Name a place.

        Args:
            datastore: the datastore, or its name.
            path_on_datastore: below its root; None is the root.
            name: of the data reference made from it.

        Raises:
            Invalid: no datastore.
        """
        if not datastore:
            raise Invalid(
                "A DataPath needs a datastore.",
                field="datastore",
                hint="Write DataPath(datastore=ws.get_default_datastore(), path_on_datastore=…).",
            )
        self._datastore = datastore
        self._path_on_datastore = path_on_datastore
        self._name = name

    @property
    def datastore_name(self) -> str:
        """The datastore's name."""
        return self._datastore if isinstance(self._datastore, str) else self._datastore.name

    @property
    def path_on_datastore(self) -> str | None:
        """The path below the datastore's root."""
        return self._path_on_datastore

    def __repr__(self) -> str:
        return (
            f"DataPath(datastore={self.datastore_name!r}, "
            f"path_on_datastore={self._path_on_datastore!r})"
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DataPath):
            return NotImplemented
        return self.to_value() == other.to_value()

    def __hash__(self) -> int:
        return hash((self.datastore_name, self._path_on_datastore))

    def to_value(self) -> dict[str, str | None]:
        """Return the value that a data-path parameter has on the wire."""
        return {"datastore": self.datastore_name, "path": self._path_on_datastore}

    def create_data_reference(
        self,
        data_reference_name: str | None = None,
        datapath_compute_binding: DataPathComputeBinding | None = None,
    ) -> DataReference:
        """Return a reference to this place."""
        return DataReference.create(
            data_reference_name or self._name, self, datapath_compute_binding
        )

    @staticmethod
    def create_from_data_reference(data_reference: DataReference) -> DataPath:
        """Return the place that a reference names."""
        return DataPath(
            data_reference.datastore,
            data_reference.path_on_datastore,
            data_reference.data_reference_name,
        )


class DataPathComputeBinding:
    """How a data path reaches a step: the place itself (mount), or a copy (download)."""

    def __init__(
        self, mode: str = "mount", path_on_compute: str | None = None, overwrite: bool = False
    ) -> None:
        """Say how; raise Invalid for a mode that is neither mount nor download."""
        self._mode = checked_mode("mode", mode, is_input=True)
        self._path_on_compute = path_on_compute
        self._overwrite = overwrite

    @property
    def mode(self) -> str:
        """The mode: mount or download."""
        return self._mode

    @property
    def path_on_compute(self) -> str | None:
        """Where a copy goes."""
        return self._path_on_compute

    @property
    def overwrite(self) -> bool:
        """Whether a copy replaces what is there."""
        return self._overwrite

    def __repr__(self) -> str:
        return f"DataPathComputeBinding(mode={self._mode!r})"

    def create_data_reference(
        self, data_reference_name: str | None = None, datapath: DataPath | None = None
    ) -> DataReference:
        """Return a reference to `datapath`, bound like this."""
        return DataReference.create(data_reference_name, datapath, self)

    @staticmethod
    def create_from_data_reference(data_reference: DataReference) -> DataPathComputeBinding:
        """Return how a reference is bound."""
        return DataPathComputeBinding(
            data_reference.mode, data_reference.path_on_compute, data_reference.overwrite
        )


class DataReference:
    """A place on a datastore with a name and a way to reach it: an input of a step."""

    def __init__(
        self,
        datastore: penstock.Datastore | str,
        data_reference_name: str | None = None,
        path_on_datastore: str | None = None,
        mode: str = "mount",
        path_on_compute: str | None = None,
        overwrite: bool = False,
    ) -> None:
        """Refer to a place.

        Args:
            datastore: the datastore, or its name.
            data_reference_name: letters, digits and underscores; made from the datastore's name and
                the path when None, so that the same reference gets the same name each time.
            path_on_datastore: below the datastore's root; None is the root.
            mode: mount, download or upload.
            path_on_compute: where a copy goes.
            overwrite: whether a copy replaces what is there.

        Raises:
            Invalid: no datastore, a wrong name or mode.
        """
        if not datastore:
            raise Invalid("A DataReference needs a datastore.", field="datastore")
        self.datastore = datastore
        self.path_on_datastore = path_on_datastore
        self.data_reference_name = checked_port_name(
            "data_reference_name", data_reference_name or self._made_up_name()
        )
        self.mode = checked_mode("mode", mode)
        self.path_on_compute = path_on_compute
        self.overwrite = overwrite

    def _made_up_name(self) -> str:
        words = f"{self.datastore_name}_{self.path_on_datastore or ''}".strip("_/")
        return re.sub(r"[^A-Za-z0-9]+", "_", words).strip("_")

    @property
    def datastore_name(self) -> str:
        """The datastore's name."""
        return self.datastore if isinstance(self.datastore, str) else self.datastore.name

    def __str__(self) -> str:
        return f"${VARIABLE_PREFIX}{self.data_reference_name}"

    def __repr__(self) -> str:
        return (
            f"DataReference(datastore={self.datastore_name!r}, "
            f"data_reference_name={self.data_reference_name!r}, "
            f"path_on_datastore={self.path_on_datastore!r}, mode={self.mode!r})"
        )

    def path(
        self, path: str | None = None, data_reference_name: str | None = None
    ) -> DataReference:
        """Return a reference to `path` below this one."""
        below = "/".join(part.strip("/") for part in (self.path_on_datastore, path) if part)
        return DataReference(self.datastore, data_reference_name, below or None, self.mode)

    def as_download(
        self, path_on_compute: str | None = None, overwrite: bool = False
    ) -> DataReference:
        """Return the same reference, copied to the step before it starts."""
        return self._bound("download", path_on_compute, overwrite)

    def as_upload(
        self, path_on_compute: str | None = None, overwrite: bool = False
    ) -> DataReference:
        """Return the same reference, copied from the step when it has ended."""
        return self._bound("upload", path_on_compute, overwrite)

    def as_mount(self) -> DataReference:
        """Return the same reference, reached as the place itself."""
        return self._bound("mount", None, False)

    def _bound(self, mode: str, path_on_compute: str | None, overwrite: bool) -> DataReference:
        return DataReference(
            self.datastore,
            self.data_reference_name,
            self.path_on_datastore,
            mode,
            path_on_compute,
            overwrite,
        )

    @staticmethod
    def create(
        data_reference_name: str | None = None,
        datapath: DataPath | None = None,
        datapath_compute_binding: DataPathComputeBinding | None = None,
    ) -> DataReference:
        """Return a reference to a data path.

        Raises:
            Invalid: no data path.
        """
        if datapath is None:
            raise Invalid("A DataReference is made from a DataPath.", field="datapath")
        binding = datapath_compute_binding or DataPathComputeBinding()
        return DataReference(
            datapath._datastore,
            data_reference_name or datapath._name,
            datapath.path_on_datastore,
            binding.mode,
            binding.path_on_compute,
            binding.overwrite,
        )
