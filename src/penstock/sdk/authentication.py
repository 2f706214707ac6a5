"""Authentication objects of the old SDK. All of them stand for the token that this user has here.

Whoever passes one gets in as the user whose token is found (PENSTOCK_TOKEN, or the configuration
folder); tenants, identities and passwords are taken and not used.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from enum import Enum
from typing import Any, NamedTuple

import httpx

from penstock.clock import SystemClock
from penstock.errors import NotAuthenticated
from penstock.settings import find_connection

_TOKEN_LIFETIME = timedelta(days=1)  # ours do not expire; scripts only ask for fresh ones


class Audience(Enum):
    """What a token is for; here one token is for everything."""

    ARM = "ARM"
    AZUREML = "AZUREML"


class AccessToken(NamedTuple):
    """A token and when to ask for it again, in seconds since 1970."""

    token: str
    expires_on: int


def _with_expiry(token: str) -> AccessToken:
    return AccessToken(token, int((SystemClock().now() + _TOKEN_LIFETIME).timestamp()))


class AbstractAuthentication:
    """Someone who has a token."""

    def __init__(self, cloud: str | None = None) -> None:
        """Take `cloud` and do nothing with it."""
        self._cloud = cloud

    def get_authentication_header(self) -> dict[str, str]:
        """Return the header that a request to the server needs."""
        return {"Authorization": f"Bearer {self._token()}"}

    def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
        """Return the token with a time at which to ask again."""
        return _with_expiry(self._token())

    def signed_session(self, session: Any = None) -> Any:
        """Return `session`, or a new httpx.Client, that sends the token with every request."""
        session = session if session is not None else httpx.Client()
        session.headers.update(self.get_authentication_header())
        return session

    def _token(self) -> str:
        connection = find_connection(os.environ)
        if connection.token is None:
            raise NotAuthenticated(
                f"There is no token for {connection.url}. Set PENSTOCK_TOKEN, or run as the user "
                "who started the server (`penstock up`)."
            )
        return connection.token


class InteractiveLoginAuthentication(AbstractAuthentication):
    """Nobody is asked for anything: the token is already here."""

    def __init__(
        self, force: bool = False, tenant_id: str | None = None, cloud: str | None = None
    ) -> None:
        """Take the arguments and do nothing with them."""
        super().__init__(cloud)


class AzureCliAuthentication(AbstractAuthentication):
    """The user's own token."""


class MsiAuthentication(AbstractAuthentication):
    """The user's own token."""

    def __init__(self, cloud: str | None = None, **kwargs: Any) -> None:
        """Take the arguments and do nothing with them."""
        super().__init__(cloud)


class ServicePrincipalAuthentication(AbstractAuthentication):
    """The user's own token; the principal's password is neither kept nor sent."""

    def __init__(
        self,
        tenant_id: str,
        service_principal_id: str,
        service_principal_password: str,
        cloud: str = "AzureCloud",
    ) -> None:
        """Take the arguments and do nothing with them."""
        super().__init__(cloud)


class TokenAuthentication(AbstractAuthentication):
    """A token that a function of the caller's returns."""

    def __init__(
        self, get_token_for_audience: Callable[[Audience], str], cloud: str | None = None
    ) -> None:
        """Keep the function; it is called whenever a token is needed."""
        super().__init__(cloud)
        self._get_token = get_token_for_audience

    def get_token(  # type: ignore[override]  # the old signature
        self, audience: Audience = Audience.ARM
    ) -> AccessToken:
        """Return what the function returns for an audience."""
        return _with_expiry(self._get_token(audience))

    def _token(self) -> str:
        return self._get_token(Audience.AZUREML)


class ArmTokenAuthentication(AbstractAuthentication):
    """A token that the caller brings."""

    def __init__(self, arm_access_token: str, cloud: str = "None") -> None:
        """Keep the token."""
        super().__init__(cloud)
        self._given = arm_access_token

    def update_arm_access_token(self, new_arm_access_token: str) -> None:
        """Replace the token."""
        self._given = new_arm_access_token

    def _token(self) -> str:
        return self._given
