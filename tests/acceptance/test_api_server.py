"""A whole server on a real port: how it starts, what it leaves, how it ends, who may reach it."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from penstock import serve
from penstock.errors import Conflict, Invalid
from penstock.serve import Server
from penstock.settings import Settings, find_connection
from penstock.testing.server import temporary_server

W = "/api/v1/workspaces/default"


def client(server: Server, token: str | None = None) -> httpx.Client:
    headers = {"Authorization": f"Bearer {token or server.token}"}
    return httpx.Client(base_url=server.url, headers=headers, timeout=30)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def settings(folder: Path, **chosen: Any) -> Settings:
    places = {"home": folder / "home", "config_dir": folder / "config", "port": 0}
    return Settings.load({"HOME": str(folder)}, **places | chosen)


# ---- starting ------------------------------------------------------------------------------------


def test_a_first_start_makes_all_that_is_needed_for_its_owner_only(tmp_path: Path) -> None:
    with temporary_server(tmp_path) as server:
        home, config = tmp_path / "home", tmp_path / "config"
        assert mode(home) == mode(config) == 0o700
        assert mode(home / "secret") == mode(config / "token") == 0o600
        assert mode(home / "penstock.db") == mode(config / "server.json") == 0o600
        assert server.token == (config / "token").read_text().strip()
        assert server.token.startswith("pst_")
        assert len(server.token) == 47
        with client(server) as http:
            (workspace,) = http.get("/api/v1/workspaces").json()
        assert workspace["name"] == "default"


def test_a_client_of_the_same_user_finds_the_server_while_it_runs(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "PENSTOCK_CONFIG_DIR": str(tmp_path / "config")}
    with temporary_server(tmp_path) as server:
        found = find_connection(environ)
        assert (found.url, found.token) == (server.url, server.token)
        assert httpx.get(f"{found.url}/health").json()["status"] == "ok"
    assert not (tmp_path / "config" / "server.json").exists()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{found.url}/health")


def test_a_second_start_goes_on_with_what_is_there(tmp_path: Path) -> None:
    with temporary_server(tmp_path) as first, client(first) as http:
        http.put(f"{W}/experiments/kept")
        secret = (tmp_path / "home" / "secret").read_text()
    with temporary_server(tmp_path) as second, client(second, first.token) as http:
        assert second.token == first.token
        assert (tmp_path / "home" / "secret").read_text() == secret
        assert http.get(f"{W}/experiments/kept").status_code == 200
        assert len(http.get("/api/v1/workspaces").json()) == 1


def test_a_token_that_was_given_wins_and_is_not_written_down(tmp_path: Path) -> None:
    token = "a-token-of-my-own"
    with temporary_server(tmp_path, token=token) as server, client(server, token) as http:
        assert http.get("/api/v1/workspaces").status_code == 200
        assert not (tmp_path / "config" / "token").exists()


def test_the_token_of_a_step_does_not_become_the_administrators(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="PENSTOCK_TOKEN"):
        serve.build(settings(tmp_path, token="psr_0123456789abcdef"))


def test_files_that_others_could_read_are_closed(tmp_path: Path) -> None:
    with temporary_server(tmp_path):
        pass
    files = [tmp_path / "config" / "token", tmp_path / "home" / "secret"]
    for path in files:
        path.chmod(0o644)
    with temporary_server(tmp_path):
        assert [mode(path) for path in files] == [0o600, 0o600]


def test_an_empty_token_file_opens_no_door(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "token").write_text("\n")
    with pytest.raises(Invalid, match="token"):
        serve.build(settings(tmp_path))


def test_a_spoiled_secret_is_named(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "secret").write_text("short")
    with pytest.raises(Invalid, match="secret"):
        serve.build(settings(tmp_path))


def test_a_home_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Invalid, match="cannot be used") as caught:
        serve.build(settings(tmp_path, home=tmp_path / "file" / "home"))
    assert str(tmp_path / "file") in str(caught.value)


def test_servers_that_start_together_in_one_home_agree(tmp_path: Path) -> None:
    servers: list[Server] = []
    threads = [
        threading.Thread(target=lambda: servers.append(serve.build(settings(tmp_path))))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(servers) == 4
    assert len({server.token for server in servers}) == 1
    for server in servers:
        server.start()
    try:
        for server in servers:
            with client(server) as http:
                assert len(http.get("/api/v1/workspaces").json()) == 1
                assert http.put(f"{W}/experiments/shared").status_code == 200
    finally:
        for server in servers:
            server.stop()


# ---- the address ---------------------------------------------------------------------------------


def test_a_port_that_is_taken_is_a_conflict_that_names_it(tmp_path: Path) -> None:
    with temporary_server(tmp_path / "one") as server:
        port = int(server.url.rpartition(":")[2])
        with pytest.raises(Conflict, match=f"127.0.0.1:{port}"):
            serve.build(settings(tmp_path / "two", port=port))
    assert not (tmp_path / "two").exists()


@pytest.mark.parametrize("host", ["203.0.113.7", "no-such-host.invalid"])
def test_a_host_that_is_not_this_machine_is_refused(tmp_path: Path, host: str) -> None:
    with pytest.raises(Invalid, match=host):
        serve.build(settings(tmp_path, host=host, token="a-token-of-my-own"))


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_an_open_address_needs_a_token_that_its_owner_has_seen(tmp_path: Path, host: str) -> None:
    with pytest.raises(Invalid, match="PENSTOCK_TOKEN"):
        serve.build(settings(tmp_path, host=host))
    assert not (tmp_path / "config").exists()


def test_an_open_address_is_served_once_there_is_a_token(tmp_path: Path) -> None:
    with temporary_server(tmp_path):
        pass
    with temporary_server(tmp_path, host="0.0.0.0") as server, client(server) as http:
        assert server.url.startswith("http://127.0.0.1:")
        assert http.get("/api/v1/workspaces").status_code == 200
        assert httpx.get(f"{server.url}/api/v1/workspaces").status_code == 401


# ---- over a real socket --------------------------------------------------------------------------


def test_an_upload_over_the_limit_gets_its_answer(tmp_path: Path) -> None:
    with temporary_server(tmp_path) as server, client(server) as http:
        answer = http.post(
            "/api/v1/workspaces",
            content=b" " * (11 * 1024 * 1024),
            headers={"Content-Type": "application/json"},
        )
        assert (answer.status_code, answer.json()["code"]) == (413, "too-large")
        assert http.get("/api/v1/workspaces").status_code == 200


def test_a_connection_that_breaks_in_an_upload_leaves_nothing(tmp_path: Path) -> None:
    content = b"x" * 3_000_000
    path = f"{W}/blobs/{hashlib.sha256(content).hexdigest()}"
    with temporary_server(tmp_path) as server:
        port = int(server.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as half:
            head = f"PUT {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.token}\r\n"
            half.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode())
            half.sendall(content[:2_000_000])
        with client(server) as http:
            assert http.put(path, content=content).status_code == 204
    kept = [p for p in (tmp_path / "home" / "blobs").rglob("*") if p.is_file()]
    assert [p.name for p in kept] == [path.rpartition("/")[2]]


def test_an_answer_does_not_wait_for_the_next_packet(tmp_path: Path) -> None:
    with temporary_server(tmp_path) as server, client(server) as http:
        http.get("/health")
        elapsed = sorted(http.get("/health").elapsed.total_seconds() for _ in range(21))
        # 40 ms is how long the other side may hold back its acknowledgement.
        assert elapsed[5] < 0.030


def test_a_large_object_goes_there_and_back(tmp_path: Path) -> None:
    content = os.urandom(20_000_000)
    path = f"{W}/datastores/workspaceblobstore/files/large.bin"
    with temporary_server(tmp_path) as server, client(server) as http:
        assert http.put(path, content=content).status_code == 201
        assert http.get(path).content == content


STEP = """
import json, os, urllib.request
url = os.environ["PENSTOCK_URL"] + "/api/v1/workspaces/default/step-runs/"
url += os.environ["AZUREML_RUN_ID"]
body = json.dumps({"metrics": [{"name": "answer", "value": 42}]}).encode()
headers = {"Authorization": f"Bearer {os.environ['AZUREML_RUN_TOKEN']}",
           "Content-Type": "application/json"}
