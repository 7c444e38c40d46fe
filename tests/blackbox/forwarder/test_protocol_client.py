"""A client written from PROTOCOL.md alone, against the real forwarder and raw moto.

``ProtocolClient`` checks every message against PROTOCOL.md: consecutive ``n``, the cursor, frame
sizes, and count and digest of every mark against what the client holds.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import ProxyHandler, build_opener

import pytest
from websockets.exceptions import InvalidStatus

from tests.support.network.cable import Cable
from tests.support.processes.gapless_processes import GaplessProcess, forwarder
from tests.support.processes.log_writer import Ledger, now_ms
from tests.support.processes.moto_server import RawMoto, raw_moto
from tests.support.processes.protocol_client import Connection, ProtocolClient

A, B, C = STREAMS = ("job/main/aaaa", "job/main/bbbb", "other/cccc")

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(autouse=True)
async def connections(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Closes all connections at the end of a test."""
    opened: list[Connection] = []
    init = Connection.__init__

    def remember(self: Connection, *arguments: Any, **options: Any) -> None:  # noqa: ANN401
        init(self, *arguments, **options)
        opened.append(self)

    monkeypatch.setattr(Connection, "__init__", remember)
    yield
    for connection in opened:
        await connection.cut()


@pytest.fixture(scope="module")
def moto() -> Iterator[RawMoto]:
    with raw_moto() as server:
        yield server


@pytest.fixture(scope="module")
def numbers() -> Iterator[int]:
    return count(1)


@pytest.fixture
def ledger(moto: RawMoto, numbers: Iterator[int]) -> Iterator[Ledger]:
    one = Ledger(moto, f"/jobs/{next(numbers)}", STREAMS)
    yield one
    one.close()


@pytest.fixture
def start(ledger: Ledger, tmp_path: Path) -> Callable[..., GaplessProcess]:
    """A function that starts a forwarder of the ledger's log group."""

    def starting(*options: str, **settings: Any) -> GaplessProcess:  # noqa: ANN401 - forwarder's own
        return forwarder(ledger.group, ledger.moto.url, tmp_path, *options, **settings)

    return starting


def write(ledger: Ledger, stream: str, amount: int, at: int, step: int = 1) -> int:
    """Write events from ``at`` on, ``step`` ms apart; returns the last timestamp."""
    tag = len(ledger.accepted)
    ledger.put(stream, [(at + i * step, f"{tag + i} of {stream}") for i in range(amount)])
    return at + (amount - 1) * step


def written(ledger: Ledger, *streams: str, since: int = 0) -> list[str]:
    return [
        message
        for stream, timestamp, message in ledger.accepted
        if stream in (streams or STREAMS) and timestamp >= since
    ]


async def test_fresh_history_live_events_and_equal_marks(
    ledger: Ledger, start: Callable[..., GaplessProcess]
) -> None:
    since = now_ms() - 300_000
    write(ledger, A, 1200, since - 60_000, 100)
    write(ledger, B, 700, since, 100)
    with start() as process:
        client = ProtocolClient(process.ready()["websocket"], group=ledger.group, since=since)
        welcome = await client.connect()
        assert welcome["outcome"] == "fresh"
        await client.until_messages(written(ledger, since=since))
        last = write(ledger, C, 20, now_ms())
        await client.until_messages(written(ledger, since=since))
        await client.until_verified(last)
        assert client.now.marks
        await client.now.close()


async def test_without_since_the_last_ten_minutes(
    ledger: Ledger, start: Callable[..., GaplessProcess]
) -> None:
    before = now_ms()
    write(ledger, A, 5, before - 660_000)
    write(ledger, A, 5, before - 60_000)
    with start() as process:
        client = ProtocolClient(process.ready()["websocket"])
        welcome = await client.connect()
        assert before - 600_000 <= welcome["since"] <= now_ms() - 600_000
        await client.until_messages(written(ledger, since=welcome["since"]))
        await client.until_verified(before)
        await client.now.close()


