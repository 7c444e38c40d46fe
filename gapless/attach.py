"""A log group's own forwarder: started by the first command, shared, ended with the last.

Two files are beside its journal. Every attached command holds ``….users`` (a shared lock); the
forwarder ends when no command holds it. The forwarder holds ``….lock``, which says where it
listens. A command holds the first file before it reads the second, so the forwarder that it
finds cannot be about to end: one that ends keeps the first file locked until it has ended
(``common.locks``).
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

from common.errors import GaplessError
from common.locks import FileHold, hold, lock_path, owner_of, remove_if_free, wait_until_free
from common.processes import READY_WITHIN_S, ChildFailedError, ChildProcess, start_gapless
from common.state import state_dir
from gapless.aws import AwsChoice, group_folder
from gapless.settings import setting_of

_POLL_S: Final = 0.05
"""Pause between checks whether a forwarder that another command starts is ready."""

_RESTART_PAUSE_S: Final = 1.0
"""Pause between attempts to restart a forwarder that died."""


class OwnForwarder:
    """This command's attachment to a log group's own forwarder, until ``close``."""

    def __init__(self, group: str, choice: AwsChoice, journal: Path) -> None:
        """Attach to nothing yet; ``attach`` makes an open one."""
        self.group = group
        self.ready: dict[str, Any] = {}
        self._choice = choice
        self._journal = journal
        self._users = journal.with_name(journal.name + ".users")
        self._held: FileHold | None = None
        self._part: ChildProcess | None = None
        self._closing = threading.Event()

    @property
    def url(self) -> str:
        """Its WebSocket URL."""
        return str(self.ready["websocket"])

    @property
    def lifecycle(self) -> str | None:
        """Its ``--lifecycle`` rule, by which executions end; None without one."""
        found = (running_forwarder(self._journal) or {}).get("lifecycle")
        return None if found is None else str(found)

    def endless_notice(self) -> str:
        """Return a message if the end of an execution cannot be known; else an empty text.

        Silence counts as the end only if the user says so: a job may be quiet for hours, and
        would be reported as done.
        """
        if self.lifecycle is not None:
            return ""
        return (
            f"the forwarder of {self.group} cannot tell when an execution ends, so tail does "
            "not exit: set GAPLESS_LIFECYCLE to ecs:CLUSTER, pattern:RE or idle:30s before "
            "the first tail of this log group"
        )

    @property
    def folder(self) -> Path:
        """State folder of this account, Region, endpoint and log group."""
        return self._journal.parent

    def open(self, port: int = 0, meanwhile: Callable[[], None] | None = None) -> None:
        """Attach to the running forwarder, or start one on ``port`` (0 = any free one).

        ``meanwhile`` is called while a started one gets ready.

        Raises:
            GaplessError: it cannot be started; the text is its own error.
        """
        self._held = self._held or hold(self._users)
        deadline = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline and not self._closing.is_set():
            owner = running_forwarder(self._journal)
            if owner is None:
                if self._start(port, meanwhile):
                    return
            elif "websocket" in owner:
                self.ready = owner
                return
            self._closing.wait(_POLL_S)
        msg = (
            f"the forwarder of {self.group} that another command started is not ready: "
            f"see {self._journal.with_name('forwarder.log')}"
        )
        raise GaplessError(msg)

    def _start(self, port: int, meanwhile: Callable[[], None] | None) -> bool:
        """Start a forwarder; return whether it is ready, False if another command was faster."""
        # Child processes read no settings, and tail has no option for this one.
        lifecycle = setting_of("forward", "lifecycle", os.environ)
        part = start_gapless(
            f"the forwarder of {self.group}",
            [
                *("forward", self.group, "--port", str(port), "--journal", str(self._journal)),
                *("--while-held", str(self._users), *self._choice.arguments()),
                *(("--lifecycle", lifecycle) if lifecycle is not None else ()),
            ],
            log=self._journal.with_name("forwarder.log"),
        )
        try:
            if meanwhile is not None:
                meanwhile()
            self.ready = part.ready()
        except ChildFailedError:
            part.detach()
            if running_forwarder(self._journal) is not None:
                return False
            raise
        except BaseException:
            part.stop()
            part.detach()
            raise
        self._replace(part)
        return True

    def _replace(self, part: ChildProcess | None) -> None:
        if self._part is not None:
            self._part.detach()
        self._part = part

    def keep_running(self) -> None:
        """Restart the forwarder on the same port whenever it dies, until ``close``."""
        threading.Thread(target=self._restart_when_dead, name="keep-forwarder", daemon=True).start()

    def _restart_when_dead(self) -> None:
        port = urlsplit(self.url).port or 0
        while not self._closing.is_set():
            wait_until_free(lock_path(self._journal))
            if self._closing.is_set():
                return
            # Meanwhile the screen shows that the viewer is not connected, and retries.
            with contextlib.suppress(GaplessError):
                self.open(port)
            self._closing.wait(_RESTART_PAUSE_S)

    def close(self) -> None:
        """Detach; the forwarder ends if no other command is attached."""
        self._closing.set()
        self._replace(None)
        if self._held is not None:
            self._held.release()
            self._held = None
            # A running forwarder removes the file itself, as the last thing it does.
            remove_if_free(self._users, lambda: running_forwarder(self._journal) is not None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def journal_of(group: str, choice: AwsChoice) -> Path:
    """Return the journal of a log group's own forwarder.

    Raises:
        GaplessError: the state directory cannot be made.
    """
    folder = state_dir("groups", group_folder(choice, group, os.environ))
    return folder / "journal.sqlite3"


def running_forwarder(journal: Path) -> dict[str, Any] | None:
    """Return the ready line of the forwarder that uses a journal, or None.

    The dictionary is empty until the forwarder is ready.
    """
    return owner_of(lock_path(journal))


def attach(
    group: str, choice: AwsChoice, meanwhile: Callable[[], None] | None = None
) -> OwnForwarder:
    """Attach to a log group's own forwarder, which is started if none is running.

    ``meanwhile`` is called while a started one gets ready.

    Raises:
        GaplessError: it cannot be started; text and exit code are its own.
    """
    own = OwnForwarder(group, choice, journal_of(group, choice))
    try:
        own.open(meanwhile=meanwhile)
    except BaseException:
        own.close()
        raise
    return own
