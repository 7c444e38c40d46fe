"""Several forwarders of one log group share a journal in a real PostgreSQL, and die."""

from __future__ import annotations

import asyncio
import json
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from simulator.programs.postgres import PostgresServer
from tests.support.cluster.roamers import Roamer
from tests.support.processes.gapless_processes import POLL_S, WAIT_S, GaplessProcess
from tests.support.processes.log_writer import Ledger, Load, now_ms
from tests.support.processes.moto_server import RawMoto, raw_moto
from tests.support.processes.protocol_client import ProtocolClient

GROUP = "/jobs/nightly"
STREAMS = ("job/main/aaaa", "job/main/bbbb")
PAST_MS = 600_000

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def moto() -> Iterator[RawMoto]:
    with raw_moto() as server:
        yield server


@pytest.fixture
def ledger(moto: RawMoto) -> Iterator[Ledger]:
    one = Ledger(moto, GROUP, STREAMS)
    yield one
    one.close()


@pytest.fixture
def engine() -> Iterator[PostgresServer]:
    server = PostgresServer("fsync = off")
    server.start()
    yield server
    server.remove()


class Cluster:
    """Forwarders by name, which share one journal."""

    def __init__(self, engine: PostgresServer, moto: RawMoto, state: Path) -> None:
        self._engine, self._moto, self._state = engine, moto, state

    def start(self, name: str, role: str, *options: str) -> GaplessProcess:
        return GaplessProcess(
            *("forward", GROUP, "--journal", self._engine.url, "--role", role, "--port", "0"),
            *("--views", str(self._state / name), "--no-token", "--live", "poll"),
            *("--endpoint-url", self._moto.url, "--region", "us-east-1"),
            *options,
            state=self._state,
        )


@pytest.fixture
def cluster(engine: PostgresServer, moto: RawMoto, tmp_path: Path) -> Cluster:
    return Cluster(engine, moto, tmp_path)


async def until(condition: Callable[[], bool], what: str, viewers: Sequence[Roamer] = ()) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        for one in viewers:
            one.check()
        await asyncio.sleep(POLL_S)


async def until_all_shown(ledger: Ledger, viewers: Sequence[Roamer]) -> None:
    """Every viewer has every event once, and marks prove it."""
    last = max(timestamp for _, timestamp, _ in ledger.accepted)
    await until(
        lambda: all((one.client.complete_through or -1) >= last for one in viewers),
        "marks of all that was written",
        viewers,
    )
    want = sorted(message for _, _, message in ledger.accepted)
    for one in viewers:
        assert sorted(one.client.messages()) == want


def resumed(viewers: Sequence[Roamer]) -> bool:
    return all(one.outcomes[:1] == ["fresh"] for one in viewers) and all(
        outcome == "resumed" for one in viewers for outcome in one.outcomes[1:]
    )


def is_ready(process: GaplessProcess) -> bool:
    try:
        with urllib.request.urlopen(process.ready()["http"] + "/readyz", timeout=WAIT_S) as answer:
            return bool(json.load(answer)["ready"])
    except urllib.error.HTTPError as error:
        error.close()
        return False


async def until_ready(*processes: GaplessProcess) -> None:
    for one in processes:
        await until(lambda one=one: is_ready(one), "a ready server")  # type: ignore[misc]


def owner(processes: Sequence[GaplessProcess]) -> GaplessProcess | None:
    """The process that reads the log group, by its metrics."""
    for one in processes:
        with urllib.request.urlopen(one.ready()["http"] + "/metrics", timeout=WAIT_S) as answer:
            if b"gapless_groups 1.0" in answer.read():
                return one
    return None


async def until_owned(processes: Sequence[GaplessProcess]) -> GaplessProcess:
    found: list[GaplessProcess] = []

    def look() -> bool:
        found[:] = [one for one in (owner(processes),) if one is not None]
        return bool(found)

    await until(look, "an owner")
    return found[0]


