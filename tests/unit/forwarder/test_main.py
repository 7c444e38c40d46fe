from __future__ import annotations

import asyncio
import gc
import json
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from common.tokens import OfferedToken, find_offered_token, read_token
from forwarder.cloudwatch.clock import wall_clock_ms
from forwarder.cloudwatch.reader import CloudWatch
from forwarder.config import AwsOptions, Config
from forwarder.errors import (
    ConfigError,
    ForwarderError,
    GroupNotFoundError,
    JournalError,
    LifecycleError,
    TruncatedResponseError,
    UnreachableError,
)
from forwarder.groups import opening, served
from forwarder.journal.sqlite import SqliteJournals
from forwarder.main import Ready, lifecycle_of
from tests.support.forwarder.running import running
from tests.support.processes.gapless_processes import WAIT_MS, WAIT_S
from tests.support.processes.moto_server import CREDENTIALS, RawMoto, raw_moto
from wire.codec import decode_server
from wire.messages import Backfill, Events, Welcome

GROUP, OTHER = "/main/one", "/main/two"
NOWHERE = AwsOptions(endpoint_url="http://127.0.0.1:9", region="us-east-1")


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    # On a busy machine the server of a test may take longer to answer than viewers wait.
    monkeypatch.setattr(opening, "CHECK_UNANSWERED_MS", WAIT_MS)
    monkeypatch.setattr(served, "ACQUIRE_S", WAIT_S)
    yield
    gc.unfreeze()


@pytest.fixture(scope="module")
def moto() -> Iterator[RawMoto]:
    with raw_moto() as server:
        server.create(GROUP, "a")
        server.create(OTHER, "a")
        server.put(GROUP, "a", [(wall_clock_ms(), f"line {number}") for number in range(3)])
        yield server


def config(moto: RawMoto, *groups: str, journal: Path | None = None, port: int = 0) -> Config:
    return Config(
        groups=groups or (GROUP,),
        aws=AwsOptions(endpoint_url=moto.url, region="us-east-1"),
        journal=journal,
        port=port,
        poll_ms=400,
        heartbeat_ms=200,
    )


async def refused(settings: Config) -> ForwarderError:
    with pytest.raises(ForwarderError) as error:
        async with running(settings):
            pass
    assert "\n" not in str(error.value)
    return error.value


async def status_of(ready: Ready, path: str) -> int:
    host, port = urlsplit(ready.http).hostname, urlsplit(ready.http).port
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return int(answer.split(b" ", 2)[1])


async def messages_until_done(ready: Ready, query: str = "since=0") -> tuple[Welcome, list[str]]:
    async with connect(f"{ready.websocket}?{query}", proxy=None) as connection:
        found: list[str] = []
        welcome = decode_server(await connection.recv())
        assert isinstance(welcome, Welcome)
        while True:
            message = decode_server(await connection.recv())
            if isinstance(message, Events):
                found += [item.message for item in message.items]
            if isinstance(message, Backfill) and message.done:
                return welcome, found


