"""Builds deploy/Containerfile without a container engine, and runs the image: ``make container``.

Each stage is a clean Debian root made by debootstrap, in which the steps run under ``chroot`` with
mounts of their own. Needs root, util-linux, debootstrap and the registries of Debian and PyPI.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from tests.support.processes.moto_server import CREDENTIALS, raw_moto

PROJECT: Final = Path(__file__).parents[2]
CONTAINERFILE: Final = PROJECT / "deploy" / "Containerfile"

GROUP: Final = "/jobs/in-a-container"
LINES: Final = 1_000
TOKEN: Final = "token-of-the-container-test"
STEP_S: Final = 1_200.0

NAME_SERVERS: Final = "/etc/resolv.conf"
AUTHORITIES: Final = "/etc/ssl/certs/ca-certificates.crt"
"""Certificate authorities that this machine trusts; a proxy to a registry may have its own."""
TRUSTED: Final = "/etc/trusted.crt"
"""Where the build finds them; no package of the image writes there."""

_MOUNTS: Final = 'mount --bind /dev "$0/dev" && mount -t proc proc "$0/proc" && exec chroot "$@"'


class Instruction(NamedTuple):
    """One instruction of a Containerfile, such as ``RUN`` and what follows it."""

    name: str
    text: str


class Stage(NamedTuple):
    """A ``FROM`` and the instructions up to the next one."""

    base: str
    name: str
    instructions: Sequence[Instruction]

    def values(self, name: str) -> list[str]:
        """The texts of all instructions of one name."""
        return [one.text for one in self.instructions if one.name == name]

    @property
    def environment(self) -> dict[str, str]:
        """The variables that ``ENV`` sets."""
        pairs = (pair for text in self.values("ENV") for pair in shlex.split(text))
        return {name: value for name, _, value in (pair.partition("=") for pair in pairs)}

    @property
    def copies(self) -> list[tuple[str, list[str], str]]:
        """Each ``COPY``: the stage it copies from (empty: the project), sources, destination."""
        found = []
        for text in self.values("COPY"):
            words = shlex.split(text)
            options = [word for word in words if word.startswith("--from=")]
            *sources, destination = [word for word in words if not word.startswith("--")]
            found.append(("".join(options).removeprefix("--from="), sources, destination))
        return found


def parse(text: str) -> list[Stage]:
    """Return the stages of a Containerfile.

    Raises:
        ValueError: an instruction stands before the first ``FROM``.
    """
    stages: list[Stage] = []
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        name, _, rest = line.strip().partition(" ")
        if name == "FROM":
            base, *named = rest.split(" AS ")
            stages.append(Stage(base, named[0] if named else "", []))
        elif name and not stages:
            msg = f"{name} stands before the first FROM"
            raise ValueError(msg)
        elif name:
            stage = stages.pop()
            instructions = [*stage.instructions, Instruction(name, rest.strip())]
            stages.append(stage._replace(instructions=instructions))
    return stages


class Image:
    """The roots of an image's stages, below a folder.

    Args:
        stages: The stages of the Containerfile; all start from the same base.
        folder: Where the roots are made; an existing base in it is used again.
    """

    def __init__(self, stages: Sequence[Stage], folder: Path) -> None:
        self._stages = stages
        self._folder = folder

    def build(self, say: Callable[[str], object]) -> None:
        """Run every step of every stage, and say each.

        Raises:
            CalledProcessError: a step failed.
        """
        base = self._folder / "base"
        if not (base / "etc/debian_version").exists():
            suite = self._stages[0].base.partition(":")[2].removesuffix("-slim")
            _run(["debootstrap", "--variant=minbase", suite, str(base)])
        for number, stage in enumerate(self._stages):
            root = self._root(number)
            shutil.rmtree(root, ignore_errors=True)
            _run(["cp", "--archive", str(base), str(root)])
            shutil.copy(NAME_SERVERS, root / NAME_SERVERS[1:])
            if Path(AUTHORITIES).exists():
                shutil.copy(AUTHORITIES, root / TRUSTED[1:])
            copies = iter(stage.copies)
            for at, one in enumerate(stage.instructions):
                say(f"{one.name} {one.text}")
                if one.name == "RUN":
                    before = stage._replace(instructions=stage.instructions[:at])
                    _run(_chrooted(root, ["/bin/sh", "-c", one.text]), _build_environment(before))
                elif one.name == "COPY":
                    self._copy(root, *next(copies))

    def command(self, *arguments: str) -> list[str]:
        """The command line that runs the image's entry point as its user."""
        stage = self._stages[-1]
        (user,) = stage.values("USER")
        (entry,) = stage.values("ENTRYPOINT")
        run = ["--userspec", user, str(self._root(len(self._stages) - 1)), *json.loads(entry)]
        chroot = shutil.which("chroot")  # the image's own PATH is that of its user
        assert chroot is not None, "there is no chroot"
        return [chroot, *run, *arguments]

    def variables(self) -> dict[str, str]:
        """The variables of the image."""
        return self._stages[-1].environment

    def _root(self, number: int) -> Path:
        return self._folder / f"stage-{number}"

    def _copy(self, root: Path, stage: str, sources: Sequence[str], destination: str) -> None:
        names = [one.name for one in self._stages]
        origin = self._root(names.index(stage)) if stage else PROJECT
        target = root / destination.lstrip("/")
        into = target if destination.endswith("/") else target.parent
        into.mkdir(parents=True, exist_ok=True)
        for source in sources:
            _run(["cp", "--archive", str(origin / source.lstrip("/")), str(target)])


