"""The public names of `penstock`, with what their docstrings say first."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Iterator
from typing import Any

import penstock
from generators.markdown import first_sentence, table


def page() -> str:
    """Return all names in one table, then the members of each class."""
    names = {name: getattr(penstock, name) for name in penstock.__all__}
    rows = [(_titled(name, value), first_sentence(value.__doc__)) for name, value in names.items()]
    parts = [table(("name", "what it is"), rows)]
    for name, value in names.items():
        if has_members(value):
            parts.append(f"## {name}\n\n" + table(("member", "what it does"), _rows(value)))
    return "\n\n".join(parts)


def has_members(value: Any) -> bool:
    """True for a class with methods and properties that users call."""
    is_plain = not inspect.isclass(value) or issubclass(value, (BaseException, enum.Enum))
    return not is_plain and bool(list(members(value)))


def members(cls: type) -> Iterator[tuple[str, Any]]:
    """Yield the public methods and properties of a class, inherited ones included, by name."""
    for name in sorted(set(dir(cls))):
        if name.startswith("_"):
            continue
        value = inspect.getattr_static(cls, name)
        if isinstance(value, (staticmethod, classmethod)):
            yield name, value.__func__
        elif isinstance(value, property) or callable(value):
            yield name, value


def _rows(cls: type) -> list[tuple[str, str]]:
    return [
        (f"`{name}`" if isinstance(value, property) else f"`{name}()`", _said(cls, name, value))
        for name, value in members(cls)
    ]


def _said(cls: type, name: str, value: Any) -> str:
    return first_sentence(value.__doc__ or inspect.getdoc(getattr(cls, name)))


def _titled(name: str, value: Any) -> str:
    return f"[`{name}`](#{name.lower()})" if has_members(value) else f"`{name}`"
