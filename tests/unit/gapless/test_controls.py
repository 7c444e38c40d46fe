from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from gapless import cli
from gapless.controls import ControlApi, SimulatorControls
from gapless.errors import GaplessError
from tui.controls import Controls, ControlsError


class Board(ThreadingHTTPServer):
    """What the simulator's control API does, as far as switching goes."""

    on: dict[str, dict[str, object]]
    refuses: bool


class Handler(BaseHTTPRequestHandler):
    server: Board

    def do_GET(self) -> None:
        if self.path.endswith("/types"):
            self.answer(200, [{"type": "disconnect", "attributes": []}, {"type": "delay"}])
        else:
            self.answer(200, [{"name": name, "on": True} for name in self.server.on])

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "{}")
        if self.server.refuses:
            self.answer(400, {"error": "the lever is stuck"})
        elif self.path.endswith("/heal"):
            self.answer(200, {"healed": list(self.server.on)})
            self.server.on.clear()
        else:
            self.server.on[asked["type"]] = asked
            self.answer(200, {"name": asked["type"]})

    def do_DELETE(self) -> None:
        known = self.server.on.pop(self.path.rpartition("/")[2], None)
        self.answer(*((404, {"error": "not on"}) if known is None else (204, None)))

    def answer(self, status: int, body: object) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments: object) -> None:
        del arguments


@pytest.fixture
def board() -> Iterator[Board]:
    with Board(("127.0.0.1", 0), Handler) as server:
        server.on, server.refuses = {}, False
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def url_of(board: Board) -> str:
    return f"http://127.0.0.1:{board.server_port}/"


async def test_toggling_a_fault(board: Board) -> None:
    controls: Controls = SimulatorControls(url_of(board))
    assert not controls.names
    await controls.refresh()
    assert list(controls.names) == ["disconnect", "delay"]
    assert controls.states == {"disconnect": False, "delay": False}
    assert await controls.toggle("disconnect") is True
    assert controls.states == {"disconnect": True, "delay": False}
    assert await controls.toggle("disconnect") is False
    assert not board.on


async def test_a_fault_that_somebody_else_switched_is_seen_first(board: Board) -> None:
    controls = SimulatorControls(url_of(board))
    await controls.refresh()
    board.on["delay"] = {}
    assert await controls.toggle("delay") is False


async def test_refusals_and_silence_are_one_line(board: Board) -> None:
    controls = SimulatorControls(url_of(board))
    board.refuses = True
    with pytest.raises(ControlsError, match="the lever is stuck"):
        await controls.toggle("delay")
    with pytest.raises(ControlsError, match="cannot reach"):
        await SimulatorControls("http://127.0.0.1:1").refresh()


def test_healing(board: Board) -> None:
    api = ControlApi(url_of(board))
    api.switch_on({"type": "delay"})
    assert api.switch_off("disconnect") is False, "it is over already"
    assert [one["name"] for one in api.faults()] == ["delay"]
    assert api.heal() == ["delay"]
    assert api.faults() == []


def test_something_that_is_no_simulator(board: Board) -> None:
    board.refuses = True
    with pytest.raises(GaplessError, match="answers 400"):
        ControlApi(url_of(board)).heal()


@pytest.mark.parametrize(
    ("name", "says"),
    [("disconnect", "healed: disconnect\n"), ("cot", "healed: nothing called 'cot' was on\n")],
)
def test_healed_is_said_of_what_was_on(
    board: Board, name: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ControlApi(url_of(board)).switch_on({"type": "disconnect"})
    assert cli.run(["inject", "--heal", name, "--control", url_of(board)]) == 0
    assert capsys.readouterr().out == says
