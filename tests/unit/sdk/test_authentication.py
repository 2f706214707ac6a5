"""Authentication objects: whatever is asked for, the token that is here is given."""

from __future__ import annotations

import pytest

from penstock import (
    AzureCliAuthentication,
    InteractiveLoginAuthentication,
    MsiAuthentication,
    NotAuthenticated,
    ServicePrincipalAuthentication,
    TokenAuthentication,
)

TOKEN = "pst_" + "x" * 43


@pytest.mark.parametrize(
    "authentication",
    [
        InteractiveLoginAuthentication(tenant_id="t"),
        ServicePrincipalAuthentication("t", "id", "password"),
        AzureCliAuthentication(),
        MsiAuthentication(),
        TokenAuthentication(lambda audience: TOKEN),
    ],
)
def test_the_header_has_the_token(monkeypatch, authentication):
    monkeypatch.setenv("PENSTOCK_TOKEN", TOKEN)
    assert authentication.get_authentication_header() == {"Authorization": f"Bearer {TOKEN}"}
    token = authentication.get_token()
    assert token.token == token[0] == TOKEN
    assert token.expires_on == token[1] > 1_700_000_000
    assert "password" not in repr(vars(authentication))


def test_a_session_sends_it(monkeypatch):
    monkeypatch.setenv("PENSTOCK_TOKEN", TOKEN)
    with InteractiveLoginAuthentication().signed_session() as session:
        assert session.headers["Authorization"] == f"Bearer {TOKEN}"
        assert MsiAuthentication().signed_session(session) is session


def test_no_token_says_where_one_comes_from(monkeypatch, tmp_path):
    monkeypatch.delenv("PENSTOCK_TOKEN", raising=False)
    monkeypatch.setenv("PENSTOCK_CONFIG_DIR", str(tmp_path))
    with pytest.raises(NotAuthenticated, match="PENSTOCK_TOKEN"):
        InteractiveLoginAuthentication().get_authentication_header()
