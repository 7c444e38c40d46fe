"""A connection is what it was asked for, whatever polling did before it was welcomed."""

from __future__ import annotations

from tui.client.saved import Cursor
from tui.client.session import ViewerSession
from tui.client.status import CloseConnection
from wire.messages import Item, Welcome
from wire.order import Interval, first_key

SINCE = 1_000


def test_polling_that_rebased_first_does_not_hide_a_foreign_base() -> None:
    cursor = Cursor("old", 11, Interval(first_key(SINCE), None))
    session = ViewerSession(since=SINCE, cursor=cursor)
    assert session.begin_attempt().base == 11
    session.connection_opened(0)
    # A round of polling finds the new epoch before the welcome of this connection arrives.
    session.rebase("the forwarder began another epoch")
    session.epoch, session.after = "new", 1
    session.store_items([Item(1, "1", SINCE, None, "s", "m", "live")], 0, live=True)
    welcome = Welcome(
        epoch="new", outcome="rebased", after=1, head_seq=1, since=SINCE, heartbeat_ms=2_000
    )
    effects = session.take_message(welcome, 0)
    assert isinstance(effects[-1], CloseConnection)
    assert not effects[-1].final
    asked = session.begin_attempt()
    assert (asked.base, asked.epoch) == (0, None)


def test_since_is_the_one_of_the_connection_where_none_was_asked_for() -> None:
    session = ViewerSession()
    assert session.begin_attempt().since is None
    session.connection_opened(0)
    session.since = SINCE  # chosen by a round of polling that began meanwhile
    welcome = Welcome(
        epoch="e", outcome="fresh", after=0, head_seq=0, since=SINCE + 500, heartbeat_ms=2_000
    )
    session.take_message(welcome, 0)
    assert session.since == SINCE + 500