async def test_a_resume_sends_only_new_events(
    ledger: Ledger, start: Callable[..., GaplessProcess]
) -> None:
    since = now_ms() - 60_000
    write(ledger, A, 300, since)
    with start() as process:
        client = ProtocolClient(process.ready()["websocket"], since=since)
        await client.connect()
        await client.until_messages(written(ledger))
        await client.until_verified(since + 300)
        for _ in range(3):
            await client.now.cut()
            write(ledger, B, 50, now_ms())
            write(ledger, A, 1, since + 5_000)
            welcome = await client.connect()
            assert welcome["outcome"] == "resumed"
            await client.until_messages(written(ledger))
            assert client.now.items <= 51
        await client.until_verified(now_ms() - 5_000)
        await client.now.close()


async def test_a_resume_after_the_forwarder_was_killed(
    ledger: Ledger, start: Callable[..., GaplessProcess]
) -> None:
    since = now_ms() - 60_000
    write(ledger, A, 300, since)
    with start() as first:
        client = ProtocolClient(first.ready()["websocket"], since=since)
        await client.connect()
        await client.until_messages(written(ledger))
        await client.until(lambda: client.done, "the end of the past")
        first.kill()
    epoch = client.epoch
    write(ledger, A, 100, now_ms())
    with start() as second:
        client.url = second.ready()["websocket"]
        welcome = await client.connect()
        assert welcome["outcome"] == "resumed"
        assert welcome["epoch"] != epoch
        await client.until_messages(written(ledger))
        await client.until_verified(now_ms() - 3_000)
        assert client.now.items == 100
        await client.now.close()


async def test_a_forwarder_that_ends_sends_bye(
    ledger: Ledger, start: Callable[..., GaplessProcess]
) -> None:
    write(ledger, A, 3, now_ms())
    with start() as process:
        client = ProtocolClient(process.ready()["websocket"])
        await client.connect()
        await client.until_messages(written(ledger))
        closing = asyncio.create_task(client.now.close_code())
        await asyncio.sleep(0)
        assert await asyncio.to_thread(process.end) == 0
        assert await closing == 4001
        assert client.now.bye is not None


def replace_journal(state: Path, other: Path | None) -> None:
    """Remove the journal, and replace it by another one if given."""
    for journal in state.glob("journal.sqlite3*"):
        journal.unlink()
    for journal in other.glob("journal.sqlite3*") if other is not None else ():
        shutil.copy(journal, state / journal.name)


@pytest.mark.parametrize("how", ["lost", "rolled back"])
async def test_another_journal_rebases_the_client(
    ledger: Ledger, start: Callable[..., GaplessProcess], tmp_path: Path, how: str
) -> None:
    since = now_ms() - 60_000
    write(ledger, A, 300, since)
    with start() as first:
        client = ProtocolClient(first.ready()["websocket"], since=since)
        await client.connect()
        await client.until_messages(written(ledger))
        await client.until(lambda: client.done, "the end of the past")
        await client.now.close()
    copy = tmp_path / "copy"
    shutil.copytree(tmp_path, copy, ignore=shutil.ignore_patterns("copy"))
    with start() as second:
        client.url = second.ready()["websocket"]
        assert (await client.connect())["outcome"] == "resumed"
        write(ledger, B, 40, now_ms())
        await client.until_messages(written(ledger))
        second.kill()
    replace_journal(tmp_path, copy if how == "rolled back" else None)
    write(ledger, C, 10, now_ms())
    with start() as third:
        client.url = third.ready()["websocket"]
        assert (await client.connect())["outcome"] == "rebased"
        assert not client.messages()
        await client.until_messages(written(ledger))
        await client.until_verified(now_ms() - 3_000)
        await client.now.close()


