"""Log groups that come and go in one forwarder over real sockets: nothing is left of them."""

from __future__ import annotations

import asyncio
import gc
import json
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from common.tokens import OfferedToken
from forwarder.config import AwsOptions, Config
from forwarder.groups import keeper as keeper_module
from forwarder.groups import opening, served
from forwarder.ingest.log_group import LogGroup
from forwarder.main import Ready
from forwarder.reconcile.feed import Feed
from tests.support.forwarder.running import running
from tests.support.forwarder.scripted_cloudwatch import (
    Asked,
    Reply,
    ScriptedCloudWatch,
    page,
    scripted_cloudwatch,
)
from tests.support.processes.gapless_processes import WAIT_MS, WAIT_S
from tests.support.processes.moto_server import CREDENTIALS

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GAPLESS_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr(keeper_module, "SWEEP_S", 0.05)
    # On a busy machine the server of a test may take longer to answer than viewers wait.
    monkeypatch.setattr(opening, "CHECK_UNANSWERED_MS", WAIT_MS)
    monkeypatch.setattr(served, "ACQUIRE_S", WAIT_S)
    yield
    gc.unfreeze()


def answer(asked: Asked) -> Reply:
    if asked["operation"] == "DescribeLogGroups":
        names = [f"/load/{number:03}" for number in range(100)]
        listed = [{"logGroupName": one, "creationTime": 1} for one in names]
        begun = int(asked.get("nextToken", "0"))
        more = {"nextToken": str(begun + 50)} if begun + 50 < len(names) else {}
        body = {"logGroups": listed[begun : begun + 50], **more}
        return Reply(body=json.dumps(body).encode())
    return page([])


@pytest.fixture
def cloudwatch() -> Iterator[ScriptedCloudWatch]:
    with scripted_cloudwatch(answer) as scripted:
        yield scripted


def config(cloudwatch: ScriptedCloudWatch, folder: Path, **more: object) -> Config:
    return Config(
        aws=AwsOptions(endpoint_url=cloudwatch.url, region="us-east-1"),
        journal=folder,
        port=0,
        live="poll",
        **more,  # type: ignore[arg-type] # what a test changes
    )


async def get(ready: Ready, path: str, token: str = "") -> tuple[int, bytes]:
    host, port = urlsplit(ready.http).hostname, urlsplit(ready.http).port
    reader, writer = await asyncio.open_connection(host, port)
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    head += f"Authorization: Bearer {token}\r\n" if token else ""
    writer.write(f"{head}\r\n".encode())
    whole = await reader.read()
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()
    top, _, body = whole.partition(b"\r\n\r\n")
    return int(top.split(b" ", 2)[1]), body


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def count_of(kind: type) -> int:
    gc.collect()
    return sum(type(one) is kind for one in gc.get_objects())


async def until_empty(ready: Ready) -> None:
    async with asyncio.timeout(120):
        while json.loads((await get(ready, "/v1/groups"))[1]):  # noqa: ASYNC110 - of the server
            await asyncio.sleep(0.05)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for the end of feeds and connections, which are closed after they were listed last."""
    async with asyncio.timeout(120):
        while not condition():  # noqa: ASYNC110 - the condition has no event
            await asyncio.sleep(0.05)


async def test_300_log_groups_that_come_and_go_leave_nothing(
    cloudwatch: ScriptedCloudWatch, tmp_path: Path
) -> None:
    settings = config(cloudwatch, tmp_path / "journals", any_group=True, linger_ms=0)
    async with running(settings) as ready:

        async def use(begun: int, end: int) -> None:
            for number in range(begun, end):
                status, _ = await get(ready, f"/v1/executions?group=/used/{number}")
                assert status == HTTPStatus.OK
            await until_empty(ready)

        await use(0, 30)  # fills what is allocated once
        tracemalloc.start()
        tasks, files = len(asyncio.all_tasks()), open_files()
        await use(30, 330)
        await until(lambda: len(asyncio.all_tasks()) <= tasks + 2)
        await until(lambda: open_files() <= files + 4)
        await until(lambda: count_of(Feed) == count_of(LogGroup) == 0)
        # There are more of them the longer it takes.
        cloudwatch.asked.clear()
        cloudwatch.access_keys.clear()
        gc.collect()
        sizes = [one.size for one in tracemalloc.take_snapshot().traces]
        # The interpreter's table of interned strings, one large block, moves when it is full.
        grown = sum(sizes) - max(sizes)
        tracemalloc.stop()
        assert grown < 300 * 4_096
    assert len(list((tmp_path / "journals").glob("*.sqlite3"))) == 330
    assert not list((tmp_path / "journals").glob("*.lock"))


async def test_many_named_log_groups_are_checked_with_few_calls(
    cloudwatch: ScriptedCloudWatch, tmp_path: Path
) -> None:
    names = tuple(f"/load/{number:03}" for number in range(100))
    async with running(config(cloudwatch, tmp_path, groups=names)) as ready:
        checks = [one for one in cloudwatch.asked if one.get("limit") == 1]
        assert len(checks) == 1, "the others were found in two pages of DescribeLogGroups"
        assert len(json.loads((await get(ready, "/v1/groups"))[1])) == 100


async def test_a_request_without_a_valid_token_causes_no_call(
    cloudwatch: ScriptedCloudWatch, tmp_path: Path
) -> None:
    offered = OfferedToken()
    settings = config(cloudwatch, tmp_path / "journals", any_group=True)
    async with running(settings, offered) as ready:
        for path in (
            *("/v1/tail?group=/x", "/v1/logs?group=/x", "/v1/executions?group=/x"),
            *("/v1/groups?group=/x", "/v1/groups?match=*", "/v1/forwarder"),
        ):
            for token in ("", "wrong"):
                status, _ = await get(ready, path, token)
                assert status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS)
        assert cloudwatch.asked == []
        assert list((tmp_path / "journals").iterdir()) == []
        status, body = await get(ready, "/v1/groups?match=/load/00?", offered.token)
        assert status == HTTPStatus.OK
        assert [one["name"] for one in json.loads(body)] == [f"/load/00{n}" for n in range(10)]
        assert (await get(ready, "/v1/executions?group=/x", offered.token))[0] == HTTPStatus.OK
        assert (await get(ready, "/v1/logs?group=/x*", offered.token))[0] == HTTPStatus.NOT_FOUND


async def test_beyond_the_limit_of_log_groups_the_answer_says_so(
    cloudwatch: ScriptedCloudWatch, tmp_path: Path
) -> None:
    settings = config(cloudwatch, tmp_path, groups=("/load/00?",), groups_max=10)
    async with running(settings) as ready:
        async with asyncio.timeout(60):
            while len(json.loads((await get(ready, "/v1/groups"))[1])) < 10:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert (await get(ready, "/v1/executions?group=/load/010"))[0] == HTTPStatus.NOT_FOUND
        status, body = await get(ready, "/v1/executions?group=/load/001&pattern=ERROR")
        assert status == HTTPStatus.SERVICE_UNAVAILABLE
        assert b"serves 10 log groups already" in body
