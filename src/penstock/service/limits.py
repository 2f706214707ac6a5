"""What a request may hold: text that can be stored and handed to a process, and not too much of
it.

The verbs ask for this before they look at anything else, so that what a database, a file system or
a process would refuse later, less clearly, is refused here with the name of its field.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from pydantic import BaseModel

from penstock import wire
from penstock.errors import Invalid

# NUL ends a text for processes and PostgreSQL; half of a surrogate pair cannot be encoded.
NOT_TEXT = re.compile("[\0\ud800-\udfff]")
_SHOWN_MAX = 100

# By the name of the field; every other text may be as long as a word of a command line.
_LENGTHS = dict.fromkeys(
    (
        *("name", "experiment", "version", "source", "kind", "id", "compute", "datastore"),
        *("output", "parameter", "pipeline_output_name", "mode", "snapshot_id", "step_id"),
        *("subscription_id", "resource_group", "data_path_parameter"),
        *("pipeline_id", "pipeline_endpoint_id", "parent_run_id", "run_id"),
    ),
    wire.NAME_MAX,
) | {
    "description": wire.DESCRIPTION_MAX,
    "path": wire.PATH_MAX,
    "path_on_compute": wire.PATH_MAX,
    "script": wire.PATH_MAX,
}


def check(request: wire.Request) -> None:
    """Refuse a request with text that cannot be stored, or with too much of anything.

    Raises:
        Invalid: naming the field, as `tags.owner` or `graph.steps.0.name`.
    """
    for where, text, most in _texts(request, "", wire.TEXT_MAX):
        check_text(where, text, most)
    for name in ("tags", "properties"):
        check_notes(name, getattr(request, name, None) or {})
    _check_size(getattr(request, "parameters", None) or {})


def check_text(where: str, text: str, most: int = wire.TEXT_MAX) -> None:
    """Refuse a text that is longer than `most` or cannot be stored; `where` names its field."""
    if NOT_TEXT.search(text):
        raise Invalid(
            field=where,
            value=_shown(text),
            expected="text without NUL characters and halves of surrogate pairs",
        )
    # A character has up to four bytes; most texts are far from the limit.
    if len(text) * 4 > most and (len(text) > most or most == wire.TEXT_MAX < len(text.encode())):
        unit = "bytes" if most == wire.TEXT_MAX else "characters"
        raise Invalid(field=where, value=_shown(text), expected=f"at most {most:,} {unit}")


def check_notes(field: str, notes: Mapping[str, str]) -> None:
    """Refuse too many, or too long, tags or properties."""
    if len(notes) > wire.NOTES_MAX:
        raise Invalid(
            f"{field} has {len(notes)} entries; at most {wire.NOTES_MAX} are kept.", field=field
        )
    for name, value in notes.items():
        check_text(f"{field}.{_shown(name)}", name, wire.NOTE_NAME_MAX)
        check_text(f"{field}.{_shown(name)}", value, wire.NOTE_VALUE_MAX)


def check_parameters(parameters: Mapping[str, Any]) -> None:
    """Refuse assignments that are too large together, or hold text that cannot be stored."""
    for where, text, most in _texts(parameters, "parameters", wire.TEXT_MAX):
        check_text(where, text, most)
    _check_size(parameters)


def _check_size(parameters: Mapping[str, Any]) -> None:
    size = len(json.dumps(parameters, default=str))
    if size > wire.PARAMETERS_MAX:
        raise Invalid(
            f"The parameters have {size:,} bytes as JSON; at most {wire.PARAMETERS_MAX:,} are "
            "kept.",
            field="parameters",
            hint="Hand large values over in a file on a datastore.",
        )


def _texts(value: Any, where: str, most: int) -> Iterator[tuple[str, str, int]]:
    """Yield every text in `value`, keys included, with its dotted place and its limit."""
    if isinstance(value, str):
        yield where, value, most
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _texts(getattr(value, name), _at(where, name), _most(name))
    elif is_dataclass(value):
        for field in fields(value):
            yield from _texts(getattr(value, field.name), _at(where, field.name), _most(field.name))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            inner = _at(where, _shown(str(key)))
            yield inner, str(key), most
            yield from _texts(item, inner, most)
    elif isinstance(value, Sequence):
        for place, item in enumerate(value):
            yield from _texts(item, _at(where, str(place)), most)


def _at(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _most(name: str) -> int:
    return _LENGTHS.get(name, wire.TEXT_MAX)


def _shown(text: str) -> str:
    """Return `text` for a message: its beginning, and nothing that cannot be sent."""
    sendable = text[:_SHOWN_MAX].encode(errors="replace").decode()
    return sendable if len(text) <= _SHOWN_MAX else f"{sendable}…"