async def test_a_recreated_group_reuses_old_ids(tmp_path: Path, numbers: Iterator[int]) -> None:
    group = f"/jobs/{next(numbers)}"
    since = now_ms() - 60_000
    with Cable(0) as cable:  # keeps the port for both forwarders
        url = f"http://127.0.0.1:{cable.port}"
        await recreated_group(group, since, cable, lambda: forwarder(group, url, tmp_path))


async def recreated_group(
    group: str, since: int, cable: Cable, start: Callable[[], GaplessProcess]
) -> None:
    with raw_moto() as first:
        cable.target = int(first.url.rpartition(":")[2])
        old = Ledger(first, group, STREAMS)
        write(old, A, 50, since)
        old.close()
        process = start()
        client = ProtocolClient(process.ready()["websocket"], since=since)
        await client.connect()
        await client.until_messages(written(old))
        closing = asyncio.create_task(client.now.close_code())
        await client_idles()
    with process, raw_moto() as second:
        # It has all of it before the forwarder finds it: a missing log group is another matter.
        new = Ledger(second, group, STREAMS)
        write(new, B, 80, since + 10_000)
        cable.target = int(second.url.rpartition(":")[2])
        assert await closing == 4001
        assert (await client.connect())["outcome"] == "rebased"
        await client.until_messages(written(new))
        await client.until_verified(since + 11_000)
        assert len(client.events) > len(client.messages())
        await client.now.close()
        new.close()


async def client_idles() -> None:
    """Yield to other tasks of the event loop."""
    await asyncio.sleep(0)


async def a_heartbeat(client: ProtocolClient) -> None:
    """Receive messages until the next heartbeat."""
    await client.until(lambda: bool(client.now.heartbeats), "a heartbeat")


async def test_bodies_of_a_deleted_stream_are_declared_lost(
    ledger: Ledger, start: Callable[..., GaplessProcess]
) -> None:
    since = now_ms() - 7_200_000
    lost = write(ledger, A, 30, since + 60_000)
    write(ledger, B, 30, now_ms() - 5_000)
    with start("--retain", "10m") as process:
        url = process.ready()["websocket"]
        first = ProtocolClient(url, since=since)
        await first.connect()
        await first.until_messages(written(ledger))
        await first.until_verified(lost)
        boto = ledger.moto.client()
        boto.delete_log_stream(logGroupName=ledger.group, logStreamName=A)
        boto.close()
        welcome: dict[str, Any] = {"lost": []}
        client = first
        while not welcome["lost"]:
            # The journal keeps the bodies until retention has run once.
            await a_heartbeat(client)
            await client.now.cut()
            client = ProtocolClient(url, since=since)
            welcome = await client.connect()
        assert welcome["outcome"] == "fresh"
        (declared,) = welcome["lost"]
        assert declared["from"] <= since + 60_000
        assert lost <= declared["through"] < now_ms() - 60_000
        assert declared["reason"]
        await client.until_messages(written(ledger, B))
        await client.until_verified(now_ms() - 5_000)
        await client.now.close()


async def some_of_the_past(client: ProtocolClient) -> bool:
    """Receive 1,000 events and one more history frame; False at the end of the history."""
    connection, before = client.now, client.held
    await client.until(
        lambda: client.done or (connection.items >= 1000 and client.held != before),
        "some of the past",
    )
    return not client.done


@pytest.mark.parametrize("history", ["newest", "oldest"])
@pytest.mark.parametrize("step", [10, 0], ids=["spread", "one millisecond"])
async def test_a_resume_within_history_uses_held(
    ledger: Ledger, start: Callable[..., GaplessProcess], history: str, step: int
) -> None:
    since = now_ms() - 120_000
    last = write(ledger, A, 3000, since + 5_000, step)
    write(ledger, B, 1000, since + 5_000, step)
    with start() as process:
        url = process.ready()["websocket"]
        warm = ProtocolClient(url, since=since)
        await warm.connect()
        await warm.until_messages(written(ledger))
        await warm.now.close()
        client = ProtocolClient(url, since=since, history=history, credit=1300)
        await client.connect()
        cuts = 0
        while await some_of_the_past(client):
            assert client.held not in (None, (None, None))
            await client.now.cut()
            cuts += 1
            write(ledger, C, 3, now_ms())
            welcome = await client.connect()
            assert welcome["outcome"] == "resumed"
        assert cuts >= 3
        client.credit = None
        client.now.granted = None
        await client.now.send({"type": "credit", "events": 100_000})
        await client.until_messages(written(ledger))
        await client.until_verified(last)
        await client.now.close()


