"""The pages of the documentation, and the blocks of code in them.

A block says after its language what it is for: nothing (it is run), `file=<path>` (it is written
there, for the blocks after it), `output` (it is what the block before it printed), `fragment` (a
piece that cannot run by itself).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

_FENCE = re.compile(r"^(?P<indent> *)```(?P<info>.*)$")
_LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(?P<title>.+?) *$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int  # of its first line, counted from 1
    language: str
    words: tuple[str, ...]  # what stands after the language
    text: str

    @property
    def file(self) -> str | None:
        """Where the block is to be written; None when it is not a file."""
        named = (word.removeprefix("file=") for word in self.words if word.startswith("file="))
        return next(named, None)

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def all_pages() -> list[Path]:
    """Return every Markdown page that is written for people."""
    tops = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")]
    return [*tops, *sorted((ROOT / "changelog.d").glob("*.md")), *sorted(DOCS.rglob("*.md"))]


def run_pages() -> list[Path]:
    """Return the pages whose Python is run: those that a user follows."""
    return [ROOT / "README.md", DOCS / "quickstart.md", *sorted((DOCS / "guides").glob("*.md"))]


def blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page in their order."""
    lines = page.read_text("utf-8").splitlines()
    opened: tuple[int, str, str] | None = None
    for number, line in enumerate(lines, start=1):
        fence = _FENCE.match(line)
        if fence is None:
            continue
        if opened is None:
            opened = number, fence["info"].strip(), fence["indent"]
            continue
        first, info, indent = opened
        opened = None
        language, *words = info.split() or [""]
        text = "\n".join(line.removeprefix(indent) for line in lines[first : number - 1])
        yield Block(page=page, line=first + 1, language=language, words=tuple(words), text=text)
    assert opened is None, f"{page}: the block of line {opened} has no end"


def prose(page: Path) -> str:
    """Return a page without its blocks of code."""
    kept, is_inside = [], False
    for line in page.read_text("utf-8").splitlines():
        if _FENCE.match(line):
            is_inside = not is_inside
        elif not is_inside:
            kept.append(line)
    return "\n".join(kept)


def links(page: Path) -> list[str]:
    """Return the targets of a page's links."""
    return [match["target"] for match in _LINK.finditer(re.sub(r"`[^`\n]*`", "", prose(page)))]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as code hosts make them."""
    titles = (match["title"] for match in _HEADING.finditer(prose(page)))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def commands(block: Block) -> list[str]:
    """Return the `penstock …` commands of a shell block, continued lines joined."""
    lines = re.sub(r"\\\n\s*", " ", block.text).splitlines()
    return [line.strip() for line in lines if line.strip().startswith("penstock")]
