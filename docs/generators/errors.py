"""Every error class, with its code, its HTTP status and the exit code of the command line."""

from __future__ import annotations

import re
from collections.abc import Iterator

import penstock.api.problems
import penstock.sdk.exceptions
from generators.markdown import first_sentence, table
from penstock import errors
from penstock.cli.failures import exit_code_of

# Raised on the user's side only: nobody is answered with a status.
CLIENT_ONLY = ("server-unreachable", "run-failed", "watch-interrupted", "no-run")


def classes(root: type[errors.PenstockError] = errors.PenstockError) -> Iterator[type]:
    """Yield every error class of Penstock: a class, then what is below it."""
    yield root
    for below in root.__subclasses__():
        if below.__module__.startswith("penstock."):
            yield from classes(below)


def page() -> str:
    """Return the tree as errors.py draws it, then the table."""
    tree = re.search(r"^PenstockError\n.*?\n\n", errors.__doc__ or "", re.DOTALL | re.MULTILINE)
    assert tree is not None
    seen = dict.fromkeys(classes())
    rows = [_row(cls) for cls in sorted(seen, key=lambda cls: (_place(cls), cls.__name__))]
    titles = ("class", "code", "HTTP status", "exit code", "what it says")
    return f"```text\n{tree[0].strip()}\n```\n\n{table(titles, rows)}"


def _row(cls: type[errors.PenstockError]) -> tuple[str, str, str, str, str]:
    status = "–" if cls.code in CLIENT_ONLY else str(cls.http_status)
    code = str(int(exit_code_of(cls("an example"))))
    return f"`{cls.__name__}`", f"`{cls.code}`", status, code, first_sentence(cls.__doc__)


def _place(cls: type[errors.PenstockError]) -> int:
    """Those of the server first, then what only clients raise."""
    return 1 if cls.code in CLIENT_ONLY or cls.__module__ == penstock.sdk.exceptions.__name__ else 0


assert penstock.api.problems.MethodNotAllowed in classes()  # imported, so that they are listed