def check(image: Image) -> None:
    """Tail a log group through a forwarder that runs in the image, and stop it.

    Raises:
        AssertionError: lines are missing, or the forwarder did not end well.
    """
    texts = [f"line {number:04}" for number in range(LINES)]
    now_ms = int(time.time() * 1_000)
    with raw_moto() as moto, tempfile.TemporaryDirectory() as folder:
        moto.create(GROUP, "stream")
        moto.put(GROUP, "stream", [(now_ms - LINES + at, text) for at, text in enumerate(texts)])
        own = {"GAPLESS_TOKENS": f"{TOKEN} {GROUP}", "GAPLESS_PORT": "0"}
        environment = image.variables() | CREDENTIALS | own | {"GAPLESS_ENDPOINT_URL": moto.url}
        forwarder = subprocess.Popen(
            image.command(GROUP), env=environment, stdout=subprocess.PIPE, text=True
        )
        assert forwarder.stdout is not None
        try:
            ready = json.loads(forwarder.stdout.readline())
            token = Path(folder, "token")
            token.write_text(TOKEN)
            token.chmod(0o600)
            port = ready["websocket"].rpartition(":")[2]
            words = f"-m gapless tail ws://127.0.0.1:{port} --since 1h --no-follow --output raw"
            shown = subprocess.run(
                [sys.executable, *words.split(), "--token-file", str(token)],
                check=True,
                stdout=subprocess.PIPE,
                text=True,
                timeout=STEP_S,
            ).stdout.splitlines()
            assert shown == texts, f"{len(shown)} of {LINES} lines"
        finally:
            forwarder.send_signal(signal.SIGTERM)
            code = forwarder.wait(STEP_S)
            forwarder.stdout.close()
        assert code == 0, f"the forwarder ended with {code}"


def _chrooted(root: Path, command: Sequence[str]) -> list[str]:
    return ["unshare", "--mount", "sh", "-c", _MOUNTS, str(root), str(root), *command]


def _build_environment(stage: Stage) -> dict[str, str]:
    # How this machine reaches PyPI may be said in pip's own variables.
    pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    pip |= {"PIP_CERT": TRUSTED} if Path(AUTHORITIES).exists() else {}
    system = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    return pip | system | {"DEBIAN_FRONTEND": "noninteractive"} | stage.environment


def _run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
    subprocess.run(command, check=True, env=environment, timeout=STEP_S, stdin=subprocess.DEVNULL)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Build the image in a folder, and check it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--folder", type=Path, help="keep the roots here [a temporary one]")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        image = Image(parse(CONTAINERFILE.read_text()), asked.folder or Path(temporary))
        image.build(_say)
        check(image)
    _say(f"{LINES} of {LINES} lines through the image, in order; it ended with 0 on SIGTERM")
    return 0


if __name__ == "__main__":
    sys.exit(main())
