"""Settings and the finding of a server: what wins over what, and what is refused how."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from penstock.errors import Invalid
from penstock.settings import Connection, Settings, find_connection


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


def config(home: Path) -> Path:
    folder = home / ".config" / "penstock"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def load(home: Path, **environ: str) -> Settings:
    return Settings.load({"HOME": str(home), **environ})


def test_defaults_are_below_the_users_home(home: Path) -> None:
    settings = load(home)
    assert settings.home == home / ".local/share/penstock"
    assert settings.config_dir == home / ".config/penstock"
    assert settings.database_url == f"sqlite:///{settings.home}/penstock.db"
    assert (settings.host, settings.port) == ("127.0.0.1", 8710)
    assert settings.token is None
    assert settings.python == sys.executable
    assert settings.is_loopback


def test_nothing_is_created_by_loading(home: Path) -> None:
    load(home)
    assert list(home.iterdir()) == []


def test_xdg_folders_are_used_when_absolute(home: Path) -> None:
    settings = load(home, XDG_DATA_HOME=str(home / "data"), XDG_CONFIG_HOME="relative")
    assert settings.home == home / "data/penstock"
    assert settings.config_dir == home / ".config/penstock"


def test_the_database_lies_in_a_home_that_was_chosen(home: Path) -> None:
    settings = load(home, PENSTOCK_HOME="~/elsewhere")
    assert settings.database_url == f"sqlite:///{home}/elsewhere/penstock.db"


def test_options_win_over_environment_over_file_over_defaults(home: Path) -> None:
    (config(home) / "penstock.toml").write_text(
        "port = 1\nhost = 'localhost'\nstep_poll_seconds = 2\n"
    )
    environ = {"HOME": str(home), "PENSTOCK_PORT": "2", "PENSTOCK_HOST": "127.0.0.2"}
    settings = Settings.load(environ, port=3, host=None)
    assert (settings.port, settings.host, settings.step_poll_seconds) == (3, "127.0.0.2", 2.0)


def test_an_empty_variable_counts_as_absent(home: Path) -> None:
    assert load(home, PENSTOCK_PORT="", PENSTOCK_TOKEN="").port == 8710


def test_every_field_can_be_set_by_its_variable(home: Path) -> None:
    settings = load(
        home,
        PENSTOCK_HOME="/h",
        PENSTOCK_CONFIG_DIR="/c",
        PENSTOCK_DATABASE_URL="postgresql://u:p@db/x",
        PENSTOCK_TOKEN="t" * 16,
        PENSTOCK_HOST="::1",
        PENSTOCK_PORT="0",
        PENSTOCK_STEPS_RUNNING_MAX="7",
        PENSTOCK_STEP_POLL_SECONDS="0.5",
        PENSTOCK_STOP_GRACE_SECONDS="2",
        PENSTOCK_LATE_SECONDS_MAX="3",
        PENSTOCK_PYTHON="/usr/bin/python3",
    )
    assert settings == Settings(
        home=Path("/h"),
        config_dir=Path("/c"),
        database_url="postgresql://u:p@db/x",
        token="t" * 16,
        host="::1",
        port=0,
        steps_running_max=7,
        step_poll_seconds=0.5,
        stop_grace_seconds=2.0,
        late_seconds_max=3.0,
        python="/usr/bin/python3",
    )


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PENSTOCK_PORT", "-1"),
        ("PENSTOCK_PORT", "65536"),
        ("PENSTOCK_PORT", "80.5"),
        ("PENSTOCK_PORT", "http"),
        ("PENSTOCK_PORT", "nan"),
        ("PENSTOCK_PORT", "1e999"),
        ("PENSTOCK_STEPS_RUNNING_MAX", "0"),
        ("PENSTOCK_STEP_POLL_SECONDS", "-1"),
        ("PENSTOCK_STOP_GRACE_SECONDS", "soon"),
        ("PENSTOCK_HOST", "http://localhost"),
        ("PENSTOCK_HOST", "localhost:80"),
        ("PENSTOCK_HOST", "a b"),
        ("PENSTOCK_DATABASE_URL", "mysql://x"),
        ("PENSTOCK_DATABASE_URL", "sqlite://"),
        ("PENSTOCK_HOME", "a\0b"),
        ("PENSTOCK_PYTHON", "a\nb"),
    ],
)
def test_a_bad_value_is_refused_by_the_name_of_its_variable(
    home: Path, variable: str, value: str
) -> None:
    with pytest.raises(Invalid, match=variable) as caught:
        load(home, **{variable: value})
    assert caught.value.details["field"] == variable
    assert caught.value.details["expected"]


def test_secrets_appear_neither_in_errors_nor_in_representations(home: Path) -> None:
    with pytest.raises(Invalid) as caught:
        load(home, PENSTOCK_DATABASE_URL="mysql://user:hunter2@db/x")
    assert "hunter2" not in str(caught.value.details) + str(caught.value)
    with pytest.raises(Invalid) as caught:
        load(home, PENSTOCK_TOKEN="short")
    assert "short" not in str(caught.value.details) + str(caught.value)
    secret = "s" * 20
    settings = load(
        home, PENSTOCK_DATABASE_URL=f"postgresql://u:{secret}@h/d", PENSTOCK_TOKEN=secret
    )
    assert secret not in repr(settings)
    assert secret not in repr(Connection(url="http://x", token=secret))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prot = 1", "'prot'"),
        ("config_dir = '/x'", "'config_dir'"),
        ("token = 'tttttttttttttttttttt'", "'token'"),
        ("port = true", "port"),
        ("port = [1]", "port"),
        ("port = ", "not valid TOML"),
        ("[server]\nport = 1", "'server'"),
    ],
)
def test_a_bad_file_is_refused_by_its_path(home: Path, text: str, said: str) -> None:
    path = config(home) / "penstock.toml"
    path.write_text(text)
    with pytest.raises(Invalid, match=said) as caught:
        load(home)
    assert str(path) in str(caught.value)


def test_an_unknown_override_is_refused(home: Path) -> None:
    with pytest.raises(Invalid, match="prot"):
        Settings.load({"HOME": str(home)}, prot=1)


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("localhost", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.4", False),
        ("127.0.0.1.example.org", False),
    ],
)
def test_loopback_is_what_only_this_machine_reaches(
    home: Path, host: str, is_loopback: bool
) -> None:
    assert load(home, PENSTOCK_HOST=host).is_loopback is is_loopback


# ---- finding a server ----------------------------------------------------------------------------


def find(home: Path, **environ: str) -> Connection:
    return find_connection({"HOME": str(home), **environ})


def leave(home: Path, url: str | None, token: str | None) -> None:
    """Write what a server writes."""
    if url:
        (config(home) / "server.json").write_text(json.dumps({"url": url, "pid": 1}))
    if token:
        (config(home) / "token").write_text(f"{token}\n")


def test_nothing_found_is_the_default_address_without_token(home: Path) -> None:
    assert find(home) == Connection(url="http://127.0.0.1:8710", token=None)


def test_what_the_server_left_is_found(home: Path) -> None:
    leave(home, "http://127.0.0.1:4711", "pst_x")
    assert find(home) == Connection(url="http://127.0.0.1:4711", token="pst_x")


def test_the_token_is_found_before_the_server_is_up(home: Path) -> None:
    leave(home, None, "pst_x")
    assert find(home) == Connection(url="http://127.0.0.1:8710", token="pst_x")


def test_variables_win_over_what_was_left(home: Path) -> None:
    leave(home, "http://127.0.0.1:4711", "pst_x")
    found = find(home, PENSTOCK_URL="https://far.example/", PENSTOCK_TOKEN="mine")
    assert found == Connection(url="https://far.example", token="mine")


def test_the_token_of_this_machine_is_not_sent_to_another(home: Path) -> None:
    leave(home, "http://127.0.0.1:4711", "pst_x")
    assert find(home, PENSTOCK_URL="http://far.example").token is None
    assert find(home, PENSTOCK_URL="http://127.0.0.1.far.example").token is None
    assert find(home, PENSTOCK_URL="http://localhost:9000").token == "pst_x"


def test_the_token_goes_to_the_address_that_the_server_wrote(home: Path) -> None:
    leave(home, "http://192.168.1.4:8710", "pst_x")
    assert find(home).token == "pst_x"


@pytest.mark.parametrize(
    "url",
    [
        "localhost:1",
        "ftp://x",
        "http://",
        "http://x:99999",
        "http://u:p@x",
        "http://x:0",
        "http://a\n",
    ],
)
def test_a_bad_address_is_refused(home: Path, url: str) -> None:
    with pytest.raises(Invalid, match="PENSTOCK_URL"):
        find(home, PENSTOCK_URL=url)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"url": 5}', '{"url": "nowhere"}', "{"])
def test_a_spoiled_server_file_is_named(home: Path, text: str) -> None:
    path = config(home) / "server.json"
    path.write_text(text)
    with pytest.raises(Invalid, match="does not say where the server is") as caught:
        find(home)
    assert str(path) in str(caught.value)


def test_a_token_file_that_cannot_be_read_is_named(home: Path) -> None:
    (config(home) / "token").mkdir()
    with pytest.raises(Invalid, match="token"):
        find(home)


def test_importing_costs_little_and_reads_nothing() -> None:
    code = "import sys, penstock.settings; print(' '.join(sys.modules))"
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    loaded = set(output.stdout.split())
    assert "penstock.settings" in loaded
    assert loaded.isdisjoint({"tomllib", "pydantic", "httpx", "sqlalchemy", "asyncio", "socket"})
