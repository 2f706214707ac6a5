"""Which file names the workspace."""

from __future__ import annotations

import json

import pytest

from penstock import UserErrorException
from penstock.sdk.workspace_config import CONFIG_FILES, config_file, parts_of_id, read_config

CONFIG = {"subscription_id": "s", "resource_group": "g", "workspace_name": "w"}


def write(path, content=CONFIG):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.mark.parametrize("name", CONFIG_FILES)
def test_each_place_is_looked_at(tmp_path, name):
    file = write(tmp_path / name)
    assert config_file(tmp_path) == file


def test_earlier_places_win_and_folders_above_are_searched(tmp_path):
    above = write(tmp_path / "config.json")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert config_file(below) == above
    near = write(below / "config.json")
    assert config_file(below) == near
    nearest = write(below / ".azureml" / "config.json")
    assert config_file(below) == nearest


def test_a_file_may_be_named(tmp_path):
    file = write(tmp_path / "mine.json")
    assert read_config(config_file(file)) == CONFIG


def test_no_file_says_what_to_write(tmp_path):
    with pytest.raises(UserErrorException, match=r"config\.json.*workspace_name.*Workspace\.get"):
        config_file(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "cannot be read"), ("[]", "names no workspace"), ("{}", "names no workspace")],
)
def test_a_file_that_names_no_workspace_is_refused(tmp_path, content, message):
    with pytest.raises(UserErrorException, match=message):
        read_config(write(tmp_path / "config.json", content))


RESOURCE_ID = (
    "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"
)


def test_an_old_project_file_names_it_by_its_id(tmp_path):
    file = write(tmp_path / "project.json", {"Id": "x", "Scope": f"{RESOURCE_ID}/projects/p"})
    assert read_config(file) == CONFIG


def test_an_id_has_three_parts():
    assert parts_of_id(RESOURCE_ID) == ("s", "g", "w")
    with pytest.raises(UserErrorException, match="/subscriptions/"):
        parts_of_id("w")