async def test_oldest_history_comes_in_order(
    ledger: Ledger, start: Callable[..., GaplessProcess]
) -> None:
    since = now_ms() - 120_000
    write(ledger, A, 1500, since, 10)
    with start() as process:
        url = process.ready()["websocket"]
        warm = ProtocolClient(url, since=since)
        await warm.connect()
        await warm.until_messages(written(ledger))
        await warm.now.close()
        client = ProtocolClient(url, since=since, history="oldest")
        await client.connect()
        seen: list[tuple[int, int]] = []
        while not client.done:
            message = await client.now.step()
            if message["type"] == "events" and message["after"] == message["seq"]:
                seen += [(item[2], int(item[1])) for item in message["items"]]
        assert len(seen) == 1500
        assert seen == sorted(seen)
        await client.now.close()


async def test_verify_and_repair(ledger: Ledger, start: Callable[..., GaplessProcess]) -> None:
    since = now_ms() - 60_000
    last = write(ledger, A, 1200, since, 10)
    with start() as process:
        client = ProtocolClient(process.ready()["websocket"], since=since)
        await client.connect()
        await client.until_messages(written(ledger))
        await client.until_verified(last)
        assert await client.now.verify(since, last)
        assert await client.now.verify(0, last + 1_000_000)
        forgotten = [one for one in client.events if since + 2_000 <= one[0] < since + 9_000]
        for position in forgotten[::3]:
            del client.events[position]
        altered = client.events[forgotten[1]]
        altered.message = "not what was written"
        assert not await client.now.verify(since, last)
        assert await client.now.verify(since, since + 1_000)
        assert await client.now.repair(since + 2_000, since + 9_000)
        assert await client.now.verify(since, last)
        await client.until_messages(written(ledger))
        cursor = client.cursor
        assert await client.now.repair(since, last)
        assert client.cursor == cursor
        await client.now.close()


async def test_a_repair_shows_events_that_the_forwarder_lacks(
    ledger: Ledger, start: Callable[..., GaplessProcess]
) -> None:
    since = now_ms() - 60_000
    last = write(ledger, A, 40, since, 10)
    with start() as process:
        client = ProtocolClient(process.ready()["websocket"], since=since)
        await client.connect()
        await client.until_messages(written(ledger))
        await client.until_verified(last)
        position, one = next(iter(client.events.items()))
        invented = type(one)(one.seq, str(10**20), one.timestamp, A, "never written", "live")
        client.events[(position[0], 10**20)] = invented
        assert not await client.now.verify(since, last)
        assert await client.now.repair(since, last)
        assert not invented.confirmed
        await client.until_messages(written(ledger))
        await client.now.close()


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"streams": [A]}, (A,)),
        ({"executions": ["bbbb"]}, (B,)),
        ({"prefixes": ["job/"]}, (A, B)),
        ({"streams": [A], "executions": ["cccc"], "prefixes": ["nothing"]}, (A, C)),
        ({"executions": ["bb"]}, ()),
    ],
    ids=["stream", "execution", "prefix", "united", "none"],
)
async def test_the_cursor_passes_filtered_events(
    ledger: Ledger,
    start: Callable[..., GaplessProcess],
    filters: dict[str, Any],
    expected: tuple[str, ...],
) -> None:
    since = now_ms() - 60_000
    for stream in STREAMS:
        write(ledger, stream, 100, since, 10)
    with start() as process:
        client = ProtocolClient(process.ready()["websocket"], since=since, **filters)
        await client.connect()
        everything = ProtocolClient(process.ready()["websocket"], since=since)
        await everything.connect()
        last = since
        for stream in STREAMS:
            last = write(ledger, stream, 10, now_ms())
        await everything.until_messages(written(ledger))
        head = everything.cursor
        await client.until_verified(last)
        await client.until(
            lambda: client.cursor >= head and bool(client.now.heartbeats), "the skipped events"
        )
        assert sorted(client.messages()) == sorted(written(ledger, *expected) if expected else [])
        await client.now.cut()
        write(ledger, C, 10, now_ms())
        assert (await client.connect())["outcome"] == "resumed"
        await client.until_verified(now_ms())
        assert sorted(client.messages()) == sorted(written(ledger, *expected) if expected else [])
        for one in (client, everything):
            await one.now.close()


