"""The background forwarder of an account, Region and endpoint: shared by all commands of a user.

The first command starts it; it ends with the last one attached. It serves any log group that they
ask for, as the parameter ``group`` of ``/v1/tail`` and of the HTTP paths (PROTOCOL.md).

Beside its folder of journals are two files. Every attached command holds ``journals.users`` (a
shared lock); the forwarder ends when no command holds it. The forwarder holds ``journals.lock``,
which says where it listens. A command holds the first file before it reads the second, so the
forwarder that it finds cannot be about to end: one that ends keeps the first file locked until it
has ended (``common.locks``). ``journals.stopped`` is there after ``gapless forwarders stop``:
attached commands do not start that forwarder again; the next new command does, on the same port.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlencode, urlsplit

from common.errors import CannotConnectError, GaplessError, UsageError
from common.files import read_regular, replace_file
from common.http import HttpStatusError, request
from common.locks import FileHold, hold, lock_path, owner_of, remove_if_free, wait_until_free
from common.processes import READY_WITHIN_S, ChildFailedError, ChildProcess, start_gapless
from common.state import state_dir, state_path
from common.tokens import find_offered_token
from gapless.aws import ACCOUNTS, JOURNALS, AwsChoice, account_folder, group_folder
from gapless.settings import setting_of
from gapless.terminal import say

_POLL_S: Final = 0.05
"""Pause between checks whether a forwarder that another command starts is ready."""

_FILTERED_ENDS: Final = {
    "pattern": "only a last line that matches --filter-pattern ends an execution: if it does not "
    "match, tail does not exit",
    "idle": "silence ends no execution with --filter-pattern, as other lines may go on: tail does "
    "not exit",
}
"""Notices by kind of lifecycle rule, where only matching events are read."""

_RESTART_PAUSE_S: Final = 1.0
"""Pause between attempts to restart a forwarder that died."""


class OwnForwarder:
    """This command's attachment to the background forwarder of its account, until ``close``."""

    def __init__(
        self, choice: AwsChoice, journals: Path, *, calls_per_second: float | None = None
    ) -> None:
        """Attach to nothing yet; ``attach`` makes an open one."""
        self.ready: dict[str, Any] = {}
        self._choice = choice
        self._calls_per_second = calls_per_second
        self._journals = journals
        self._users = journals.with_name(journals.name + ".users")
        self._held: FileHold | None = None
        self._part: ChildProcess | None = None
        self._lock = threading.Lock()
        """Guards ``_held`` and ``_part``: ``close`` may come while a thread restarts it."""
        self._closing = threading.Event()

    @property
    def url(self) -> str:
        """Its WebSocket URL, which takes the parameter ``group``."""
        return str(self.ready["websocket"])

    @property
    def http_url(self) -> str:
        """Scheme, host and port of its HTTP side."""
        return str(self.ready["http"])

    def token(self) -> str | None:
        """Return the token that it requires at present; None while it is not running."""
        return find_offered_token(self.url)

    def key(self, group: str) -> str:
        """Name the saved cursors of a log group: the same for every port."""
        return f"own:{group_folder(self._choice, group, os.environ)}"

    @property
    def lifecycle(self) -> str | None:
        """Its ``--lifecycle`` rule, by which executions end; None without one."""
        found = (owner_of(lock_path(self._journals)) or {}).get("lifecycle")
        return None if found is None else str(found)

    def endless_notice(self, group: str, pattern: str = "") -> str:
        """Return a message if the end of an execution may not be known; else an empty text.

        Silence counts as the end only if the user says so: a job may be quiet for hours, and
        would be reported as done.
        """
        if pattern and self.lifecycle is not None:
            return _FILTERED_ENDS.get(self.lifecycle.partition(":")[0], "")
        if self.lifecycle is not None:
            return ""
        return (
            f"the forwarder of {group} cannot tell when an execution ends, so tail does "
            "not exit: set GAPLESS_LIFECYCLE to ecs:CLUSTER, pattern:RE or idle:30s before "
            "it starts (`gapless forwarders stop` ends the running one)"
        )

    @property
    def folder(self) -> Path:
        """State folder of this account, Region and endpoint."""
        return self._journals.parent

    def serve(self, group: str, pattern: str = "") -> None:
        """Have a log group served, so that a viewer of it gets its answer at once.

        Args:
            group: The log group.
            pattern: The filter pattern of the feed; empty: all events.

        Raises:
            UsageError: CloudWatch refuses the filter pattern.
            GaplessError: it cannot be served: it does not exist, or cannot be read; the text is
                the forwarder's, with the remedy.
        """
        query = {"group": group, "pattern": pattern} if pattern else {"group": group}
        try:
            request(f"{self.http_url}/v1/groups?{urlencode(query)}", token=self.token())
        except HttpStatusError as error:
            if error.status == HTTPStatus.BAD_REQUEST and pattern:
                raise UsageError(error.detail or str(error)) from error
            raise CannotConnectError(error.detail or str(error)) from error

    def open(self, port: int = 0, meanwhile: Callable[[], None] | None = None) -> None:
        """Attach to the running forwarder, or start one on ``port`` (0 = any free one).

        ``meanwhile`` is called while a started one gets ready.

        Raises:
            GaplessError: it cannot be started; the text is its own error.
        """
        self._hold_users()
        deadline = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline and not self._closing.is_set():
            owner = owner_of(lock_path(self._journals))
            if owner is None:
                if self._start(port, meanwhile):
                    return
            elif "websocket" in owner:
                self.ready = owner
                return
            self._closing.wait(_POLL_S)
        msg = (
            "the background forwarder that another command started is not ready: "
            f"see {self._journals.with_name('forwarder.log')}"
        )
        raise GaplessError(msg)

    def _hold_users(self) -> None:
        """Hold the file of the attached commands, unless it is held already, or ``close`` came."""
        with self._lock:
            if self._held is not None:
                return
        held = hold(self._users)  # may block, while a forwarder is ending
        with self._lock:
            if not self._closing.is_set():
                self._held = held
                return
        self._let_go(held)

    def _let_go(self, held: FileHold) -> None:
        held.release()
        # A running forwarder removes the file itself, as the last thing it does.
        remove_if_free(self._users, lambda: owner_of(lock_path(self._journals)) is not None)

    def _start(self, port: int, meanwhile: Callable[[], None] | None) -> bool:
        """Start a forwarder; return whether it is ready, False if another command was faster."""
        self._adopt_former_journals()
        # Child processes read no settings, and tail has no option for the lifecycle.
        lifecycle = setting_of("forward", "lifecycle", os.environ)
        calls: float | str | None = self._calls_per_second
        if calls is None:
            calls = setting_of("forward", "calls_per_second", os.environ)
        part = start_gapless(
            "the background forwarder",
            [
                *("forward", "--any-group", "--port", str(port)),
                *("--journal", str(self._journals)),
                *("--while-held", str(self._users), *self._choice.arguments()),
                *(("--lifecycle", lifecycle) if lifecycle is not None else ()),
                *(("--calls-per-second", str(calls)) if calls is not None else ()),
            ],
            log=self._journals.with_name("forwarder.log"),
        )
        try:
            if meanwhile is not None:
                meanwhile()
            self.ready = part.ready()
        except ChildFailedError:
            part.detach()
            if owner_of(lock_path(self._journals)) is not None:
                return False
            raise
        except BaseException:
            part.stop()
            part.detach()
            raise
        self._keep(part)
        return True

    def _adopt_former_journals(self) -> None:
        if not state_path("groups").is_dir():
            return
        from gapless.forwarders.journals import adopt_former  # noqa: PLC0415 - only after an update

        for group in adopt_former(self._choice, os.environ, self._journals):
            say(
                f"a forwarder of an earlier version still has the journal of {group}: end its "
                "commands, or what they showed is not continued"
            )

    def _keep(self, part: ChildProcess) -> None:
        """Take a started forwarder in place of the last one; after ``close``, only detach it."""
        with self._lock:
            if self._closing.is_set():
                unwanted: ChildProcess | None = part  # nobody holds its lifeline: it ends by itself
            else:
                unwanted, self._part = self._part, part
        if unwanted is not None:
            unwanted.detach()

    def keep_running(self) -> None:
        """Restart the forwarder on the same port whenever it dies, until ``close``."""
        threading.Thread(target=self._restart_when_dead, name="keep-forwarder", daemon=True).start()

    def _restart_when_dead(self) -> None:
        port = urlsplit(self.url).port or 0
        while not self._closing.is_set():
            wait_until_free(lock_path(self._journals))
            if self._closing.is_set():
                return
            if stopped_port(self._journals) != port:
                # Meanwhile the screen shows that the viewer is not connected, and retries.
                with contextlib.suppress(GaplessError):
                    self.open(port)
            self._closing.wait(_RESTART_PAUSE_S)

    def reopen(self, meanwhile: Callable[[], None] | None = None) -> None:
        """Attach as a new command does: also to a forwarder that was stopped on purpose.

        It is started on the port that it had, where viewers that were attached find it.

        Raises:
            GaplessError: as for ``open``.
        """
        port = stopped_port(self._journals)
        _stop_mark(self._journals).unlink(missing_ok=True)
        if port:
            with contextlib.suppress(ChildFailedError):  # such as a port that is in use by now
                self.open(port, meanwhile)
                return
        self.open(meanwhile=meanwhile)

    def close(self) -> None:
        """Detach; the forwarder ends if no other command is attached."""
        with self._lock:
            self._closing.set()
            part, self._part = self._part, None
            held, self._held = self._held, None
        if part is not None:
            part.detach()
        if held is not None:
            self._let_go(held)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def journals_of(choice: AwsChoice) -> Path:
    """Return the folder of the journals of an account's background forwarder; not made yet.

    Raises:
        GaplessError: the state directory cannot be made.
    """
    return state_dir(ACCOUNTS, account_folder(choice, os.environ)) / JOURNALS