urllib.request.urlopen(urllib.request.Request(f"{url}/metrics", body, headers)).close()
print("token:", os.environ["AZUREML_RUN_TOKEN"])
"""


def test_a_step_writes_to_its_run_with_a_token_that_ends_with_it(tmp_path: Path) -> None:
    script = STEP.encode()
    sha256 = hashlib.sha256(script).hexdigest()
    with temporary_server(tmp_path, step_poll_seconds=0.1) as server, client(server) as http:
        http.put(f"{W}/blobs/{sha256}", content=script)
        file = {"path": "s.py", "sha256": sha256, "size": len(script)}
        snapshot = http.post(f"{W}/snapshots", json={"files": [file]}).json()["id"]
        step = {"id": "a", "name": "a", "script": "s.py", "snapshot_id": snapshot}
        request = {"experiment": "e", "graph": {"steps": [step]}}
        run = http.post(f"{W}/runs", json=request).json()
        ended = wait_until_ended(http, run["id"])
        (step_run,) = http.get(f"{W}/runs/{run['id']}/steps").json()
        log = http.get(f"{W}/step-runs/{step_run['id']}/log").json()
        assert ended["state"] == "Finished", log["text"]
        (metric,) = http.get(f"{W}/step-runs/{step_run['id']}/metrics").json()
        assert (metric["name"], metric["value"]) == ("answer", 42)
        assert log["is_complete"] is True
        token = log["text"].partition("token: ")[2].strip()
        assert token.startswith("psr_")
        with client(server, token) as late:
            assert late.get("/api/v1/workspaces").status_code == 401


def wait_until_ended(http: httpx.Client, run_id: str) -> dict[str, Any]:
    pause = threading.Event()
    for _ in range(600):
        run: dict[str, Any] = http.get(f"{W}/runs/{run_id}").json()
        if run["ended_at"] is not None:
            return run
        pause.wait(0.05)  # the run is another process's work; there is nothing else to wait for
    raise AssertionError(f"the run did not end: {run}")


# ---- ending --------------------------------------------------------------------------------------

RUN = """
import sys
from pathlib import Path
from penstock.serve import run_until_signal
from penstock.settings import Settings

folder = Path(sys.argv[1])
places = {"home": folder / "home", "config_dir": folder / "config", "port": 0}
settings = Settings.load({"HOME": str(folder)}, **places)
run_until_signal(settings, lambda url: print(url, flush=True))
print("ended", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_server_in_order(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-c", RUN, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as up:
        assert up.stdout is not None
        assert up.stderr is not None
        url = up.stdout.readline().strip()
        written = json.loads((tmp_path / "config" / "server.json").read_text())
        assert written == {"url": url, "pid": up.pid}
        assert httpx.get(f"{url}/health").status_code == 200
        up.send_signal(number)
        assert up.stdout.read() == "ended\n"
        assert up.stderr.read() == ""
        assert up.wait(timeout=10) == 0
    assert not (tmp_path / "config" / "server.json").exists()
