"""The tokens of running steps: what was signed is what is read, and nothing else is."""

from __future__ import annotations

import pytest

from penstock.service.tokens import RunClaim, RunTokens

TOKENS = RunTokens(b"a" * 32)
TOKEN = TOKENS.make("run-1", "step-1", 3, "workspace-1")


def test_a_token_says_what_it_was_made_for() -> None:
    claim = TOKENS.read(TOKEN)
    assert claim == RunClaim(
        run_id="run-1", step_run_id="step-1", attempt=3, workspace_id="workspace-1"
    )
    assert claim.actor.run_id == "run-1"
    assert claim.actor.step_run_id == "step-1"
    assert claim.actor.workspace_id == "workspace-1"


def test_the_same_attempt_has_the_same_token() -> None:
    assert TOKENS.make("run-1", "step-1", 3, "workspace-1") == TOKEN
    assert TOKENS.make("run-1", "step-1", 4, "workspace-1") != TOKEN


def test_a_token_is_one_printable_word() -> None:
    assert TOKEN.startswith("psr_")
    assert TOKEN.isascii()
    assert TOKEN.replace("_", "").replace("-", "").replace(".", "").isalnum()


def test_another_secret_reads_nothing() -> None:
    assert RunTokens(b"b" * 32).read(TOKEN) is None


@pytest.mark.parametrize("place", range(len(TOKEN)))
def test_a_changed_character_spoils_it(place: int) -> None:
    other = "A" if TOKEN[place] != "A" else "B"
    assert TOKENS.read(TOKEN[:place] + other + TOKEN[place + 1 :]) is None


@pytest.mark.parametrize(
    "text",
    ["", "psr_", "psr_.", "psr_W10", "psr_é.é", TOKEN[:-1], TOKEN + "A", "psr_" + "A" * 5000],
)
def test_any_other_text_is_none(text: str) -> None:
    assert TOKENS.read(text) is None


def test_a_short_secret_is_a_mistake_of_the_programmer() -> None:
    with pytest.raises(AssertionError):
        RunTokens(b"short")
