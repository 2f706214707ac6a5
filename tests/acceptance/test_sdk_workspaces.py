"""Workspaces and compute names through the SDK, with the server found as a user finds it."""

from __future__ import annotations

import json

import pytest

from penstock import (
    AmlCompute,
    ComputeTarget,
    ComputeTargetException,
    Conflict,
    InteractiveLoginAuthentication,
    Invalid,
    NotAuthenticated,
    ServerUnreachable,
    UserErrorException,
    Workspace,
)
from penstock.testing.server import temporary_server


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with temporary_server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(autouse=True)
def here(server, tmp_path, monkeypatch):
    """An empty folder of the user who has started the server."""
    for name in ("PENSTOCK_URL", "PENSTOCK_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PENSTOCK_CONFIG_DIR", str(server.settings.config_dir))
    monkeypatch.chdir(tmp_path)
    return tmp_path


CONFIG = {"subscription_id": "sub", "resource_group": "group", "workspace_name": "from-config"}


def test_the_workspace_of_a_configuration_file(here, server):
    (here / "config.json").write_text(json.dumps(CONFIG))
    ws = Workspace.from_config(auth=InteractiveLoginAuthentication())
    assert (ws.name, ws.subscription_id, ws.resource_group) == ("from-config", "sub", "group")
    assert (ws.location, ws.sku, ws.tags) == ("local", "basic", {})
    assert ws.discovery_url == server.url
    assert server.token not in repr(ws) + repr(vars(ws)["client"])
    assert ws.get_details()["workspaceid"] == ws.id
    (here / "other").mkdir()
    ws.write_config("other")
    assert Workspace.from_config("other").id == ws.id
    assert Workspace.from_config(here / "other" / ".azureml" / "config.json").id == ws.id
    assert Workspace.get(None, id=ws.get_details()["id"]).id == ws.id


def test_a_new_name_is_a_new_workspace_and_is_said_once(capsys):
    first = Workspace.get("newcomer")
    assert "made the workspace 'newcomer'" in capsys.readouterr().err
    assert Workspace("sub", "group", "newcomer").id == first.id
    assert capsys.readouterr().err == ""


def test_create_refuses_a_name_that_is_taken(capsys):
    made = Workspace.create("taken", subscription_id="s", resource_group="g")
    assert "Workspace taken is ready" in capsys.readouterr().out
    with pytest.raises(Conflict, match="'taken' already"):
        Workspace.create("taken")
    again = Workspace.create("taken", exist_ok=True, show_output=False)
    assert (again.id, again.subscription_id) == (made.id, "s")
    assert [w.id for w in Workspace.list("s")["taken"]] == [made.id]


def test_no_configuration_file_says_what_to_write():
    with pytest.raises(UserErrorException, match=r"config\.json"):
        Workspace.from_config()


@pytest.mark.parametrize("name", ["", None, 5])
def test_a_workspace_has_a_name(name):
    with pytest.raises(UserErrorException, match="workspace_name"):
        Workspace.get(name)
    with pytest.raises(Invalid):
        Workspace.get("no spaces please")


def test_no_server_says_how_to_start_one(server, monkeypatch):
    monkeypatch.setenv("PENSTOCK_URL", "http://127.0.0.1:1")
    with pytest.raises(ServerUnreachable, match="penstock up"):
        Workspace.get("main")


def test_a_wrong_token_is_refused_and_not_shown(server):
    with pytest.raises(NotAuthenticated, match="PENSTOCK_TOKEN") as raised:
        Workspace.get("main", token="pst_wrong-wrong-wrong")
    assert "wrong-wrong" not in str(raised.value)


def test_every_compute_name_means_the_server(capsys):
    ws = Workspace.get("compute")
    assert "gpu" not in ws.compute_targets
    assert ws.compute_targets["gpu"].name == "gpu"
    assert "local" in [target.name for target in ComputeTarget.list(ws)]
    config = AmlCompute.provisioning_configuration(vm_size="STANDARD_D2_V2", max_nodes=4)
    cluster = ComputeTarget.create(ws, "cpu-cluster", config)
    assert isinstance(cluster, AmlCompute)
    cluster.wait_for_completion(show_output=True, min_node_count=None, timeout_in_minutes=20)
    assert "Succeeded" in capsys.readouterr().out
    assert cluster.get_status().serialize()["provisioningState"] == "Succeeded"
    assert cluster.provisioning_state == ComputeTarget(ws, "x").get_status() == "Succeeded"
    assert ws.get_default_compute_target("CPU").name == "local"
    with pytest.raises(ComputeTargetException, match="name"):
        ComputeTarget(ws, "")
