"""What a forwarder of a replicated journal has in place of journal files, by its role."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from common.errors import EXIT_CANNOT_CONNECT
from common.state import make_private_dir
from forwarder.cloudwatch.clock import timer_ms
from forwarder.cluster.engine import EngineMaker, open_engine
from forwarder.cluster.log import PRESENCE, Unavailable
from forwarder.cluster.view import boot_id
from forwarder.config import Config
from forwarder.errors import ForwarderError, JournalError
from forwarder.groups.following import FollowingOpener
from forwarder.groups.keeper import Keeper
from forwarder.groups.leasing import LeasedJournals, Renewals
from forwarder.ingest.executions import Lifecycle
from forwarder.records import FeedKey

_NAME_BYTES: Final = 3

Job = Callable[[], Awaitable[None]]


def forwarder_name(role: str) -> str:
    """This process's name in the engine: for people, and unlike that of any other."""
    return f"{socket.gethostname()}:{os.getpid()}:{role}:{secrets.token_hex(_NAME_BYTES)}"


def engine_maker(config: Config) -> EngineMaker:
    """Return how to make engines of the configured URL, all under one name.

    Raises:
        ConfigError: the URL is invalid, or its driver is not installed.
    """
    url = config.replicated
    assert url is not None, "a replicated journal has a URL"
    name = forwarder_name(config.role)
    open_engine(url, name).close()
    return lambda: open_engine(url, name)


def views_folder(config: Config, temporary: Callable[[], Path]) -> Path:
    """The folder of this role's views, made if needed; a temporary one if none is configured.

    Raises:
        JournalError: it can't be made.
    """
    folder = temporary() if config.journal is None else config.journal / config.role
    try:
        make_private_dir(folder)
    except OSError as error:
        msg = f"the folder {folder} can't be made ({error.strerror}): give --views another one"
        raise JournalError(msg) from error
    return folder


class IngestingRole:
    """Owns log groups: journals with leases, and the job that renews them."""

    def __init__(
        self,
        folder: Path,
        make_engine: EngineMaker,
        *,
        clock: Callable[[], int],
        random: Callable[[], float],
    ) -> None:
        """Own nothing yet."""
        self._keeper: Keeper | None = None
        self.journals = LeasedJournals(
            folder,
            boot_id(),
            make_engine,
            wanted=lambda: 0 if self._keeper is None else len(self._keeper.pinned),
            clock=clock,
            timer=timer_ms,
            random=random,
        )

    def begin(self, keeper: Keeper) -> list[Job]:
        """Connect, and return the jobs that own the keeper's log groups.

        Raises:
            ForwarderError: the engine can't be used.
        """
        self._keeper = keeper
        try:
            self.journals.announce()
        except Unavailable as error:
            raise _unreachable(error) from error
        return [Renewals(self.journals, keeper).run]


async def serving_role(
    config: Config,
    folder: Path,
    make_engine: EngineMaker,
    *,
    lifecycle: Lifecycle | None,
    clock: Callable[[], int],
    random: Callable[[], float],
) -> FollowingOpener:
    """Connect, and return the opener of followed log groups.

    Raises:
        ForwarderError: the engine can't be used.
    """
    opener = FollowingOpener(
        config, folder, boot_id(), make_engine, lifecycle=lifecycle, clock=clock, random=random
    )
    try:
        await opener.control.head(FeedKey(PRESENCE))
    except Unavailable as error:
        opener.close()
        raise _unreachable(error) from error
    except BaseException:
        opener.close()
        raise
    return opener


def _unreachable(error: Unavailable) -> ForwarderError:
    return ForwarderError(str(error), EXIT_CANNOT_CONNECT)
