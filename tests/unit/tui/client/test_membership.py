"""tests.unit.tui.client.test_membership."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import GaplessError
from tests.support.viewer.scripted_forwarder import (
    Script,
    ScriptedConnection,
    ScriptedForwarder,
    eventually,
    scripted_forwarder,
    stay_connected,
)
from tests.support.viewer.server_messages import SINCE, ForwarderMessages, item
from tui.client import engine as engine_module
from tui.client.engine import Engine
from tui.client.history import verified_through
from tui.client.membership import (
    ABSENCES_MAX,
    LISTING_AGE_MS,
    ListedGroup,
    ListingError,
    Membership,
)
from tui.client.saved import Cursor, PreviousRun
from tui.client.target import TargetSpec
from tui.lines.rows import Line, Rule, time_key
from wire.order import Interval
from wire.query import TailQuery

LISTINGS = st.lists(st.sets(st.sampled_from("abcd")), max_size=12)


def listed(*names: str) -> list[ListedGroup]:
    return [ListedGroup(name, name) for name in names]


@given(st.sets(st.sampled_from("abcd")), LISTINGS)
def test_members_follow_the_listings(known: set[str], listings: list[set[str]]) -> None:
    membership, members = Membership(known), set(known)
    for number, names in enumerate(listings, 1):
        changes = membership.take(listed(*sorted(names)), number * 10_000)
        joined = {one.group for one in changes.joined}
        assert joined == names - members, "each joins once, at its first listing"
        assert not joined & set(changes.left)
        members = (members | joined) - set(changes.left)
        assert names <= members, "no group that is listed leaves"
        recent = listings[max(0, number - ABSENCES_MAX) : number]
        if len(recent) == ABSENCES_MAX:
            assert members <= set().union(*recent), "a group that is gone leaves"
        assert membership.is_empty == (not members)
        assert membership.listed_ms == number * 10_000 - LISTING_AGE_MS


@given(
    st.lists(st.none() | st.integers(0, 99), max_size=4),
    st.lists(st.none() | st.integers(0, 99), max_size=3),
)
def test_nothing_is_verified_beyond_any_group_or_listing(
    throughs: list[int | None], listings: list[int | None]
) -> None:
    through = verified_through(throughs, listings)
    if None in throughs or not throughs:
        assert through is None
    else:
        assert through == min(one for one in (*throughs, *listings) if one is not None)


class Groups:
    """A source whose groups the test sets; each is served by a forwarder at ``url``."""

    name = "/g/*"

    def __init__(self, url: str, *known: str) -> None:
        self.url = url
        self.known = known
        self.names: list[str] | None = list(known)
        self.listings = 0
        self.refused: set[str] = set()
        self.earlier: dict[str, tuple[Cursor, PreviousRun]] = {}

    async def list_groups(self) -> list[ListedGroup]:
        self.listings += 1
        if self.names is None:
            msg = "AWS denies access"
            raise ListingError(msg)
        return listed(*self.names)

    def spec_of(self, listed: ListedGroup) -> TargetSpec:
        if listed.group in self.refused:
            msg = "another process prints it"
            raise GaplessError(msg)
        return self.spec(listed.group)

    def spec(self, group: str) -> TargetSpec:
        cursor, previous = self.earlier.get(group, (None, None))
        return TargetSpec(
            url=self.url, name=group, group=group, since=SINCE, cursor=cursor, previous=previous
        )


def live() -> Script:
    """A line and a mark of each group; the group's name is the message."""

    async def script(connection: ScriptedConnection) -> None:
        said = ForwarderMessages()
        group = connection.query.group or ""
        await connection.send(
            said.welcome(),
            said.backfill(f"{SINCE}:0..", done=True),
            said.events(0, [item(1, 2_000 + len(group), message=group)]),
        )
        if group != "/g/silent":
            await connection.send(said.mark(SINCE, 5_000, 1))
        await stay_connected(connection)

    return script


def resumed() -> Script:
    async def script(connection: ScriptedConnection) -> None:
        said, after = ForwarderMessages(), connection.query.after or 0
        await connection.send(said.welcome("resumed", after=after, head_seq=after))
        await stay_connected(connection)

    return script


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "LIST_S", 0.02)


async def watched(groups: Groups) -> Engine:
    specs = [groups.spec(one) for one in groups.known]
    one = Engine(specs, sources=[groups], rng=random.Random(0))
    await one.start()
    return one


def messages(engine: Engine) -> list[str]:
    return [row.message for row in engine.timeline.iterate() if isinstance(row, Line)]


def rules(engine: Engine) -> list[str]:
    return [row.reason for row in engine.timeline.iterate() if isinstance(row, Rule)]


async def test_groups_join_and_leave_and_come_back() -> None:
    async with scripted_forwarder(live()) as forwarder:
        groups = Groups(forwarder.url, "/g/a")
        engine = await watched(groups)
        try:
            await eventually(lambda: engine.complete_through is not None)
            groups.names = ["/g/a", "/g/bb"]
            await eventually(lambda: engine.status.joining == 0 and len(engine.sources) == 2)
            await eventually(lambda: messages(engine) == ["/g/a", "/g/bb"])
            assert engine.status.is_green
            assert "log group /g/bb joined" in rules(engine)
            groups.names = ["/g/bb"]
            await eventually(lambda: engine.status.left == 1)
            said = "log group /g/a was deleted; its lines are verified to 1970"
            await eventually(lambda: rules(engine)[-1].startswith(said))
            assert messages(engine) == ["/g/a", "/g/bb"], "its lines stay"
            assert engine.status.state in ("live", "quiet")
            assert engine.status.is_green
            groups.names = ["/g/a", "/g/bb"]
            await eventually(lambda: len(forwarder.queries) == 3)
            await eventually(lambda: engine.status.joining == engine.status.left == 0)
            assert len(engine.sources) == 2, "a group that comes back has its former number"
        finally:
            await engine.stop()


