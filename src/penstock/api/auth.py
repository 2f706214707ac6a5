"""Who asks: from the token of a request to the actor that the verbs are asked for.

The administrator's token is one text. A running step's token is good only while that attempt of
that step is at work: a process that outlives its attempt can change nothing any more.
"""

from __future__ import annotations

import binascii
import hmac
from base64 import b64decode
from collections.abc import Mapping

from penstock.api.context import Context
from penstock.core.access import ADMIN, Actor
from penstock.core.states import StepState
from penstock.errors import NotAuthenticated
from penstock.service.tokens import RunClaim
from penstock.store import steps

OPEN_PATHS = frozenset({"/health", "/api/v1/health"})
# A browser cannot send a bearer token by itself. On these pages, which only describe the API, it
# may send the token as the password that it asks its user for; nowhere else, since browsers repeat
# a password without being asked.
BROWSER_PATHS = frozenset({"/docs", "/openapi.json", "/api/v1/docs", "/api/v1/openapi.json"})

_HINT = (
    "Send the header 'Authorization: Bearer <token>'. The server's first start wrote the token to "
    "the file 'token' in its configuration folder; PENSTOCK_TOKEN sets it for SDK and CLI."
)


def token_of(authorization: str, path: str) -> str | None:
    """Return the token in an Authorization header; None when there is none that counts here."""
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip() or None
    if scheme.lower() == "basic" and path in BROWSER_PATHS:
        return _password(credentials.strip())
    return None


def _password(credentials: str) -> str | None:
    try:
        user_and_password = b64decode(credentials, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    return user_and_password.partition(":")[2] or None


def actor_of(context: Context, token: str | None) -> Actor:
    """Return whose token it is. Asks the store about a step's token, so it may block.

    Raises:
        NotAuthenticated: no token, one that nobody knows, or one of an attempt that has ended.
    """
    if token is None:
        raise NotAuthenticated(f"The request carries no token. {_HINT}")
    if hmac.compare_digest(token.encode(), context.admin_token.encode()):
        return ADMIN
    claim = context.tokens.read(token)
    if claim is None:
        raise NotAuthenticated(f"The request's token is not known here. {_HINT}")
    if not _is_at_work(context, claim):
        message = f"The token is good while attempt {claim.attempt} of its step runs, and not now."
        raise NotAuthenticated(message, step_run_id=claim.step_run_id)
    return claim.actor


def _is_at_work(context: Context, claim: RunClaim) -> bool:
    with context.store.read() as tx:
        step_run = steps.find(tx, claim.step_run_id)
    return (
        step_run is not None
        and step_run.run_id == claim.run_id
        and step_run.attempt == claim.attempt
        and step_run.state is StepState.RUNNING
    )


def challenge(path: str) -> Mapping[str, str]:
    """Return the header that says how to authenticate at `path`."""
    ways = 'Bearer realm="Penstock"'
    if path in BROWSER_PATHS:
        ways += ', Basic realm="Penstock: the token is the password", charset="UTF-8"'
    return {"WWW-Authenticate": ways}