async def test_viewers_resume_when_the_owner_is_killed(cluster: Cluster, ledger: Ledger) -> None:
    with (
        cluster.start("a", "ingest") as first,
        cluster.start("b", "serve") as left,
        cluster.start("c", "serve") as right,
        Load(ledger, 20) as load,
    ):
        killed = await until_owned([first])
        with cluster.start("d", "ingest") as second:
            await until_ready(left, right)
            urls = [one.ready()["websocket"] for one in (left, right)]
            since = now_ms() - PAST_MS
            viewers = [Roamer(urls, since, first=number) for number in range(6)]
            await until(lambda: all(one.client.done for one in viewers), "history", viewers)
            second.ready()
            killed.kill()
            shown = len(ledger.accepted)
            await until(lambda: len(ledger.accepted) > shown + 20, "more events")
            assert await until_owned([second]) is second
            await until(lambda: all(one.reasons for one in viewers), "the epoch", viewers)
            for one in viewers[:3]:
                await one.cut()
            load.stop()
            await until_all_shown(ledger, viewers)
            for one in viewers:
                await one.stop()
    assert resumed(viewers)
    # A new owner that stands still for longer than its lease takes over once more.
    for one in viewers:
        assert set(one.reasons) == {"another forwarder has taken over the log group"}


async def test_a_paused_owner_is_fenced_when_it_goes_on(cluster: Cluster, ledger: Ledger) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(cluster.start("a", "ingest"))
        assert await until_owned([first]) is first
        second = stack.enter_context(cluster.start("b", "both"))
        load = stack.enter_context(Load(ledger, 20))
        await until_ready(second)
        viewers = [Roamer([second.ready()["websocket"]], now_ms() - PAST_MS) for _ in range(3)]
        await until(lambda: all(one.client.done for one in viewers), "history", viewers)
        first.send(signal.SIGSTOP)
        try:
            await until(lambda: all(one.reasons for one in viewers), "the epoch", viewers)
            shown = len(ledger.accepted)
            await until(lambda: len(ledger.accepted) > shown + 20, "more events")
        finally:
            first.send(signal.SIGCONT)
        await until(lambda: owner([first]) is None, "the fenced owner's retreat", viewers)
        load.stop()
        await until_all_shown(ledger, viewers)
        for one in viewers:
            await one.stop()
    assert resumed(viewers)


async def test_an_engine_that_crashes_delays_viewers_and_loses_nothing(
    cluster: Cluster, engine: PostgresServer, ledger: Ledger
) -> None:
    with cluster.start("a", "both") as one, cluster.start("b", "serve") as other, Load(ledger, 20):
        await until_ready(one, other)
        urls = [process.ready()["websocket"] for process in (one, other)]
        since = now_ms() - PAST_MS
        viewers = [Roamer(urls, since, first=number) for number in range(4)]
        await until(lambda: all(one.client.done for one in viewers), "history", viewers)
        engine.kill()
        await until(
            lambda: all(
                [beat["upstream"]["state"] for beat in viewer.client.now.heartbeats[-1:]]
                == ["delayed"]
                for viewer in viewers
            ),
            "delayed heartbeats",
            viewers,
        )
        # Who reconnects meanwhile goes on where it was, and gets what is there.
        claimed = [viewer.client.complete_through for viewer in viewers]
        await viewers[0].cut()
        await until(lambda: len(viewers[0].outcomes) > 1, "a reconnection", viewers)
        late = ProtocolClient(urls[1], since=since)
        await late.connect()
        # The owner may have sent a last row that the other server can't read before the restart.
        there = viewers[1].client
        await late.until(lambda: len(late.messages()) == len(there.messages()), "rows")
        assert not late.done, "nobody knows whether CloudWatch has more"
        await late.now.close()
        assert [viewer.client.complete_through for viewer in viewers] == claimed
        engine.start()
        shown = len(ledger.accepted)
        await until(lambda: len(ledger.accepted) > shown + 20, "more events")
        accepted = list(ledger.accepted)
        last = max(timestamp for _, timestamp, _ in accepted)
        await until(
            lambda: all((one.client.complete_through or -1) >= last for one in viewers),
            "marks of all that was written",
            viewers,
        )
        for viewer in viewers:
            assert {message for _, _, message in accepted} <= set(viewer.client.messages())
            await viewer.stop()
    assert resumed(viewers)


