from __future__ import annotations

import pytest

from simulator.cloudwatch.tokens import TOKEN_MS, TokenError, Tokens


def test_a_token_says_its_position_and_is_unlike_every_other() -> None:
    tokens = Tokens()
    one, two = tokens.issue("r", "a.\ud83d.7", 5), tokens.issue("r", "a.\ud83d.7", 5)
    assert one != two
    assert tokens.read("r", one, 5) == tokens.read("r", two, 5) == "a.\ud83d.7"


@pytest.mark.parametrize("token", ["x", "", "AAAA", "ä", "f/1", "A" * 40])
def test_a_malformed_token_is_refused(token: str) -> None:
    with pytest.raises(TokenError):
        Tokens().read("r", token, 5)


def test_tokens_of_other_requests_and_processes_are_refused() -> None:
    tokens = Tokens()
    token = tokens.issue("r", "1", 5)
    for reader, request in ((tokens, "s"), (Tokens(), "r")):
        with pytest.raises(TokenError):
            reader.read(request, token, 5)


def test_a_token_is_good_for_a_day() -> None:
    tokens = Tokens()
    token = tokens.issue("r", "1", 5)
    assert tokens.read("r", token, 5 + TOKEN_MS) == "1"
    with pytest.raises(TokenError):
        tokens.read("r", token, 6 + TOKEN_MS)


def test_tokens_can_be_made_to_expire() -> None:
    tokens = Tokens()
    old = tokens.issue("r", "1", 5)
    tokens.expire(5)
    with pytest.raises(TokenError):
        tokens.read("r", old, 5)
    assert tokens.read("r", tokens.issue("r", "1", 6), 6) == "1"