async def test_from_cloudwatch_to_a_viewer_and_to_an_orderly_end(
    moto: RawMoto, tmp_path: Path
) -> None:
    journal = tmp_path / "folder" / "journal.sqlite3"
    async with running(config(moto, journal=journal)) as ready:
        assert ready.ready
        assert ready.websocket.endswith("/v1/tail")
        welcome, found = await messages_until_done(ready)
        assert welcome.epoch == ready.epoch
        assert sorted(found) == ["line 0", "line 1", "line 2"]
        assert await status_of(ready, "/readyz") == 200
    # Closed, so that another may open it, and whole.
    journals = SqliteJournals(journal)
    assert journals.journal(GROUP).head_seq == 3
    journals.close()
    with closing(sqlite3.connect(journal)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_a_restart_with_the_same_journal_resumes(moto: RawMoto, tmp_path: Path) -> None:
    settings = config(moto, journal=tmp_path / "journal.sqlite3")
    async with running(settings) as ready:
        first, _ = await messages_until_done(ready)
    async with running(settings) as ready:
        query = f"since=0&epoch={first.epoch}&after=3"
        again, found = await messages_until_done(ready, query)
        assert (again.outcome, again.epoch) == ("resumed", ready.epoch)
        assert again.epoch != first.epoch
        assert found == []


async def test_viewers_get_bye_at_the_end(moto: RawMoto) -> None:
    async with running(config(moto)) as ready:
        connection = await connect(ready.websocket, proxy=None)
        await connection.recv()
    last, code = "", None
    try:
        while True:
            last = json.loads(await connection.recv())["type"]
    except ConnectionClosed as closed:
        code = closed.rcvd and closed.rcvd.code
    assert (last, code) == ("bye", 4001)


async def test_several_groups_in_a_folder(moto: RawMoto, tmp_path: Path) -> None:
    settings = config(moto, GROUP, OTHER, journal=tmp_path / "journals")
    async with running(settings) as ready:
        assert len((await messages_until_done(ready, f"since=0&group={GROUP}"))[1]) == 3
        assert (await messages_until_done(ready, f"since=0&group={OTHER}"))[1] == []
        assert await status_of(ready, "/v1/logs") == 400
    assert [path.name for path in (tmp_path / "journals").iterdir()] == ["journal.sqlite3"]


async def test_with_wait_a_group_that_does_not_exist_yet_is_served_once_it_does(
    moto: RawMoto, tmp_path: Path
) -> None:
    later = "/main/later"
    assert isinstance(await refused(config(moto, GROUP, later)), GroupNotFoundError)
    settings = msgspec.structs.replace(config(moto, GROUP, later, journal=tmp_path), wait=True)
    async with running(settings) as ready:
        assert await status_of(ready, "/readyz") == 503
        assert await status_of(ready, f"/v1/executions?group={later}") == 404
        moto.create(later, "a")
        async with asyncio.timeout(240):
            while await status_of(ready, "/readyz") != 200:  # noqa: ASYNC110 - of the server
                await asyncio.sleep(0.05)
        assert await status_of(ready, f"/v1/executions?group={later}") == 200


async def test_a_port_in_use_is_one_line(moto: RawMoto) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        error = await refused(config(moto, port=port))
    assert str(error).startswith(f"port {port} of 127.0.0.1 is in use")
    assert error.exit_code == 1


async def test_a_group_that_is_not_there(moto: RawMoto) -> None:
    error = await refused(config(moto, "/no/such/group"))
    assert isinstance(error, GroupNotFoundError)
    assert error.exit_code == 3


async def test_an_endpoint_that_can_not_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forwarder.groups.opening.CHECK_PAUSE_S", 0)
    error = await refused(Config(groups=(GROUP,), aws=NOWHERE, port=0))
    assert isinstance(error, UnreachableError)


async def test_without_cloudwatch_a_journal_that_has_something_is_served(
    moto: RawMoto, tmp_path: Path
) -> None:
    journal = tmp_path / "journal.sqlite3"
    async with running(config(moto, journal=journal)) as ready:
        await messages_until_done(ready)
    settings = Config(groups=(GROUP,), aws=NOWHERE, port=0, journal=journal)
    async with running(settings) as ready:
        assert await status_of(ready, "/readyz") == 503
        async with connect(f"{ready.websocket}?since=0", proxy=None) as connection:
            while not isinstance(message := decode_server(await connection.recv()), Events):
                pass
            assert len(message.items) == 3


async def test_answers_that_are_cut_short_pass_and_a_journal_is_served_meanwhile(
    moto: RawMoto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def check(_: CloudWatch, group: str, pattern: str) -> None:
        asked.append(group + pattern)
        msg = "cut short"
        raise TruncatedResponseError(msg)

    journal = tmp_path / "journal.sqlite3"
    monkeypatch.setattr(opening, "CHECK_PAUSE_S", 0.01)
    with monkeypatch.context() as patch:
        patch.setattr(CloudWatch, "check", check)
        assert isinstance(await refused(config(moto, journal=journal)), TruncatedResponseError)
        assert len(asked) == opening.CHECKS_MAX
    async with running(config(moto, journal=journal)) as ready:
        _, found = await messages_until_done(ready)
    monkeypatch.setattr(CloudWatch, "check", check)
    async with running(config(moto, journal=journal)) as ready:
        assert sorted((await messages_until_done(ready))[1]) == sorted(found)
    assert len(found) == 3
    assert len(asked) == opening.CHECKS_MAX + 1


async def test_a_file_that_is_not_a_journal(moto: RawMoto, tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    path.write_bytes(b"this is no journal" * 1_000)
    assert isinstance(await refused(config(moto, journal=path)), JournalError)


async def test_an_offered_token_is_required_and_found_while_the_forwarder_runs(
    moto: RawMoto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAPLESS_STATE_DIR", str(tmp_path / "state"))
    offered = OfferedToken()
    async with running(config(moto), offered) as ready:
        assert ready.token_file is not None
        assert read_token(Path(ready.token_file)) == offered.token
        assert await status_of(ready, "/v1/groups") == 401
        assert await status_of(ready, "/healthz") == 200
        assert find_offered_token(ready.websocket) == offered.token
    assert find_offered_token(ready.websocket) is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "example.org"])
async def test_other_machines_need_a_token(host: str) -> None:
    error = await refused(Config(groups=(GROUP,), host=host, port=0))
    assert isinstance(error, ConfigError)
    assert "--token-file" in str(error)


async def test_invalid_certificates(tmp_path: Path) -> None:
    path = tmp_path / "cert.pem"
    path.write_text("nonsense", encoding="ascii")
    settings = Config(groups=(GROUP,), port=0, tls_cert=path, tls_key=path)
    assert "--tls-cert" in str(await refused(settings))


def test_a_lifecycle_by_its_name() -> None:
    assert lifecycle_of("pattern:exit (?P<FAILED>1)").status_of("exit 1") == "FAILED"
    assert lifecycle_of("idle:30s").idle_ms == 30_000
    assert lifecycle_of("idle:1h30m").idle_ms == 5_400_000
    assert lifecycle_of("ecs:jobs").rule == "ecs:jobs"
    arn = "ecs:arn:aws:ecs:us-east-1:123456789012:cluster/jobs"
    assert lifecycle_of(arn).rule == arn


@pytest.mark.parametrize(
    "text", ["", "idle", "idle:", "idle:soon", "pattern:", "pattern:(", "ecs:", "ecs:a b"]
)
def test_an_invalid_lifecycle(text: str) -> None:
    with pytest.raises(LifecycleError, match="--lifecycle"):
        lifecycle_of(text)
