"""From what a person types, a name or an id, to the one thing it means."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, TypeVar

from penstock.cli.session import Session
from penstock.core.model import Status
from penstock.errors import Invalid, NotFound
from penstock.wire import PublishedPipelineDocument, ScheduleDocument

__all__ = ["get_pipeline", "get_schedule", "parameter_values", "the_one"]

_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Named(Protocol):
    """Something with an id, and a name that others may have too."""

    @property
    def id(self) -> str: ...
    @property
    def status(self) -> Status: ...


Thing = TypeVar("Thing", bound=Named)


def get_schedule(here: Session, word: str) -> ScheduleDocument:
    """Return the schedule with this id, or the one that this name means."""
    if _ID.fullmatch(word):
        return here.client.read(ScheduleDocument, here.path("schedules", word))
    path = here.path("schedules")
    named = here.client.pages(ScheduleDocument, path, name=word, active_only=False)
    return the_one("schedule", word, named)


def get_pipeline(here: Session, word: str) -> PublishedPipelineDocument:
    """Return the published pipeline with this id, or the one that this name means."""
    if _ID.fullmatch(word):
        return here.client.read(PublishedPipelineDocument, here.path("pipelines", word))
    path = here.path("pipelines")
    named = here.client.pages(PublishedPipelineDocument, path, name=word, active_only=False)
    return the_one("pipeline", word, named)


def the_one(kind: str, word: str, named: Iterable[Thing]) -> Thing:
    """Return the only thing of the name `word`; of several, the only active one.

    Nothing of the kind is ever deleted, so that a name collects disabled ones.

    Args:
        kind: the glossary's word for it, for the error.
        word: what was typed.
        named: everything of that name.

    Raises:
        NotFound: there is none.
        Invalid: there are several, and not one of them active; the message lists their ids.
    """
    found = list(named)
    if not found:
        raise NotFound(
            kind=kind, id=word, hint=f"`penstock {kind} list --all` shows what there is."
        )
    active = [thing for thing in found if thing.status is Status.ACTIVE]
    meant = active if len(active) == 1 else found
    if len(meant) > 1:
        raise Invalid(
            f"There are {len(found)} {kind}s of the name {word!r}; say which by its id: "
            f"{', '.join(thing.id for thing in found)}.",
            field=kind,
            value=word,
            ids=[thing.id for thing in found],
        )
    return meant[0]


def parameter_values(words: Sequence[str] | None) -> dict[str, Any]:
    """Return the assignments in `name=value` words.

    A value is text, which the server turns into what the parameter holds; a value that is a JSON
    object is taken as one, for data paths: `input={"datastore": "d", "path": "p"}`.

    Raises:
        Invalid: a word without a name and "=", or a name that is given twice.
    """
    values: dict[str, Any] = {}
    for word in words or ():
        name, sign, value = word.partition("=")
        if not name or not sign:
            raise Invalid(field="--parameter", value=word, expected="NAME=VALUE")
        if name in values:
            raise Invalid(f"--parameter gives {name!r} twice.", field="--parameter", value=word)
        values[name] = _object_or_text(value)
    return values


def _object_or_text(value: str) -> Any:
    if not value.startswith("{"):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value
