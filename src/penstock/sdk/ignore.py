"""Which files of a source directory are left out: the rules of gitignore files.

A line is a pattern; the last one that fits a path decides. `#` begins a comment, `!` takes back, a
`/` at the end means folders only, a `/` elsewhere ties the pattern to the file's own folder, `*`
and `?` stop at a `/`, `**` does not. A folder that is left out is not looked into, so nothing in
it can be taken back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One line of an ignore file."""

    pattern: re.Pattern[str]  # fits a whole path relative to the root, forward slashes
    is_negated: bool
    is_for_folders: bool  # only


def parsed(lines: Iterable[str], folder: str = "") -> list[Rule]:
    """Return the rules in the lines of an ignore file that lies in `folder` ("" is the root)."""
    rules = (_rule(line, folder) for line in lines)
    return [rule for rule in rules if rule is not None]


def is_ignored(rules: Sequence[Rule], path: str, *, is_folder: bool) -> bool:
    """True when the last rule that fits says so. The folders above `path` are not asked."""
    for rule in reversed(rules):
        if (is_folder or not rule.is_for_folders) and rule.pattern.fullmatch(path):
            return not rule.is_negated
    return False


def _rule(line: str, folder: str) -> Rule | None:
    text = _without_spaces_at_end(line.rstrip("\r\n"))
    if not text or text.startswith("#"):
        return None
    is_negated = text.startswith("!")
    text = text.removeprefix("!")
    is_for_folders = text.endswith("/")
    text = text.rstrip("/") if is_for_folders else text
    if not text:
        return None
    is_tied = "/" in text
    prefix = f"{re.escape(folder)}/" if folder else ""
    anywhere = "" if is_tied else "(?:.*/)?"
    try:
        pattern = re.compile(prefix + anywhere + _translated(text.removeprefix("/")), re.DOTALL)
    except re.error:
        return None  # git, too, lets a broken pattern fit nothing
    return Rule(pattern=pattern, is_negated=is_negated, is_for_folders=is_for_folders)


def _without_spaces_at_end(text: str) -> str:
    """Cut the spaces at the end, but not one that a backslash stands before."""
    stripped = text.rstrip(" \t")
    return stripped + " " if stripped.endswith("\\") and stripped != text else stripped


_TOKEN = re.compile(
    r"(?P<lead>\A\*\*/)|(?P<middle>/\*\*/)|(?P<trail>/\*\*\Z)|(?P<stars>\*+)|(?P<any>\?)"
    r"|\[(?P<not>[!^]?)(?P<set>\]?(?:\\.|[^\]\\])*)\]|\\(?P<escaped>.)|(?P<plain>.)",
    re.DOTALL,
)


def _translated(glob: str) -> str:
    """Return the regular expression of a pattern."""
    return "".join(_piece(match) for match in _TOKEN.finditer(glob))


def _piece(match: re.Match[str]) -> str:
    match match.lastgroup:
        case "lead":
            return "(?:.*/)?"
        case "middle":
            return "/(?:.*/)?"
        case "trail":
            return "/.*"
        case "stars":
            return "[^/]*"
        case "any":
            return "[^/]"
        case "set":
            inside = match["set"].replace("[", r"\[")
            if inside.startswith("]"):
                inside = "\\" + inside
            return f"(?!/)[{'^' if match['not'] else ''}{inside}]"
        case "escaped":
            return re.escape(match["escaped"])
        case _:
            return re.escape(match["plain"])
