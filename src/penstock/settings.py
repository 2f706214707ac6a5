"""What a server is told from outside, and how a client finds its server.

Settings are read once, where a process starts, and passed down. They come from environment
variables, then from `penstock.toml` in the configuration folder, then from the defaults below;
whatever is wrong is refused with the name it has where it was written.
"""

from __future__ import annotations

import json
import math
import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from penstock.errors import Invalid

PORT = 8710
CONFIG_FILE = "penstock.toml"
TOKEN_FILE = "token"  # the administrator's token; made by the server at its first start
SERVER_FILE = "server.json"  # where the server listens; written when it is ready


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a server's owner decides about it. Each field can be set by `PENSTOCK_<FIELD>`."""

    home: Path  # the server's own data: database, secrets, files of runs
    config_dir: Path  # the user's configuration, read by server, SDK and CLI alike
    database_url: str = field(repr=False)  # may carry a password
    token: str | None = field(default=None, repr=False)  # None: the one in the token file
    host: str = "127.0.0.1"
    port: int = PORT  # 0: any free port
    steps_running_max: int = field(default_factory=lambda: os.cpu_count() or 1)
    step_poll_seconds: float = 1.0  # how often a running step is looked at
    stop_grace_seconds: float = 10.0  # between asking a step to end and making it
    late_seconds_max: float = 60.0  # a fire noticed later than this is caught up, not simply late
    python: str = sys.executable  # the interpreter that runs steps

    @classmethod
    def load(cls, environ: Mapping[str, str], **overrides: Any) -> Settings:
        """Read the settings: `overrides` first, then `environ`, then the file, then the defaults.

        An empty variable counts as absent. Nothing is created, and nothing but the file is read.

        Args:
            environ: usually `os.environ`.
            overrides: fields of this class, e.g. from command-line options; None changes nothing.

        Raises:
            Invalid: a value is not usable, or the file holds a key that means nothing.
        """
        config_dir = _config_dir(environ, overrides.get("config_dir"))
        given = _from_file(config_dir / CONFIG_FILE) | _from_environ(environ)
        given |= {name: (name, value) for name, value in overrides.items() if value is not None}
        unknown = sorted(set(given) - _READERS.keys())
        if unknown:
            raise Invalid(field=unknown[0], value="…", expected=f"one of {', '.join(_READERS)}")
        values = {name: _READERS[name](said, value) for name, (said, value) in given.items()}
        values = {
            key: _at_home(environ, v) if isinstance(v, Path) else v for key, v in values.items()
        }
        values["config_dir"] = config_dir
        values.setdefault("home", _folder(environ, "XDG_DATA_HOME", ".local/share"))
        values.setdefault("database_url", f"sqlite:///{values['home'] / 'penstock.db'}")
        return cls(**values)

    @property
    def is_loopback(self) -> bool:
        """True when only this machine can reach the server."""
        return is_loopback(self.host)


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Where a client finds its server, and the token it shows there."""

    url: str  # without a slash at the end
    token: str | None = field(
        repr=False
    )  # None: nothing was found; the server will say what is missing


def find_connection(environ: Mapping[str, str]) -> Connection:
    """Return the server to talk to: PENSTOCK_URL and PENSTOCK_TOKEN, or what a server left here.

    A server writes its address and the administrator's token into the configuration folder. That
    token goes to this machine or to the address that stands beside it, never to another host: for
    one that PENSTOCK_URL names, PENSTOCK_TOKEN must be given too. When nothing is found the address
    is the default one, and there is no token.

    Raises:
        Invalid: PENSTOCK_URL is not an address, or a file that the server wrote is not readable.
    """
    config_dir = _config_dir(environ, None)
    written = _written_url(config_dir / SERVER_FILE)
    asked = environ.get("PENSTOCK_URL")
    url = _url("PENSTOCK_URL", asked) if asked else written or f"http://127.0.0.1:{PORT}"
    token = environ.get("PENSTOCK_TOKEN") or None
    if token is None and (url == written or is_loopback(urlsplit(url).hostname or "")):
        token = read_token(config_dir / TOKEN_FILE)
    return Connection(url=url, token=token)


def read_token(path: Path) -> str | None:
    """Return the token in a file; None when there is no such file or it holds nothing."""
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"The token file {path} cannot be read: {_reason(error)}.") from error


def is_loopback(host: str) -> bool:
    """True for a name or address that only this machine answers to."""
    return host in ("localhost", "::1") or re.fullmatch(r"127(\.\d{1,3}){3}", host) is not None


# ---- readers: one a field, from text or a TOML value to the value --------------------------------


def _positive(said: str, value: Any) -> float:
    number = _number(value)
    if number is None or not 0 < number < math.inf:
        raise Invalid(field=said, value=value, expected="a number of seconds greater than 0")
    return number


def _integer(low: int, high: int) -> Callable[[str, Any], int]:
    def read(said: str, value: Any) -> int:
        number = _number(value)
        if number is None or number != int(number) or not low <= number <= high:
            raise Invalid(field=said, value=value, expected=f"a whole number from {low} to {high}")
        return int(number)

    return read


def _number(value: Any) -> float | None:
    """Return `value` as a finite number, or None. True is not one, although Python thinks so."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _host(said: str, value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(
        r"[A-Za-z0-9_.-]{1,253}|[0-9A-Fa-f:.]+", value
    ):
        expected = "a host name or an IP address, without port and scheme"
        raise Invalid(field=said, value=value, expected=expected)
    return value