async def test_a_forwarder_that_stops_hands_its_lease_over(
    cluster: Cluster, ledger: Ledger
) -> None:
    with cluster.start("a", "both") as first, cluster.start("b", "both") as second:
        await until_ready(first, second)
        viewers = [
            Roamer([one.ready()["websocket"] for one in (first, second)], now_ms() - PAST_MS)
        ]
        await until(lambda: viewers[0].client.done, "history", viewers)
        assert first.end() == 0
        ledger.put(STREAMS[0], [(now_ms(), "written after the hand-over")])
        await until_all_shown(ledger, viewers)
        await viewers[0].stop()
    assert resumed(viewers)


async def test_a_server_keeps_all_rules_of_the_protocol(
    cluster: Cluster, ledger: Ledger, tmp_path: Path
) -> None:
    first = now_ms() - PAST_MS
    for stream in STREAMS:
        ledger.put(stream, [(first + number // 3 * 20, f"{number}") for number in range(900)])
    ledger.put(STREAMS[1], [(now_ms() - 90_000, "state=failed")])
    lifecycle = "pattern:state=(?P<FAILED>failed)"
    with cluster.start("a", "both", "--lifecycle", lifecycle) as one:
        await until_ready(one)
        suite = "-m", "tests.conformance"
        url = one.ready()["websocket"]
        with GaplessProcess(url, "--json", state=tmp_path, program=suite) as checking:
            found = json.loads("\n".join(await asyncio.to_thread(checking.out.wait_end)))
            assert checking.popen.wait(WAIT_S) == 0, found
    verdicts = {rule["id"]: rule["state"] for rule in found["rules"]}
    assert {
        verdicts[rule] for rule in ("pattern", "end", "done", "mark-true", "digest-conflict")
    } == {"ok"}


async def test_the_journal_command_names_owners_and_servers(
    cluster: Cluster, engine: PostgresServer, ledger: Ledger, tmp_path: Path
) -> None:
    with cluster.start("a", "both") as one:
        await until_ready(one)
        # Not before: however long the start took, this is recent enough for a poll.
        ledger.put(STREAMS[0], [(now_ms(), "one")])

        def look() -> list[dict[str, Any]]:
            with GaplessProcess("journal", engine.url, "--json", state=tmp_path) as listing:
                rows: list[dict[str, Any]] = json.loads(listing.out.wait_end()[0])
            return rows

        found: list[dict[str, Any]] = []

        def is_there() -> bool:
            found[:] = look()
            return bool(found[0]["servers"]) and found[0]["head"] > 1

        await until(is_there, "a server's wants and the event")
        [row] = found
    assert row["group"] == GROUP
    assert ":ingest:" in row["owner"]
    assert [":serve:" in server["name"] for server in row["servers"]] == [True]
    assert row["stored"] == row["head"]
    assert row["size_bytes"] > 0
    assert row["lease_left_ms"] > 0


@pytest.mark.parametrize(
    ("url", "code", "error"),
    [
        ("postgresql:///x?host=/nowhere", 3, "can't be reached"),
        ("postgresql://me:secret@/x", 2, "contains a password"),
        ("journal.sqlite3", 2, "is not a shared journal"),
    ],
)
def test_a_journal_that_cannot_be_used_is_one_line(
    url: str, code: int, error: str, tmp_path: Path
) -> None:
    with GaplessProcess("journal", url, state=tmp_path) as listing:
        assert listing.popen.wait(WAIT_S) == code
        [line] = listing.err.wait_end()
    assert error in line
    assert "secret" not in line
