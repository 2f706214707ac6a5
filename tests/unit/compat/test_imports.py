"""The import paths of the old SDK: those that work, and what the others are answered with."""

from __future__ import annotations

import importlib
import json
import pkgutil
from pathlib import Path

import pytest

import azureml
from azureml._later import NAMES

CASES = json.loads((Path(__file__).parents[2] / "conformance" / "azureml_imports.json").read_text())
MODULES = sorted(m.name for m in pkgutil.walk_packages(azureml.__path__, "azureml."))


def do_import(module, name):
    """Run the statement that scripts contain, and return what it binds."""
    bound = {}
    exec(f"from {module} import {name}", bound)
    return bound[name]


@pytest.mark.parametrize(("module", "name"), CASES["now"])
def test_it_is_here(module, name):
    assert do_import(module, name) is not None


@pytest.mark.parametrize(("module", "name"), CASES["now"])
def test_what_is_here_is_in_all(module, name):
    assert name in importlib.import_module(module).__all__


@pytest.mark.parametrize(("module", "name"), CASES["later"])
def test_what_is_not_here_yet_says_so(module, name):
    with pytest.raises(ImportError, match=r"^azureml\.[\w.]+ is not in Penstock yet; see docs/"):
        do_import(module, name)


@pytest.mark.parametrize("module", MODULES)
def test_everything_in_all_can_be_imported(module):
    there = importlib.import_module(module)
    for name in getattr(there, "__all__", []):
        assert getattr(there, name) is not None


@pytest.mark.parametrize("module", NAMES)
def test_a_name_that_has_arrived_has_left_the_table(module):
    assert not NAMES[module] & set(getattr(importlib.import_module(module), "__all__", []))


@pytest.mark.parametrize("module", NAMES)
def test_a_misspelled_name_is_an_ordinary_error(module):
    with pytest.raises(ImportError, match="cannot import name 'Pipelin'"):
        do_import(module, "Pipelin")
    assert not hasattr(importlib.import_module(module), "Pipelin")


def test_a_module_that_is_not_here_names_itself():
    with pytest.raises(ModuleNotFoundError, match=r"azureml\.train is not in Penstock") as caught:
        importlib.import_module("azureml.train.automl")
    assert caught.value.name == "azureml.train"


def test_other_missing_modules_are_no_concern_of_ours():
    with pytest.raises(ModuleNotFoundError, match="No module named 'azure_of_another_kind'"):
        importlib.import_module("azure_of_another_kind")


def test_a_version_can_be_printed():
    version = do_import("azureml.core", "VERSION")
    assert version.split(".")[0] == "1"