def _path(said: str, value: Any) -> Path:
    if not isinstance(value, (str, Path)) or not str(value) or "\0" in str(value):
        raise Invalid(field=said, value=value, expected="a path")
    return Path(value)


def _text(said: str, value: Any) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise Invalid(field=said, value=value, expected="a line of text")
    return value


def _database_url(said: str, value: Any) -> str:
    text = _text(said, value)
    if re.match(r"sqlite:///.|postgresql(\+psycopg)?://", text):
        return text
    # Only the scheme is shown: the rest may hold a password.
    scheme = f"{text.partition(':')[0]}:…" if ":" in text else "…"
    expected = "sqlite:///<path> or postgresql://user:password@host/database"
    raise Invalid(field=said, value=scheme, expected=expected)


def _token(said: str, value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"[!-~]{16,512}", value):
        return value
    expected = "16 to 512 printable ASCII characters without spaces"
    raise Invalid(field=said, value="(not shown)", expected=expected)


_READERS: Mapping[str, Callable[[str, Any], Any]] = {
    "home": _path,
    "config_dir": _path,
    "database_url": _database_url,
    "token": _token,
    "host": _host,
    "port": _integer(0, 65_535),
    "steps_running_max": _integer(1, 100_000),
    "step_poll_seconds": _positive,
    "stop_grace_seconds": _positive,
    "late_seconds_max": _positive,
    "python": _text,
}
# The folder cannot say where it is itself, and a token belongs in a file that only its owner reads.
_NOT_IN_FILE = frozenset({"config_dir", "token"})

assert _READERS.keys() == {item.name for item in fields(Settings)}


# ---- where values come from: each with the name under which the user knows it --------------------


def variable(name: str) -> str:
    """Return the environment variable that sets the field `name`."""
    return f"PENSTOCK_{name.upper()}"


def _from_environ(environ: Mapping[str, str]) -> dict[str, tuple[str, Any]]:
    named = ((name, variable(name)) for name in _READERS)
    return {name: (said, environ[said]) for name, said in named if environ.get(said)}


def _from_file(path: Path) -> dict[str, tuple[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{path} cannot be read: {_reason(error)}.") from error
    import tomllib  # here: few have the file, and every command pays for what this module imports

    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Invalid(f"{path} is not valid TOML: {error}.") from error
    allowed = [name for name in _READERS if name not in _NOT_IN_FILE]
    for key in table.keys() - set(allowed):
        raise Invalid(
            f"{path}: there is no setting {key!r}; there are {', '.join(allowed)}.", field=key
        )
    return {key: (f"{key} (in {path})", value) for key, value in table.items()}


def _config_dir(environ: Mapping[str, str], asked: Any) -> Path:
    value = asked or environ.get("PENSTOCK_CONFIG_DIR")
    if value:
        return _at_home(environ, _path("PENSTOCK_CONFIG_DIR", value))
    return _folder(environ, "XDG_CONFIG_HOME", ".config")


def _folder(environ: Mapping[str, str], base_variable: str, otherwise: str) -> Path:
    """Return our folder below an XDG base folder; a relative base is ignored, as XDG says."""
    base = environ.get(base_variable, "")
    return (Path(base) if base.startswith("/") else _user_home(environ) / otherwise) / "penstock"


def _user_home(environ: Mapping[str, str]) -> Path:
    return Path(environ["HOME"]) if environ.get("HOME") else Path.home()


def _at_home(environ: Mapping[str, str], path: Path) -> Path:
    """Return `path` absolute, a leading ~ replaced: the current directory may change later."""
    if path.parts and path.parts[0] == "~":
        path = _user_home(environ).joinpath(*path.parts[1:])
    return path.absolute()


def _written_url(path: Path) -> str | None:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return _url(str(path), document["url"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        hint = "Remove it and start the server again, or set PENSTOCK_URL."
        raise Invalid(f"{path} does not say where the server is. {hint}") from error


def _url(said: str, value: Any) -> str:
    text = str(value).rstrip("/")
    try:
        parts = urlsplit(text)
        is_good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good or not text.isprintable() or "@" in text:
        raise Invalid(field=said, value=value, expected="an address such as http://127.0.0.1:8710")
    return text


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
