"""The public names: what `penstock` shows is what it says, and loading it is cheap."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import penstock
from penstock import errors


def test_all_names_what_is_visible():
    visible = {name for name in dir(penstock) if not name.startswith("_")}
    modules = {"annotations", "import_module", "TYPE_CHECKING", "Any"}
    loaded = {name for name in visible if inspect.ismodule(getattr(penstock, name))}
    assert visible - modules - loaded == set(penstock.__all__)


@pytest.mark.parametrize("name", penstock.__all__)
def test_every_name_stands_for_something_with_a_docstring(name):
    assert getattr(penstock, name).__doc__


def test_every_error_is_there():
    classes = {n: v for n, v in vars(errors).items() if inspect.isclass(v)}
    assert {n for n, v in classes.items() if v.__module__ == errors.__name__} <= set(
        penstock.__all__
    )


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Shedule'"):
        penstock.Shedule  # noqa: B018


def test_importing_penstock_loads_nothing_heavy():
    script = (
        "import sys, penstock; penstock.__version__;"
        "print(*{'httpx', 'pydantic', 'yaml', 'penstock.sdk'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


def test_the_sdk_needs_nothing_of_the_server():
    script = (
        "import sys, penstock; [getattr(penstock, name) for name in penstock.__all__];"
        "server = {'sqlalchemy', 'alembic', 'fastapi', 'uvicorn', 'psutil', 'typer'};"
        "print(*server & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""
