"""What a user can meet is on a page: a new setting, route, error or name fails here until it is."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path

import pytest
from tests.docs.pages import DOCS, ROOT

import penstock
from penstock import wire
from penstock.cli.failures import EXIT_CODES
from penstock.cli.reference import command_names
from penstock.core.due import CatchUp, Outcome, Overlap
from penstock.core.recurrence import FoldPolicy, GapPolicy, MonthEndPolicy
from penstock.core.states import RunState, StepState
from penstock.settings import Settings, variable

sys.path.insert(0, str(DOCS))
from generators import api, errors

SETTINGS = (DOCS / "reference" / "settings.md").read_text("utf-8")
ROUTES = [f"{method} {path}" for method, path, _ in api.routes(api.document())]
# Names that look like variables of the environment in the code and are none.
NOT_VARIABLES = {"PENSTOCK_", "AZUREML_"}


def _page(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


def _row(text: str, first: str) -> str:
    """Return the table row that begins with `first`."""
    rows = [line for line in text.splitlines() if line.startswith(f"| `{first}` |")]
    assert len(rows) == 1, first
    return rows[0]


@pytest.mark.parametrize("field", fields(Settings), ids=lambda field: field.name)
def test_a_setting_is_documented_with_its_variable_and_default(field) -> None:
    row = _row(SETTINGS, field.name)
    assert f"`{variable(field.name)}`" in row
    if field.default is not MISSING and field.default not in (None, sys.executable):
        shown = f"{field.default:g}" if isinstance(field.default, float) else str(field.default)
        assert f"| `{shown}` |" in row


def _strings(folder: Path) -> Iterator[str]:
    for file in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def _variables() -> list[str]:
    texts = [*_strings(ROOT / "src"), *_strings(ROOT / "compat" / "src")]
    pattern = re.compile(r"(?:PENSTOCK|AZUREML|AML|XDG)_[A-Z_]*|NO_COLOR")
    return sorted({text for text in texts if pattern.fullmatch(text)} - NOT_VARIABLES)


@pytest.mark.parametrize("name", _variables())
def test_a_variable_of_the_environment_is_documented(name: str) -> None:
    assert f"`{name}" in SETTINGS


@pytest.mark.parametrize("name", command_names())
def test_a_command_is_documented(name: str) -> None:
    assert f"\n## penstock {name}\n" in _page("reference/cli.md")


@pytest.mark.parametrize("code", EXIT_CODES)
def test_an_exit_code_is_documented(code: int) -> None:
    assert f"\n| {int(code)} | " in _page("reference/cli.md")


@pytest.mark.parametrize("route", ROUTES)
def test_a_route_is_documented(route: str) -> None:
    assert f"\n| `{route.replace('/api/v1', '')}` | " in _page("reference/api.md")


@pytest.mark.parametrize("name", [name for name in vars(wire) if name.endswith("_MAX")])
def test_a_limit_is_documented(name: str) -> None:
    assert re.search(rf"\b{getattr(wire, name):,}\b", _page("reference/api.md"))


@pytest.mark.parametrize("cls", dict.fromkeys(errors.classes()), ids=lambda cls: cls.__name__)
def test_an_error_is_documented_with_its_code(cls: type[penstock.PenstockError]) -> None:
    assert f"| `{cls.code}` | " in _row(_page("reference/errors.md"), cls.__name__)


@pytest.mark.parametrize("name", penstock.__all__)
def test_an_exported_name_is_documented_in_a_sentence(name: str) -> None:
    rows = re.findall(rf"^\| \[?`{name}`\S* \| (.+) \|$", _page("reference/sdk.md"), re.MULTILINE)
    assert rows
    assert rows[0].endswith((".", "…"))


def test_every_member_of_the_sdk_says_what_it_does() -> None:
    empty = [line for line in _page("reference/sdk.md").splitlines() if line.endswith("|  |")]
    assert empty == []


@pytest.mark.parametrize(
    "policy", [*CatchUp, *Overlap, *GapPolicy, *FoldPolicy, *MonthEndPolicy], ids=repr
)
def test_a_policy_is_explained_in_the_guide(policy: str) -> None:
    assert f"`{policy}`" in _page("guides/schedules.md")


@pytest.mark.parametrize("outcome", Outcome)
def test_an_outcome_is_explained_in_the_guide(outcome: str) -> None:
    assert f"| `{outcome}` |" in _page("guides/schedules.md")


@pytest.mark.parametrize("state", [*RunState, *StepState], ids=repr)
def test_a_state_is_explained(state: str) -> None:
    assert f"| `{state}` |" in _page("reference/states.md").partition("<!-- generated")[0]


DECISIONS = sorted((DOCS / "decisions").glob("0*.md"))


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.stem)
def test_a_decision_has_the_form(page: Path) -> None:
    titles = re.findall(r"^## (.+)$", page.read_text("utf-8"), re.MULTILINE)
    assert titles == ["Context", "Decision", "Consequences", "A change violates this when…"]


def test_decisions_are_numbered_without_gaps_and_listed() -> None:
    listed = _page("decisions/README.md")
    assert [int(page.name[:4]) for page in DECISIONS] == list(range(1, len(DECISIONS) + 1))
    assert all(f"]({page.name})" in listed for page in DECISIONS)


def _distributions() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    names = {re.split(r"[\[><=~! ;]", text, maxsplit=1)[0] for group in groups for text in group}
    return sorted(names - {"penstock"})


@pytest.mark.parametrize("name", _distributions())
def test_a_dependency_is_justified(name: str) -> None:
    assert re.search(rf"`{name}`", _page("dependencies.md"), re.IGNORECASE)
