"""Installs the wheel as a user does, and tries it out there, outside the checkout."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from gapless.cli import COMMANDS
from gapless.extras import EXTRAS
from release.build_hook import COMPLETIONS, PAGES
from release.sandbox import GROUP, Sandbox
from tests.support.processes.gapless_processes import GaplessProcess, wait_until
from tests.support.pseudo_terminal import TerminalProcess

PACKAGES_MAX: Final = 25
MEGABYTES_MAX: Final = 95
"""Limits of the lean installation."""

COMMAND_S: Final = 120
_MB: Final = 1_000_000
_TOOLS: Final = ("pip", "setuptools", "wheel")


class Installation(NamedTuple):
    """An environment with gapless.

    Attributes:
        version: Python's version.
        extra: The extra; empty: none.
        folder: The environment.
        packages: Packages that the installation brought, gapless included.
        megabytes: Sizes of the files that it brought.
    """

    version: str
    extra: str
    folder: Path
    packages: int
    megabytes: float

    @property
    def program(self) -> Path:
        """The ``gapless`` command."""
        return self.folder / "bin" / "gapless"

    @property
    def name(self) -> str:
        """For people."""
        return f"Python {self.version}, {self.extra or 'lean'}"

    def has(self, extra: str) -> bool:
        """Whether an extra is installed."""
        return self.extra in (extra, "all")


def install(python: Path, wheel: Path, extra: str, folder: Path) -> Installation:
    """Make an environment and install the wheel, with an extra if one is named."""
    shutil.rmtree(folder, ignore_errors=True)
    _run(str(python), "-m", "venv", str(folder))
    before = _size(folder)
    ours = str(folder / "bin" / "python")
    wanted = f"gapless[{extra}] @ {wheel.as_uri()}" if extra else str(wheel)
    _run(ours, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wanted)
    listed = _run(ours, "-m", "pip", "list", "--format=freeze", "--disable-pip-version-check")
    names = [line.partition("=")[0].partition(" ")[0] for line in listed.split("\n") if line]
    version = _run(ours, "-c", "import platform; print(platform.python_version())").strip()
    packages = len([name for name in names if name not in _TOOLS])
    return Installation(version, extra, folder, packages, (_size(folder) - before) / _MB)


def find_faults(one: Installation, sandbox: Sandbox) -> Iterator[str]:
    """Try an installation out; yield what does not work."""
    yield from _wrong_size(one)
    yield from _missing_files(one)
    yield from _wrong_answers(one, sandbox)
    yield from _wrong_extras(one, sandbox)
    yield from _wrong_forwarder(one, sandbox)
    if one.has("demo"):
        yield from _wrong_demo(one, sandbox)
    if one.extra == "all":
        yield from _wrong_page(one, sandbox)


def _wrong_size(one: Installation) -> Iterator[str]:
    if not one.extra and one.packages > PACKAGES_MAX:
        yield f"{one.packages} packages, at most {PACKAGES_MAX}"
    if not one.extra and one.megabytes > MEGABYTES_MAX:
        yield f"{one.megabytes:.0f} MB, at most {MEGABYTES_MAX}"


def _missing_files(one: Installation) -> Iterator[str]:
    for path in (f"{PAGES}/gapless.1", f"{PAGES}/gapless-tail.1", *COMPLETIONS.values()):
        if not (one.folder / path).is_file():
            yield f"no {path}"


def _wrong_answers(one: Installation, sandbox: Sandbox) -> Iterator[str]:
    """Run commands that end by themselves, and compare what they print."""
    expected: list[tuple[Sequence[str], str]] = [
        (["--version"], "SQLite"),
        *(([name, "--help"], f"Usage: gapless {name}") for name in COMMANDS),
        (["groups"], GROUP),
        (["streams", GROUP], "STREAM"),
        (["doctor", GROUP], "ok    logs:FilterLogEvents"),
        (["tail", GROUP, "--since", "1h", "--no-follow", "--output", "text"], sandbox.line),
        (["verify", GROUP, "--since", "1h"], "every one is there once"),
        (["inject", "--list"], "disconnect"),
        (["scenario", "list"], "reconnect"),
    ]
    for arguments, text in expected:
        done = sandbox.run(one.program, *arguments)
        if done.returncode != 0 or text not in done.stdout:
            said = (done.stderr or done.stdout).strip()[-200:]
            yield f"gapless {' '.join(arguments)}: exit {done.returncode}, no {text!r}: {said}"
    words = {"COMP_WORDS": "gapless ta", "COMP_CWORD": "1", "_GAPLESS_COMPLETE": "bash_complete"}
    completed = sandbox.run(one.program, environment=words)
    if "plain,tail" not in completed.stdout:
        yield f"the shell does not complete 'gapless ta': {completed.stdout}{completed.stderr}"


def _wrong_extras(one: Installation, sandbox: Sandbox) -> Iterator[str]:
    """Run a command of each extra that is not installed: it must name the installation."""
    commands = {
        "demo": ["demo"],
        "web": ["demo", "--web"],
        "postgresql": ["journal", "postgresql://gapless@127.0.0.1:1/gapless"],
    }
    for extra in EXTRAS:
        if one.has(extra) or (extra == "web" and not one.has("demo")):
            continue
        done = sandbox.run(one.program, *commands[extra])
        if done.returncode != 2 or f"pipx install --force 'gapless[{extra}]'" not in done.stderr:  # noqa: PLR2004 - usage
            yield f"without {extra}: exit {done.returncode}: {done.stderr}"


def _wrong_forwarder(one: Installation, sandbox: Sandbox) -> Iterator[str]:
    """Run a forwarder, and a viewer that reads from it."""
    arguments = ("forward", GROUP, "--port", "0", "--journal", str(sandbox.folder / "journal"))
    with GaplessProcess(
        *arguments,
        state=sandbox.folder,
        environment=sandbox.environment,
        program=_program(one.program),
    ) as process:
        url = process.ready()["websocket"]
        done = sandbox.run(one.program, "tail", url, "--since", "1h", "--no-follow")
        if done.returncode != 0 or sandbox.line not in done.stdout:
            yield f"gapless tail {url}: exit {done.returncode}: {done.stderr}"
        code = process.end(signal.SIGTERM)
    if code != 0:
        yield f"gapless forward ends with {code} after SIGTERM"


def _wrong_demo(one: Installation, sandbox: Sandbox) -> Iterator[str]:
    """Watch the demo until its lines are verified, and quit."""
    program = _program(one.program)
    with TerminalProcess("demo", state=sandbox.folder, program=program) as screen:
        screen.wait_for("COMPLETE")
        screen.press("q")
        code = screen.popen.wait(COMMAND_S)
    if code != 0:
        yield f"gapless demo ends with {code} after q"


def _wrong_page(one: Installation, sandbox: Sandbox) -> Iterator[str]:
    """Open the page of the demo in a browser's place."""
    with GaplessProcess(
        "demo", "--web", state=sandbox.folder, program=_program(one.program)
    ) as process:
        wait_until(lambda: any("http://" in line for line in process.err.so_far()), "the page")
        line = next(line for line in process.err.so_far() if "http://" in line)
        url = "http://" + line.partition("http://")[2].split()[0]
        with urllib.request.urlopen(url, timeout=COMMAND_S) as response:
            page = response.read().decode()
        code = process.end(signal.SIGINT)
    if "textual.js" not in page:
        yield f"the page of demo --web loads no terminal: {page[:200]}"
    if code != 128 + signal.SIGINT:
        yield f"gapless demo --web ends with {code} after SIGINT"


def _program(path: Path) -> tuple[str, str]:
    """Return arguments of this Python that run another program in its place."""
    code = f"import os, sys; os.execv({str(path)!r}, [{str(path)!r}, *sys.argv[1:]])"
    return "-c", code


def _run(*command: str) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(  # noqa: S603 - our own command
        command, capture_output=True, text=True, check=False, env=environment
    )
    if done.returncode != 0:
        msg = f"{' '.join(command)}: exit {done.returncode}: {done.stderr[-2000:]}"
        raise SystemExit(msg)
    return done.stdout


def _size(folder: Path) -> int:
    return sum(one.lstat().st_size for one in folder.rglob("*") if not one.is_dir())