def running_forwarder(choice: AwsChoice) -> dict[str, Any] | None:
    """Return the ready line of an account's background forwarder; None if none is ready."""
    folder = state_path(ACCOUNTS, account_folder(choice, os.environ))
    return owner_of(lock_path(folder / JOURNALS)) or None


def attach(
    choice: AwsChoice,
    meanwhile: Callable[[], None] | None = None,
    *,
    calls_per_second: float | None = None,
) -> OwnForwarder:
    """Attach to an account's background forwarder, which is started if none is running.

    A started one makes at most ``calls_per_second``; None: as set for ``forward``. ``meanwhile`` is
    called while it gets ready.

    Raises:
        GaplessError: it cannot be started; text and exit code are its own.
    """
    own = OwnForwarder(choice, journals_of(choice), calls_per_second=calls_per_second)
    try:
        own.reopen(meanwhile)
    except BaseException:
        own.close()
        raise
    return own


def mark_stopped(journals: Path, port: int) -> None:
    """Note that the forwarder on a port is stopped on purpose: it must not be restarted.

    Raises:
        OSError: the note cannot be written.
    """
    with replace_file(_stop_mark(journals)) as file:
        file.write(json.dumps({"port": port}).encode("ascii"))


def stopped_port(journals: Path) -> int:
    """Return the port of the forwarder that was stopped on purpose; 0 if none was."""
    try:
        found = json.loads(read_regular(_stop_mark(journals)))
    except (OSError, ValueError):
        return 0
    port = found.get("port") if isinstance(found, dict) else None
    return port if isinstance(port, int) else 0


def _stop_mark(journals: Path) -> Path:
    return journals.with_name(journals.name + ".stopped")
