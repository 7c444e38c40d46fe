"""A log group's own forwarder: started for the first command, shared, gone with the last.

Beside its journal stand two files. ``….users`` is held (shared) by every command attached; the
forwarder waits for it and ends when nobody holds it. ``….lock`` is held by the forwarder and
says where it listens. A command takes hold of the first before it looks at the second, so the
forwarder that it finds can't be about to end: one that is keeps hold of the first until it is
gone (``lifeline``).
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

from common.errors import GaplessError
from common.locks import Hold, hold, lock_path, owner_of, remove_if_free, wait_until_free
from common.processes import READY_WITHIN_S, ChildFailedError, ChildProcess, start_gapless
from common.state import state_dir
from gapless.settings import AwsChoice, group_folder, setting_of

_LOOK_S: Final = 0.05
"""How often a forwarder that another command is starting is looked at."""

_RESTART_PAUSE_S: Final = 1.0
"""Between attempts to bring back a forwarder that died."""


class OwnForwarder:
    """This command's share of a log group's own forwarder, until ``close``."""

    def __init__(self, group: str, choice: AwsChoice, journal: Path) -> None:
        """Made by ``attach``."""
        self.group = group
        self.ready: dict[str, Any] = {}
        self._choice = choice
        self._journal = journal
        self._users = journal.with_name(journal.name + ".users")
        self._held: Hold | None = None
        self._part: ChildProcess | None = None
        self._closing = threading.Event()

    @property
    def url(self) -> str:
        """Its WebSocket URL."""
        return str(self.ready["websocket"])

    @property
    def lifecycle(self) -> str | None:
        """How it knows of the end of an execution; None: not at all."""
        found = (running(self._journal) or {}).get("lifecycle")
        return None if found is None else str(found)

    def endless(self) -> str:
        """What to tell who waits for the end of an execution, if that can't be known.

        Silence is not taken for an end unless somebody says so: a job may be quiet for hours,
        and would be reported as done.
        """
        if self.lifecycle is not None:
            return ""
        return (
            f"the forwarder of {self.group} can't know when an execution ends, so tail goes "
            "on after it: set GAPLESS_LIFECYCLE to ecs:CLUSTER, pattern:RE or idle:30s before "
            "the first tail of that log group"
        )

    @property
    def folder(self) -> Path:
        """What is kept of this account's, Region's, endpoint's and log group's."""
        return self._journal.parent

    def open(self, port: int = 0, meanwhile: Callable[[], None] | None = None) -> None:
        """Attach to the forwarder that runs, or start one at ``port`` (0 = any free one).

        ``meanwhile`` is called while the one that was started gets ready.

        Raises:
            GaplessError: it can't be started, with its own words.

        """
        self._held = self._held or hold(self._users)
        deadline = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline and not self._closing.is_set():
            owner = running(self._journal)
            if owner is None:
                if self._start(port, meanwhile):
                    return
            elif "websocket" in owner:
                self.ready = owner
                return
            self._closing.wait(_LOOK_S)
        msg = (
            f"the forwarder of {self.group} that another command started does not become ready: "
            f"see {self._journal.with_name('forwarder.log')}"
        )
        raise GaplessError(msg)

    def _start(self, port: int, meanwhile: Callable[[], None] | None) -> bool:
        """Whether the one started is ready; not so where another command was faster."""
        # Parts see no settings; this one's can't be said on the command line of tail.
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
            if running(self._journal) is not None:
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

    def keep(self) -> None:
        """Bring the forwarder back, on the port it had, should it die while we are attached."""
        threading.Thread(target=self._keep, name="keep-forwarder", daemon=True).start()

    def _keep(self) -> None:
        port = urlsplit(self.url).port or 0
        while not self._closing.is_set():
            wait_until_free(lock_path(self._journal))
            if self._closing.is_set():
                return
            # The viewer says on screen that it is not connected, and goes on trying meanwhile.
            with contextlib.suppress(GaplessError):
                self.open(port)
            self._closing.wait(_RESTART_PAUSE_S)

    def close(self) -> None:
        """Let go; the forwarder ends if nobody else is attached."""
        self._closing.set()
        self._replace(None)
        if self._held is not None:
            self._held.release()
            self._held = None
            # A forwarder that runs takes it away itself, last of all: see lifeline.
            remove_if_free(self._users, lambda: running(self._journal) is not None)

    def __enter__(self) -> Self:
        """Until the end of the ``with`` block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let go."""
        self.close()


def journal_of(group: str, choice: AwsChoice) -> Path:
    """Where a log group's own forwarder keeps its journal.

    Raises:
        GaplessError: the state directory can't be made.

    """
    folder = state_dir("groups", group_folder(choice, group, os.environ))
    return folder / "journal.sqlite3"


def running(journal: Path) -> dict[str, Any] | None:
    """The ready line of the forwarder that has a journal (empty until it is ready), or None."""
    return owner_of(lock_path(journal))


def attach(
    group: str, choice: AwsChoice, meanwhile: Callable[[], None] | None = None
) -> OwnForwarder:
    """This account's, Region's and endpoint's forwarder of a log group, started if need be.

    ``meanwhile`` is called while it gets ready, where it has to be started.

    Raises:
        GaplessError: it can't be started, with its own words and exit code.

    """
    own = OwnForwarder(group, choice, journal_of(group, choice))
    try:
        own.open(meanwhile=meanwhile)
    except BaseException:
        own.close()
        raise
    return own
