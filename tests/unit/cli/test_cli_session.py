"""Which workspace a command means."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.cli.printing import Format
from penstock.cli.session import Outside, Session, workspace_name
from penstock.errors import Invalid


def configured(folder: Path, text: str) -> Path:
    (folder / ".azureml").mkdir()
    (folder / ".azureml" / "config.json").write_text(text)
    deep = folder / "a" / "b"
    deep.mkdir(parents=True)
    return deep


def test_the_nearest_config_upward_names_the_workspace(tmp_path: Path) -> None:
    assert workspace_name({}, configured(tmp_path, '{"workspace_name": "team"}')) == "team"


def test_the_environment_goes_before_the_config(tmp_path: Path) -> None:
    here = configured(tmp_path, '{"workspace_name": "team"}')
    assert workspace_name({"PENSTOCK_WORKSPACE": "mine"}, here) == "mine"


def test_without_either_it_is_the_default_one() -> None:
    assert workspace_name({}, Path("/nowhere")) == "default"


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"workspace_name": 5}'])
def test_a_config_that_names_no_workspace_is_an_error_with_its_path(
    tmp_path: Path, text: str
) -> None:
    with pytest.raises(Invalid, match=r"config\.json"):
        workspace_name({}, configured(tmp_path, text))


def test_the_option_goes_before_everything_and_names_are_quoted() -> None:
    outside = Outside(environ={"PENSTOCK_WORKSPACE": "mine"}, directory=Path("/nowhere"))
    here = Session(outside, output=Format.TABLE, workspace="a/b", url=None)
    assert here.path("runs", "x y") == "/workspaces/a%2Fb/runs/x%20y"
