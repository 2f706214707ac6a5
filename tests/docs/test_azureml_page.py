"""docs/azureml.md names what is there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from azureml._later import sentence

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "azureml.md").read_text()
CASES = json.loads((ROOT / "tests" / "conformance" / "azureml_imports.json").read_text())


@pytest.mark.parametrize("name", sorted({n for _, n in CASES["now"] if not n.startswith("_")}))
def test_a_name_that_is_here_is_on_the_page(name):
    there, missing = PAGE.split("## Not there yet")
    assert f"`{name}`" in there
    assert f"`{name}`" not in missing


def test_the_sentence_on_the_page_is_the_one_that_is_said():
    assert sentence("azureml.core.Dataset") in " ".join(PAGE.split())