async def test_credit_limits_events_but_not_heartbeats(
    ledger: Ledger, start: Callable[..., GaplessProcess]
) -> None:
    since = now_ms() - 60_000
    write(ledger, A, 600, since, 10)
    with start() as process:
        client = ProtocolClient(process.ready()["websocket"], since=since, credit=10)
        await client.connect()
        connection = client.now
        await client.until(lambda: connection.items == 10, "ten events")
        write(ledger, B, 30, now_ms())
        beats = len(connection.heartbeats)
        await client.until(lambda: len(connection.heartbeats) >= beats + 3, "three heartbeats")
        assert connection.items == 10
        await connection.grant(7)
        await client.until(lambda: connection.items == 17, "seven more")
        await connection.grant(10_000)
        await client.until_messages(written(ledger))
        await client.until_verified(now_ms())
        await connection.close()


async def test_base_excludes_old_events_from_counts(
    ledger: Ledger, start: Callable[..., GaplessProcess]
) -> None:
    since = now_ms() - 60_000
    write(ledger, A, 100, since, 10)
    with start() as process:
        client = ProtocolClient(process.ready()["websocket"], since=since)
        await client.connect()
        await client.until_messages(written(ledger))
        await client.until(lambda: client.done, "the end of the past")
        await client.now.close()
        client.base = client.cursor
        client.events.clear()
        before = len(written(ledger))
        last = write(ledger, B, 20, now_ms())
        assert (await client.connect())["outcome"] == "resumed"
        await client.until_messages(written(ledger)[before:])
        await client.until_verified(last)
        assert client.now.marks[-1]["count"] == 20
        assert await client.now.verify(since, last)
        await client.now.close()


BAD_FRAMES: list[str | bytes] = [
    "",
    "nonsense",
    "[]",
    "null",
    '{"type":"weather"}',
    '{"type":"credit"}',
    '{"type":"credit","events":-1}',
    '{"type":"credit","events":1.5}',
    '{"type":"verify","from":1}',
    '{"type":"repair","from":"a","through":2}',
    '{"type":"verify","from":1,"through":9007199254740992}',
    "[" * 4000,
    " " * 5000,
    b"\xff\xfe",
    b"\x00" * 100,
    '{"type":"\\ud800"}',
]


async def test_a_bad_message_closes_its_own_connection_alone(
    one_forwarder: tuple[str, str],
) -> None:
    url, _ = one_forwarder
    good = ProtocolClient(url)
    await good.connect()
    for frame in BAD_FRAMES:
        bad = ProtocolClient(url)
        await bad.connect()
        await bad.now.socket.send(frame)
        assert await bad.now.close_code() == 4501, frame
    beats = len(good.now.heartbeats)
    await good.until(lambda: len(good.now.heartbeats) > beats + 1, "heartbeats as before")
    assert (await ProtocolClient(url).connect())["outcome"] == "fresh"


@pytest.fixture(scope="module")
def one_forwarder(
    moto: RawMoto, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str]]:
    """Ready line of a forwarder whose log group has one event."""
    state = tmp_path_factory.mktemp("state")
    moto.create("/jobs/one", A)
    moto.put("/jobs/one", A, [(now_ms(), "hello")])
    with forwarder("/jobs/one", moto.url, state) as process:
        ready = process.ready()
        yield ready["websocket"], ready["http"]