async def test_a_group_that_joins_turns_nothing_red() -> None:
    async with scripted_forwarder(live()) as forwarder:
        groups = Groups(forwarder.url, "/g/a")
        engine = await watched(groups)
        seen: list[tuple[bool, bool, str]] = []
        try:
            await eventually(lambda: engine.complete_through is not None and groups.listings > 2)
            before = engine.complete_through
            engine.on_change(
                lambda _change: seen.append(
                    (engine.status.is_green, engine.status.is_current, engine.status.state)
                )
            )
            groups.names = ["/g/a", "/g/silent"]
            await eventually(
                lambda: len(forwarder.queries) == 2 and "/g/silent" in messages(engine)
            )
            assert engine.status.joining == 1
            assert engine.complete_through == before
            assert {one[:2] for one in seen} == {(True, True)}
            assert {one[2] for one in seen} <= {"live", "quiet"}
        finally:
            await engine.stop()


async def test_waiting_for_a_group_that_does_not_exist_yet() -> None:
    async with scripted_forwarder(live()) as forwarder:
        groups = Groups(forwarder.url)
        engine = await watched(groups)
        try:
            await eventually(lambda: groups.listings > 1)
            assert list(engine.status.waiting) == ["/g/*"]
            assert engine.complete_through is None
            assert engine.result is None
            groups.names = None
            await eventually(lambda: engine.status.unlisted == "AWS denies access")
            groups.names = ["/g/a"]
            await eventually(lambda: messages(engine) == ["/g/a"])
            await eventually(lambda: engine.status.is_green)
            assert list(engine.status.waiting) == []
            assert engine.status.unlisted == ""
        finally:
            await engine.stop()


async def test_a_group_that_cannot_be_watched_is_announced_once() -> None:
    async with scripted_forwarder(live()) as forwarder:
        groups = Groups(forwarder.url, "/g/a")
        groups.refused = {"/g/b"}
        engine = await watched(groups)
        try:
            groups.names = ["/g/a", "/g/b"]
            await eventually(lambda: bool(rules(engine)))
            count = groups.listings
            await eventually(lambda: groups.listings > count + 2)
            await asyncio.sleep(0)
            assert rules(engine) == ["log group /g/b is not watched: another process prints it"]
            assert len(engine.sources) == 1
        finally:
            await engine.stop()


async def test_the_keys_have_room_for_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "TARGETS_MAX", 2)
    async with scripted_forwarder(live()) as forwarder:
        groups = Groups(forwarder.url, "/g/a")
        engine = await watched(groups)
        try:
            groups.names = ["/g/a", "/g/b", "/g/c"]
            await eventually(lambda: len(rules(engine)) == 2)
            assert rules(engine)[1].startswith("log group /g/c is not watched: a viewer watches at")
            groups.names = ["/g/a", "/g/b", "/g/c", "/g/d", "/g/e"]
            await eventually(lambda: len(rules(engine)) == 3)
            assert rules(engine)[2].startswith("2 log groups are not watched (/g/d … /g/e): ")
        finally:
            await engine.stop()


CURSOR = Cursor("e1", 7, Interval(None, None))


async def resuming(engine: Engine, groups: Groups, forwarder: ScriptedForwarder) -> TailQuery:
    """Let ``/g/b`` join, with a cursor of an earlier run; returns what is requested of it."""
    groups.names = ["/g/a", "/g/b"]
    await eventually(lambda: len(forwarder.queries) == 2)
    await eventually(lambda: engine.status.targets[-1].phase != "left")
    (query,) = [one for one in forwarder.queries if one.group == "/g/b"]
    return query


async def test_a_group_that_joins_resumes_within_the_lines_of_the_earlier_run() -> None:
    async with scripted_forwarder(live()) as forwarder:
        groups = Groups(forwarder.url, "/g/a")
        groups.earlier = {"/g/a": (CURSOR, PreviousRun(9_000, 4_000, 3_000, 9))}
        groups.earlier["/g/b"] = (CURSOR, PreviousRun(9_000, 3_500, 3_000, 9))
        engine = await watched(groups)
        try:
            query = await resuming(engine, groups, forwarder)
            assert (query.after, query.since) == (7, SINCE)
        finally:
            await engine.stop()


async def test_a_group_whose_earlier_lines_could_not_be_scrolled_to_sends_them_again() -> None:
    async with scripted_forwarder(live()) as forwarder:
        groups = Groups(forwarder.url, "/g/a")
        groups.earlier = {"/g/b": (CURSOR, PreviousRun(9_000, 3_500, 3_000, 9))}
        engine = await watched(groups)
        try:
            query = await resuming(engine, groups, forwarder)
            assert (query.after, query.since) == (None, SINCE)
        finally:
            await engine.stop()


async def test_a_group_that_joins_leaves_the_earlier_run_of_others_in_reach() -> None:
    async with scripted_forwarder(resumed(), live()) as forwarder:
        groups = Groups(forwarder.url, "/g/a")
        groups.earlier = {"/g/a": (CURSOR, PreviousRun(9_000, 4_000, 3_000, 9))}
        engine = await watched(groups)
        try:
            await eventually(lambda: engine.sessions[0].is_welcomed)
            assert engine.timeline.evicted_at(time_key(SINCE)) is not None
            await resuming(engine, groups, forwarder)
            await eventually(lambda: engine.sessions[1].is_welcomed)
            assert engine.timeline.evicted_at(time_key(SINCE)) is not None
        finally:
            await engine.stop()
