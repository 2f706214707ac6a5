"""From a datastore's record to the datastore."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from penstock.core import model
from penstock.datastores.opening import open_datastore
from penstock.errors import Invalid


def _record(**changes: object) -> model.Datastore:
    values = {
        "id": "d1",
        "workspace_id": "w1",
        "name": "data",
        "kind": "local_directory",
        "config": {"path": "/data"},
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return model.Datastore(**{**values, **changes})


def test_a_local_directory_is_opened_where_it_lies(tmp_path: Path):
    store = open_datastore(_record(config={"path": str(tmp_path)}))
    assert store.local_path("a") == tmp_path.resolve() / "a"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"kind": "floppy"}, "datastore.kind"),
        ({"config": {}}, "datastore.config.path"),
        ({"config": {"path": "relative/path"}}, "datastore.config.path"),
        ({"config": {"path": 3}}, "datastore.config.path"),
    ],
)
def test_what_cannot_be_opened_names_the_field(changes, field):
    with pytest.raises(Invalid) as caught:
        open_datastore(_record(**changes))
    assert caught.value.details["field"] == field
