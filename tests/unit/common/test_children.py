from __future__ import annotations

import os
import signal
import sys

import pytest

from common import children
from common.children import Child
from simulator.errors import SimulatorError

READY = 'import json; print(json.dumps({"ready": True, "x": 1}), flush=True);'
WAIT = "import signal; signal.pause()"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);"


async def python(code: str) -> Child:
    argv = [sys.executable, "-S", "-c", code]
    return await Child.start("the part", argv, environment=os.environ)


async def test_it_is_ready_and_ends() -> None:
    child = await python(READY + WAIT)
    assert await child.ready() == {"ready": True, "x": 1}
    await child.stop()
    assert await child.ended() == -signal.SIGTERM
    await child.stop()


async def test_what_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "STOP_TIMEOUT_S", 0.1)
    child = await python(DEAF + READY + "\nwhile True: signal.pause()")
    await child.ready()
    await child.stop()
    assert await child.ended() == -signal.SIGKILL


async def test_it_does_not_stop_at_a_full_pipe() -> None:
    child = await python(READY + "print('x' * 1_000_000, flush=True)")
    await child.ready()
    assert await child.ended() == 0
    await child.stop()


async def test_an_end_before_it_is_ready_is_said() -> None:
    child = await python("raise SystemExit(3)")
    with pytest.raises(SimulatorError, match="the part ended with exit code 3"):
        await child.ready()
    await child.stop()


@pytest.mark.parametrize("line", ["hello", "{}", "[1]", '{"ready": false}'])
async def test_another_line_is_said(line: str) -> None:
    child = await python(f"print({line!r}, flush=True); {WAIT}")
    with pytest.raises(SimulatorError, match="instead of a ready line"):
        await child.ready()
    await child.stop()


async def test_silence_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "READY_TIMEOUT_S", 0.1)
    child = await python(WAIT)
    with pytest.raises(SimulatorError, match="the part was not ready within"):
        await child.ready()
    await child.stop()


async def test_a_program_that_is_not_there_is_said() -> None:
    with pytest.raises(SimulatorError, match="the part can't be started: /no/such/program"):
        await Child.start("the part", ["/no/such/program"], environment={})


async def test_how_it_ended_is_said() -> None:
    child = await python(READY)
    await child.ready()
    await child.ended()
    assert child.epitaph(2).startswith("the part ended with exit code 2")
    assert child.epitaph(-9) == "the part was ended by SIGKILL"
    assert child.epitaph(-99) == "the part was ended by signal 99"
    await child.stop()
