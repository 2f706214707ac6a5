"""The tokens that running steps carry: signed statements of whose they are, kept nowhere.

    psr_<fields>.<signature>      both URL-safe base64; the fields are a JSON list

The signature (HMAC-SHA256) only shows that this server made the token. Whether it is good *now* is
asked of the store with every request: while that attempt of that step run is at work, not later.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass

from penstock.core.access import Actor

PREFIX = "psr_"
_LENGTH_MAX = 1024  # of a token; ours have about 220 characters
_PURPOSE = b"penstock run token 1\0"  # so that nothing else signed with the secret passes


@dataclass(frozen=True, slots=True, kw_only=True)
class RunClaim:
    """What a token says: the attempt that it was made for."""

    run_id: str
    step_run_id: str
    attempt: int
    workspace_id: str

    @property
    def actor(self) -> Actor:
        """The step at work that shows this token."""
        return Actor(
            name=f"step {self.step_run_id}",
            run_id=self.run_id,
            step_run_id=self.step_run_id,
            workspace_id=self.workspace_id,
        )


class RunTokens:
    """Makes and reads the tokens of running steps."""

    def __init__(self, secret: bytes) -> None:
        """Keep the secret; whoever knows it can make tokens."""
        assert len(secret) >= 32, "a shorter secret could be guessed"
        self._secret = secret

    def make(self, run_id: str, step_run_id: str, attempt: int, workspace_id: str) -> str:
        """Return the token of one attempt. The same attempt has the same token, always."""
        fields = json.dumps([run_id, step_run_id, attempt, workspace_id], separators=(",", ":"))
        body = _encoded(fields.encode())
        return f"{PREFIX}{body}.{self._signature(body)}"

    def read(self, token: str) -> RunClaim | None:
        """Return what a token of ours says; None for any other text. Says nothing about *now*."""
        if not token.startswith(PREFIX) or len(token) > _LENGTH_MAX or not token.isascii():
            return None
        body, _, signature = token.removeprefix(PREFIX).partition(".")
        if not hmac.compare_digest(signature, self._signature(body)):
            return None
        # The signature is ours, so the fields are as `make` wrote them.
        run_id, step_run_id, attempt, workspace_id = json.loads(urlsafe_b64decode(body + "==="))
        return RunClaim(
            run_id=run_id, step_run_id=step_run_id, attempt=attempt, workspace_id=workspace_id
        )

    def _signature(self, body: str) -> str:
        return _encoded(hmac.digest(self._secret, _PURPOSE + body.encode(), hashlib.sha256))


def _encoded(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()