REFUSED = [
    ("since=yesterday", 400, "since"),
    ("since=-1", 400, "since"),
    ("since=1&since=2", 400, "since"),
    ("history=both", 400, "history"),
    ("epoch=E&since=0", 400, "after"),
    ("after=1&since=0", 400, "epoch"),
    ("epoch=E&after=1", 400, "since"),
    ("epoch=E&after=1&since=0&held=x", 400, "held"),
    ("held=..&since=0", 400, "held"),
    ("credit=much", 400, "credit"),
    ("base=x", 400, "base"),
    ("stream=", 400, "stream"),
    ("nonsense", 400, ""),
    ("a=%ff", 400, ""),
    ("group=" + "g" * 700, 400, "group"),
    ("group=" + quote("/no/such group"), 404, "/no/such group"),
]


@pytest.mark.parametrize(("query", "status", "names"), REFUSED)
async def test_bad_requests_are_refused_with_an_error(
    one_forwarder: tuple[str, str], query: str, status: int, names: str
) -> None:
    client = ProtocolClient(f"{one_forwarder[0]}?{query}")
    with pytest.raises(InvalidStatus) as caught:
        await client.connect(colour="red")
    response = caught.value.response
    assert response.status_code == status
    body = json.loads(response.body or b"")
    assert names in body["error"]


def get(url: str, path: str, **query: object) -> tuple[int, dict[str, Any]]:
    """Send a GET; returns the status and the JSON body."""
    opener = build_opener(ProxyHandler({}))
    try:
        with opener.open(f"{url.rstrip('/')}{path}?{urlencode(query)}", timeout=30) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        with error:
            return error.code, json.load(error)


async def test_the_same_over_plain_http(
    ledger: Ledger, start: Callable[..., GaplessProcess]
) -> None:
    since = now_ms() - 60_000
    last = write(ledger, A, 300, since, 10)
    with start() as process:
        ready = process.ready()
        client = ProtocolClient(ready["websocket"], since=since)
        await client.connect()
        await client.until_messages(written(ledger))
        await client.until_verified(last)
        group = {"group": ledger.group}
        now = {"epoch": client.epoch, "seq": client.cursor}
        status, total = get(
            ready["http"], "/v1/digest", **group, **now, **{"from": since}, through=last
        )
        assert status == 200
        assert (total["count"], total["digest"]) == client.total(since, last, client.cursor)
        status, before = get(
            ready["http"], "/v1/digest", **group, epoch=client.epoch, seq=100,
            **{"from": since}, through=last,
        )  # fmt: skip
        assert (before["count"], before["digest"]) == client.total(since, last, 100)
        status, refusal = get(
            ready["http"], "/v1/digest", **group, epoch="another", seq=1, **{"from": 0}, through=1
        )
        assert status == 409
        assert refusal["epoch"] == client.epoch
        items: list[list[Any]] = []
        page: dict[str, Any] = {"next": ""}
        while page["next"] is not None:
            more = {"next": page["next"]} if page["next"] else {}
            status, page = get(ready["http"], "/v1/logs", **group, since=since, limit=70, **more)
            assert status == 200
            assert len(page["items"]) <= 70
            items += page["items"]
        assert [item[5] for item in items] == client.messages()
        cursor = {"epoch": client.epoch, "after": 250}
        status, page = get(ready["http"], "/v1/logs", **group, since=since, **cursor)
        assert [item[0] for item in page["items"]] == list(range(251, 301))
        status, page = get(
            ready["http"], "/v1/logs", **group, since=since, epoch="another", after=1
        )
        assert status == 409
        status, page = get(ready["http"], "/v1/logs", group="/no/such")
        assert status == 404
        status, page = get(ready["http"], "/v1/logs", **group, limit=0)
        assert status == 400
        await client.now.close()
