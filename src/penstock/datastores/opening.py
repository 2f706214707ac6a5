"""From a datastore's record to the datastore itself."""

from __future__ import annotations

from pathlib import Path

from penstock.core import model
from penstock.datastores import listing
from penstock.datastores.local import LocalDirectory
from penstock.errors import Invalid


def open_datastore(record: model.Datastore) -> listing.Datastore:
    """Return the place that `record` describes. Nothing is looked at yet: it may be away.

    Raises:
        Invalid: the kind is not known, or its configuration is not complete.
    """
    if record.kind != "local_directory":
        raise Invalid(field="datastore.kind", value=record.kind, expected="'local_directory'")
    path = record.config.get("path")
    if not isinstance(path, str) or not Path(path).is_absolute():
        raise Invalid(field="datastore.config.path", value=path, expected="an absolute path")
    return LocalDirectory(Path(path))
