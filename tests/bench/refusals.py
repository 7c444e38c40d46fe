"""What people see while CloudWatch refuses, in seconds: the reason, and the end of what must end.

Real processes on a scripted CloudWatch: a following ``tail`` whose stderr is read, one on a
terminal, and runs with ``--no-follow`` and ``--until``, each ended by its ``--patience``.
"""

from __future__ import annotations

import re
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.support.forwarder.refusals import GROUP, LINES, REFUSALS, Refusal, working
from tests.support.forwarder.scripted_cloudwatch import ScriptedCloudWatch, scripted_cloudwatch
from tests.support.processes.gapless_processes import WAIT_S, GaplessProcess, wait_until
from tests.support.pseudo_terminal import TerminalProcess

PATIENCE_S: Final = 4
_ESCAPES: Final = re.compile(r"\x1b\[[0-9;?<>=$]*[A-Za-z]")
_COLUMNS: Final = ("stderr", "screen", "--no-follow", "--until", "screen --until")


def measure() -> Iterator[str]:
    """Yield the lines of the table."""
    yield f"seconds to the reason; exit code and seconds to the end with --patience {PATIENCE_S}s"
    yield f"{'':<28}" + "".join(f"{name:>16}" for name in _COLUMNS)
    for kind, one in REFUSALS.items():
        yield _row(f"{kind}, while watching", _while_watching(one))
        with scripted_cloudwatch(lambda _, one=one: one.reply) as scripted:  # type: ignore[misc] # the loop's value
            yield _row(f"{kind}, at the start", _at_the_start(scripted.url, one))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        # Two connections fill the queue: the kernel drops the packets of all others.
        with socket.create_connection(("127.0.0.1", port)), _half_open(port):
            url = f"http://127.0.0.1:{port}"
            yield _row("dropped, at the start", _at_the_start(url, REFUSALS["silent"]))


def _half_open(port: int) -> socket.socket:
    one = socket.socket()
    one.setblocking(False)  # noqa: FBT003 - the standard library's
    one.connect_ex(("127.0.0.1", port))
    return one


def _row(name: str, cells: list[str]) -> str:
    return f"{name:<28}" + "".join(f"{cell:>16}" for cell in cells)


def _while_watching(one: Refusal) -> list[str]:
    with (
        tempfile.TemporaryDirectory() as folder,
        scripted_cloudwatch(working()) as scripted,
        _tail(scripted.url, folder, "--output", "text") as following,
        _screen(scripted.url, folder) as screen,
    ):
        following.out.wait_for(LINES, "lines")
        wait_until(lambda: f"m{LINES}" in _shown(screen), "lines on screen")
        _refuse(scripted, one)
        reasons = _seconds_to(_has_line(following, one.text), lambda: one.badge in _shown(screen))
        return [*reasons, *_ends(scripted.url, folder)]


def _at_the_start(url: str, one: Refusal) -> list[str]:
    cells = []
    with tempfile.TemporaryDirectory() as folder:
        begun_s = time.monotonic()
        with _tail(url, folder, "--output", "text") as following:
            cells += _seconds_to(_has_line(following, one.text), begun_s=begun_s)
    with tempfile.TemporaryDirectory() as folder:
        begun_s = time.monotonic()
        with _screen(url, folder) as screen:
            # A refusal that ends the command is a line; any other is on the screen.
            cells += _seconds_to(
                lambda: one.badge in _shown(screen) or one.text in screen.written, begun_s=begun_s
            )
    with tempfile.TemporaryDirectory() as folder:
        return [*cells, *_ends(url, folder)]


def _ends(url: str, folder: str) -> list[str]:
    cells = []
    until = datetime.now(UTC).isoformat(timespec="milliseconds")
    for options in (("--no-follow",), ("--until", until, "--output", "text")):
        begun_s = time.monotonic()
        with _tail(url, folder, *options, "--patience", f"{PATIENCE_S}s") as once:
            code = once.popen.wait(WAIT_S)
            cells.append(f"{code} {time.monotonic() - begun_s:.1f}")
    begun_s = time.monotonic()
    with _screen(url, folder, "--until", until, "--patience", f"{PATIENCE_S}s") as screen:
        code = screen.popen.wait(WAIT_S)
        cells.append(f"{code} {time.monotonic() - begun_s:.1f}")
    return cells


def _refuse(scripted: ScriptedCloudWatch, one: Refusal) -> None:
    scripted.default = lambda _: one.reply


def _seconds_to(*conditions: Callable[[], bool], begun_s: float | None = None) -> list[str]:
    begun_s = time.monotonic() if begun_s is None else begun_s
    met: dict[int, float] = {}

    def all_met() -> bool:
        for number, condition in enumerate(conditions):
            if number not in met and condition():
                met[number] = time.monotonic() - begun_s
        return len(met) == len(conditions)

    wait_until(all_met, "the reason")
    return [f"{met[number]:.1f}" for number in range(len(conditions))]


def _has_line(process: GaplessProcess, text: str) -> Callable[[], bool]:
    return lambda: any(text in line for line in process.err.so_far())


def _shown(screen: TerminalProcess) -> str:
    return _ESCAPES.sub("", screen.written)


def _options(url: str) -> tuple[str, ...]:
    return (GROUP, "--endpoint-url", url, "--region", "us-east-1", "--since", "10m")


def _tail(url: str, folder: str, *options: str) -> GaplessProcess:
    return GaplessProcess("tail", *_options(url), *options, state=Path(folder))


def _screen(url: str, folder: str, *options: str) -> TerminalProcess:
    return TerminalProcess("tail", *_options(url), *options, state=Path(folder))
