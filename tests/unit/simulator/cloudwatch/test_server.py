from __future__ import annotations

import signal
import socket
from collections.abc import Iterator

import pytest

from simulator.cloudwatch.server import listen
from simulator.errors import SimulatorError
from simulator.moto_process import main


def test_a_port_in_use_is_said_in_one_line() -> None:
    with listen(0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SimulatorError, match=f"port {port} can't be had"):
            listen(port)
    with pytest.raises(SimulatorError, match="there is no port 70000"):
        listen(70_000)


@pytest.fixture
def own_signals() -> Iterator[None]:
    """What ``main`` blocks must not be inherited by processes of later tests."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


@pytest.mark.usefixtures("own_signals")
def test_main_says_what_is_wrong_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["--port", str(taken.getsockname()[1])]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("gapless: port ")
    assert captured.err.count("\n") == 1
