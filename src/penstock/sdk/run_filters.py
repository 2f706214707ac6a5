"""Which runs are wanted: filters by tags, properties, kind and status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import penstock
from penstock.errors import Invalid
from penstock.wire import RunDocument, StepRunDocument


def tag_filter(tags: Any) -> list[str] | None:
    """Return the query of a filter by tags: a name, names, or a dictionary of names to values."""
    if tags is None:
        return None
    if isinstance(tags, str):
        return [tags]
    if isinstance(tags, Mapping):
        return [name if value is None else f"{name}={value}" for name, value in tags.items()]
    if isinstance(tags, (list, tuple, set)):
        return [str(tag) for tag in tags]
    raise Invalid(field="tags", value=tags, expected="a name, a list of names, or a dictionary")


def has_tags(found: Mapping[str, str], tags: Any) -> bool:
    """True when tags fit a filter."""
    wanted = [text.partition("=") for text in tag_filter(tags) or []]
    return all(n in found and (not equals or found[n] == v) for n, equals, v in wanted)


def fits(
    run: penstock.Run,
    document: RunDocument | StepRunDocument,
    type: str | None,
    properties: Mapping[str, str] | None,
    status: str | None,
) -> bool:
    return (
        (type is None or run.type == type)
        and (status is None or document.history_status == status)
        and all(document.properties.get(n) == v for n, v in (properties or {}).items())
    )
