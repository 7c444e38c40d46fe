from __future__ import annotations

import json
from typing import Any

import pytest

from gapless import cli
from gapless.commands import executions

SEEN = {
    "execution": "aaaa",
    "stream": "job/aaaa",
    "status": "FAILED",
    "first": 1_795_435_200_000,
    "last": 1_795_435_260_000,
    "count": 12,
}


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a forwarder answers, by URL; the test fills it in."""
    known: dict[str, Any] = {}

    def request(url: str, *, token: str | None) -> object:
        del token
        return known[url]

    monkeypatch.setattr(executions, "request", request)
    return known


@pytest.mark.parametrize(
    ("target", "url"),
    [
        ("ws://127.0.0.1:1", "http://127.0.0.1:1/v1/executions"),
        ("wss://h/v1/tail?group=%2Fa", "https://h/v1/executions?group=%2Fa"),
    ],
)
def test_a_forwarder_is_asked(
    target: str, url: str, answers: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    answers[url] = [SEEN]
    assert cli.run(["executions", target, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [SEEN]
    assert cli.run(["executions", target]) == 0
    title, row = capsys.readouterr().out.splitlines()
    assert title.split() == [
        "EXECUTION",
        "STATUS",
        "FIRST",
        "EVENT",
        "LAST",
        "EVENT",
        "EVENTS",
        "LOG",
        "STREAM",
    ]
    assert row.startswith("aaaa       FAILED")
    assert "12  job/aaaa" in row


def test_none_yet(answers: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    answers["http://127.0.0.1:1/v1/executions"] = []
    assert cli.run(["executions", "ws://127.0.0.1:1"]) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "gapless: no executions yet\n")


def test_a_server_that_is_not_a_forwarder(
    answers: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    answers["http://127.0.0.1:1/v1/executions"] = {"hello": "world"}
    assert cli.run(["executions", "ws://127.0.0.1:1"]) == 1
    assert "is it a forwarder?" in capsys.readouterr().err
