from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from common import tokens
from common.errors import GaplessError, UsageError
from common.tokens import OfferedToken, TokenFileError, find_offered_token, read_token

PORT = 8765
URL = f"ws://127.0.0.1:{PORT}/v1/tail"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "state"
    monkeypatch.setenv("GAPLESS_STATE_DIR", str(folder))
    return folder


def write(path: Path, data: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(data)
    path.chmod(mode)
    return path


def test_the_first_token_of_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "token"
    assert read_token(None) is None
    assert read_token(write(path, b"  s3cret\n")) == "s3cret"
    assert read_token(write(path, b"# who may read what\n\nfirst /jobs/*\nsecond\n")) == "first"
    for bad in (b"", b"# none\n", b"a\x07", "ü".encode()):
        with pytest.raises(UsageError, match="holds no token"):
            read_token(write(path, bad))
    with pytest.raises(UsageError, match="cannot read the token file"):
        read_token(tmp_path / "none")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o666])
def test_a_token_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path / "token", b"s3cret\n", mode)
    with pytest.raises(UsageError, match=f"chmod 600 {path}") as caught:
        read_token(path)
    assert "\n" not in str(caught.value)
    assert "s3cret" not in str(caught.value)
    path.chmod(0o400)
    assert read_token(path) == "s3cret"


def test_a_token_may_come_from_a_pipe() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"s3cret\n")
    os.close(writing)
    try:
        assert read_token(Path(f"/dev/fd/{reading}")) == "s3cret"
    finally:
        os.close(reading)


def test_an_offered_token_is_found_while_its_forwarder_runs(state: Path) -> None:
    offered, other = OfferedToken(), OfferedToken()
    assert len(offered.token) >= 32
    assert offered.token != other.token
    assert offered.token not in repr(offered)
    assert find_offered_token(URL) is None
    path = offered.publish("127.0.0.1", PORT)
    assert path.is_relative_to(state)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert find_offered_token(URL) == read_token(path) == offered.token
    assert find_offered_token(f"ws://127.0.0.1:{PORT + 1}") is None
    offered.withdraw()
    offered.withdraw()
    assert find_offered_token(URL) is None
    assert not path.exists()


def test_no_umask_makes_an_offered_token_public_or_unreadable() -> None:
    for umask in (0, 0o777):
        before = os.umask(umask)
        try:
            offered = OfferedToken()
            path = offered.publish("127.0.0.1", PORT)
        finally:
            os.umask(before)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        offered.withdraw()


def test_the_token_of_a_killed_forwarder_is_not_sent_to_whoever_has_its_port(state: Path) -> None:
    offered = OfferedToken()
    path = offered.publish("127.0.0.1", PORT)
    left = path.read_bytes()
    offered.withdraw()
    write(path, left)
    assert find_offered_token(URL) is None
    descriptor = os.open(path, os.O_RDONLY)
    successor = OfferedToken()
    assert successor.publish("127.0.0.1", PORT) == path
    assert find_offered_token(URL) == successor.token
    assert os.pread(descriptor, 100, 0) == b"", "who has opened the old file reads nothing new"
    os.close(descriptor)
    successor.withdraw()
    assert list((state / "tokens").iterdir()) == []


def test_one_forwarder_offers_a_token_for_an_address() -> None:
    offered = OfferedToken()
    offered.publish("127.0.0.1", PORT)
    with pytest.raises(GaplessError, match=f"port {PORT} of 127.0.0.1 is in use"):
        OfferedToken().publish("127.0.0.1", PORT)
    second = OfferedToken()
    second.publish("127.0.0.2", PORT)
    assert find_offered_token(f"ws://127.0.0.2:{PORT}") == second.token
    assert find_offered_token(URL) == offered.token
    offered.withdraw()
    second.withdraw()


@pytest.mark.parametrize(
    ("listening", "url", "is_found"),
    [
        ("127.0.0.1", "ws://localhost:8765", True),
        ("localhost", "ws://127.0.0.1:8765", True),
        ("localhost", "ws://[::1]:8765", True),
        ("::1", "wss://[::1]:8765/v1/tail?group=x", True),
        ("[::1]", "ws://LOCALHOST:8765", True),
        ("::1", "ws://127.0.0.1:8765", False),
        ("127.0.0.1", "ws://logs.example.com:8765", False),
        ("127.0.0.1", "ws://127.0.0.1", False),
        ("127.0.0.1", "ws://[", False),
    ],
)
def test_which_url_belongs_to_an_offered_token(listening: str, url: str, *, is_found: bool) -> None:
    offered = OfferedToken()
    offered.publish(listening, PORT)
    assert (find_offered_token(url) == offered.token) is is_found
    offered.withdraw()


def test_an_offered_token_that_others_can_read_is_refused() -> None:
    offered = OfferedToken()
    path = offered.publish("127.0.0.1", PORT)
    path.chmod(0o644)
    with pytest.raises(TokenFileError, match="chmod 600"):
        find_offered_token(URL)
    offered.withdraw()


def test_looking_for_a_token_makes_no_folder(state: Path) -> None:
    assert find_offered_token(URL) is None
    assert not state.exists()


def test_a_token_pipe_without_a_writer_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "_PIPE_S", 0.0)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    with pytest.raises(TokenFileError, match="nothing comes through"):
        read_token(pipe)
