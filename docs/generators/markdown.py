"""The few pieces of Markdown that the generated pages are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from inspect import cleandoc


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; a row of it for each of `rows`."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(_cell(text) for text in line)} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def first_sentence(docstring: str | None) -> str:
    """Return the first paragraph's first sentence, on one line."""
    paragraph = " ".join(cleandoc(docstring or "").partition("\n\n")[0].split())
    sentence, stop, _ = paragraph.partition(". ")
    return f"{sentence}." if stop else paragraph
