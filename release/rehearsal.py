"""Runs the commands of the README exactly as they are written, one after another, on a terminal."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

from release.installation import install
from release.readme import PORT_WORD, shell_commands
from release.sandbox import Sandbox
from tests.support.pseudo_terminal import TerminalProcess

SETTLE_S: Final = 25.0
"""A command that still runs after this long is taken to run until it is told to end."""

END_S: Final = 30.0
_POLL_S: Final = 0.2

SKIPPED: Final = {
    r"^make ": "needs a clone: .ci/run does the same",
    r"^python3? -m tests": "needs a clone",
    r"^git clone": "needs the repository's address",
    r"postgresql://|PGPASS|\bpsql\b|--forwarders": "needs a database",
    r"--jobs|run all\b": "takes long: part of the tests",
    r"(^|[|;&(] *)(docker|podman|aws|systemctl|sudo|journalctl)\b": "needs another program",
}
"""Commands that are not run here, and why."""

_STAYING: Final = ("forward", "simulate")
"""Commands that later ones connect to; each runs until another of its kind starts."""

_GROUP: Final = re.compile(r"(?<![\w:~])/(?:ecs|aws)(?:/[\w-]+)+")
_PORT: Final = re.compile(r"ws://127\.0\.0\.1:(\d+)/")


class Outcome(NamedTuple):
    """What became of one command; ``fault`` is empty if it worked."""

    command: str
    took_s: float
    fault: str = ""
    skipped: str = ""


def named_groups(text: str) -> set[str]:
    """Return the log groups that a page names, for the simulated CloudWatch to have them."""
    patterns = set(re.findall(r"(/(?:ecs|aws/lambda)/)\*", text))
    return set(_GROUP.findall(text)) - {"/aws/lambda"} | {f"{one}orders" for one in patterns}


def rehearse(
    text: str, sandbox: Sandbox, tools: Mapping[str, str], settle_s: float = SETTLE_S
) -> Iterator[Outcome]:
    """Run a page's commands; yield what became of each.

    Args:
        text: The page.
        sandbox: Where they run.
        tools: Variables of the commands; see ``prepare_installers``.
        settle_s: When a command is taken to run until it is told to end.
    """
    (sandbox.folder / "groups.txt").write_text("/ecs/other\n", encoding="utf-8")
    staying: dict[str, TerminalProcess] = {}
    with ExitStack() as stack:
        for command in shell_commands(text):
            why = next((why for what, why in SKIPPED.items() if re.search(what, command)), "")
            if why:
                yield Outcome(command, 0, skipped=why)
                continue
            kind = next((one for one in _STAYING if f"gapless {one}" in command), "")
            if kind in staying:
                _stop(staying.pop(kind))
            started_s = time.monotonic()
            found = _PORT.search(staying["simulate"].written) if "simulate" in staying else None
            written = command.replace(PORT_WORD, found[1]) if found else command
            screen = stack.enter_context(_start(written, sandbox, tools))
            fault = _watch(screen, settle_s, is_staying=bool(kind))
            if kind and not fault:
                staying[kind] = screen
            yield Outcome(command, time.monotonic() - started_s, fault)
        for one in staying.values():
            _stop(one)


def prepare_installers(
    sandbox: Sandbox, wheel: Path, *, is_clone: bool = False
) -> Mapping[str, str]:
    """Install pipx and uv, which find the wheel in place of a registry's; return variables.

    ``is_clone``: the page also uses the environment of a clone, ``.venv``.
    """
    tools = sandbox.folder / "tools"
    if not tools.exists():
        subprocess.run([sys.executable, "-m", "venv", tools], check=True)  # noqa: S603 - our own
        pip = [str(tools / "bin" / "python"), "-m", "pip", "install", "--quiet", "pipx", "uv"]
        subprocess.run(pip, check=True)  # noqa: S603 - our own
    if is_clone:
        # What `make demo` leaves in a clone.
        install(Path(sys.executable), wheel, "all", sandbox.folder / ".venv")
    constraint = sandbox.folder / "constraint.txt"
    constraint.write_text(f"gapless @ {wheel.as_uri()}\n", encoding="utf-8")
    home = sandbox.folder / "home"
    shutil.rmtree(home, ignore_errors=True)
    path = [home / ".local" / "bin", tools / "bin", "/usr/local/bin", "/usr/bin", "/bin"]
    return {
        "PATH": ":".join(map(str, path)),
        "PIP_CONSTRAINT": str(constraint),
        "UV_CONSTRAINT": str(constraint),
        "PIPX_DEFAULT_PYTHON": sys.executable,
        "UV_PYTHON": sys.executable,
        "UV_SYSTEM_CERTS": "true",
    }


def _start(command: str, sandbox: Sandbox, tools: Mapping[str, str]) -> TerminalProcess:
    code = "import os, sys; os.execv('/bin/bash', ['bash', '-c', sys.argv[1]])"
    return TerminalProcess(
        f"set -o pipefail; cd {sandbox.folder} && {command}",
        state=sandbox.folder,
        environment={**sandbox.environment, **tools},
        program=("-c", code),
    )


def _watch(screen: TerminalProcess, settle_s: float, *, is_staying: bool) -> str:
    """Wait for a command's end, or end it once it has settled; return what went wrong."""
    code = _wait(screen, settle_s)
    if code is None and is_staying:
        return ""
    if code is None:
        code = _stop(screen)
        if code in (0, 128 + signal.SIGINT, -signal.SIGINT):
            return ""
    if code == 0 and not is_staying:
        return ""
    text = re.sub(r"\x1b[\[\]][^a-zA-Z\x07]*[a-zA-Z\x07]", "", screen.written)
    return f"exit {code}: {' '.join(text.split())[-300:]}"


def _stop(screen: TerminalProcess) -> int | None:
    """End a command as a user does: q on a screen, else Ctrl+C; None if it does not end."""
    for key in ("q", "\x03", "\x03"):
        screen.press(key)
        code = _wait(screen, END_S / 3)
        if code is not None:
            return code
    return None


def _wait(screen: TerminalProcess, within_s: float) -> int | None:
    try:
        return screen.popen.wait(within_s)
    except subprocess.TimeoutExpired:
        return None
