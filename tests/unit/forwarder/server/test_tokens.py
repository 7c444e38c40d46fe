from __future__ import annotations

import asyncio
import hmac
from pathlib import Path

import pytest

from forwarder.errors import ConfigError
from forwarder.records import TokenVerdict
from forwarder.server.tokens import BearerTokens, TokenFile, TokenGrant


def tokens(tmp_path: Path, text: str) -> BearerTokens:
    path = tmp_path / "tokens"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return BearerTokens.load(path)


@pytest.mark.parametrize(
    ("header", "group", "verdict"),
    [
        (None, "/a", "unknown"),
        ("", "/a", "unknown"),
        ("Bearer ", "/a", "unknown"),
        ("Bearer wrong-token", "/a", "unknown"),
        ("Basic everything-token", "/a", "unknown"),
        ("Bearer everything-token", "/a", "ok"),
        ("bearer  everything-token ", None, "ok"),
        ("Bearer scoped-token", "/team/x", "ok"),
        ("Bearer scoped-token", "/other", "denied"),
        ("Bearer scoped-token", None, "ok"),
        ("Bearer twice-token", "/a", "ok"),
        ("Bearer twice-token", "/b", "ok"),
        ("Bearer twice-token", "/c", "denied"),
        ("Bearer \udcff", "/a", "unknown"),
    ],
)
def test_a_token_covers_the_pattern_of_its_line(
    tmp_path: Path, header: str | None, group: str | None, verdict: TokenVerdict
) -> None:
    text = "# all\neverything-token\n\nscoped-token /team/*\ntwice-token /a\ntwice-token /b\n"
    assert tokens(tmp_path, text).check(header, group) == verdict


@pytest.mark.parametrize("text", ["", "# nothing\n", "short\n", "a-long-token /a /b\n"])
def test_an_invalid_file(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="--token-file"):
        tokens(tmp_path, text)


def test_a_file_that_can_not_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read"):
        BearerTokens.load(tmp_path / "missing")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "tokens"
    path.write_text("a-long-token\n", encoding="utf-8")
    path.chmod(mode)
    with pytest.raises(ConfigError, match=f"other users can read .*: run chmod 600 {path}"):
        BearerTokens.load(path)
    path.chmod(0o600)
    assert len(BearerTokens.load(path)) == 1


def test_every_token_is_compared_in_constant_time_at_one_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tokens(tmp_path, "first-token\nsecond-token-much-longer /a\nthird-token\n")
    compared: list[tuple[int, int]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return one == other

    monkeypatch.setattr(hmac, "compare_digest", compare)
    for header in ("Bearer first-token", "Bearer no", "Bearer " + "x" * 5_000):
        compared.clear()
        made.check(header, "/a")
        assert compared == [(32, 32)] * 3


def test_a_token_is_not_shown() -> None:
    shown = repr(TokenGrant("secret-token", "/a")) + repr(
        BearerTokens([TokenGrant("secret-token")]).__dict__
    )
    assert "secret" not in shown


class Changing:
    """A token file that a test changes, and is looked at as if time had passed."""

    def __init__(self, tmp_path: Path, text: str) -> None:
        self.path = tmp_path / "tokens"
        self.path.write_text(text, encoding="utf-8")
        self.path.chmod(0o600)
        self.file = TokenFile(self.path)

    def write(self, text: str) -> None:
        other = self.path.with_suffix(".new")
        other.write_text(text, encoding="utf-8")
        other.chmod(0o600)
        other.replace(self.path)

    def verdicts(self, *given: str) -> list[TokenVerdict]:
        return [self.file.tokens.check(f"Bearer {one}", "/a") for one in given]


@pytest.fixture
def changing(tmp_path: Path) -> Changing:
    return Changing(tmp_path, "old-token\n")


def test_other_tokens_count_once_the_file_is_stable(changing: Changing) -> None:
    assert not changing.file.reload()
    changing.write("half-of-a-new-file\n")
    assert not changing.file.reload()
    changing.write("new-token\nscoped-token /b\n")
    assert not changing.file.reload()
    assert changing.verdicts("old-token", "new-token") == ["ok", "unknown"]
    assert changing.file.reload()
    assert changing.verdicts("old-token", "new-token", "scoped-token") == [
        "unknown",
        "ok",
        "denied",
    ]
    assert not changing.file.reload()


@pytest.mark.parametrize("text", ["", "short\n", "a-long-token /a /b\n", "töken-with-umlaut\n"])
def test_an_invalid_file_changes_nothing_and_is_reported_once(
    changing: Changing, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    changing.write(text)
    assert [changing.file.reload() for _ in range(4)] == [False] * 4
    assert changing.verdicts("old-token") == ["ok"]
    (line,) = caplog.messages
    assert "the former 1 tokens stay valid" in line
    changing.write("new-token\n")
    assert [changing.file.reload() for _ in range(3)] == [False, True, False]
    assert changing.verdicts("old-token", "new-token") == ["unknown", "ok"]


def test_a_deleted_file_changes_nothing(
    changing: Changing, caplog: pytest.LogCaptureFixture
) -> None:
    changing.path.unlink()
    assert [changing.file.reload() for _ in range(4)] == [False] * 4
    assert changing.verdicts("old-token") == ["ok"]
    assert len(caplog.messages) == 1
    changing.write("old-token\n")
    assert [changing.file.reload() for _ in range(3)] == [False] * 3


async def test_a_change_is_reported_to_the_callback(
    changing: Changing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forwarder.server.tokens.CHECK_S", 0.001)
    heard = asyncio.Event()
    running = asyncio.create_task(changing.file.run(heard.set))
    changing.write("new-token\n")
    await heard.wait()
    running.cancel()
    assert changing.verdicts("new-token") == ["ok"]
