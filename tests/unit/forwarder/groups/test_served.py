"""Which errors end a forwarder at its start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from forwarder.cluster.log import Fenced, Unavailable, Unknown
from forwarder.config import Config
from forwarder.errors import ForwarderError, JournalError, NotOwnedError
from forwarder.groups.keeper import Keeper
from forwarder.groups.served import ServedGroups
from forwarder.records import FeedKey

KEY = FeedKey("/jobs")
SHARED = Config(groups=(KEY.group,), replicated="postgresql:///x", role="ingest")
ALONE = Config(groups=(KEY.group,))


async def start(config: Config, error: ForwarderError) -> Keeper:
    """Start a forwarder whose log group can't be opened."""

    async def open_feed(key: FeedKey) -> Any:  # noqa: ANN401 - it never returns
        assert key == KEY
        raise error

    zero: Callable[[], float] = lambda: 0.0  # noqa: E731 - a clock
    keeper = Keeper(
        open_feed, feeds_max=9, linger_s=9.0, now_s=zero, random=zero, on_alone=lambda _: None
    )
    unused: Any = None
    groups = ServedGroups(config, keeper, unused, skip_check=lambda _: None)
    await groups.start()
    return keeper


@pytest.mark.parametrize("kind", [Unavailable, Unknown, Fenced, NotOwnedError])
async def test_a_forwarder_of_a_shared_journal_tries_again(kind: type[ForwarderError]) -> None:
    keeper = await start(SHARED, kind("the engine fails over"))
    assert KEY in keeper.pinned


@pytest.mark.parametrize(
    ("config", "error"),
    [
        (SHARED, JournalError("permission denied")),
        (ALONE, JournalError("no journal")),
        (ALONE, Unavailable("no room")),
    ],
)
async def test_other_errors_of_the_journal_end_it(config: Config, error: ForwarderError) -> None:
    with pytest.raises(type(error), match=str(error)):
        await start(config, error)
