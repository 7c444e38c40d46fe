"""``gapless verify``: compares a forwarder's log, complete or altered, with CloudWatch."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.network.mangling_proxy import Mangler, mangled
from tests.support.processes.gapless_processes import clean_environment, forwarder
from tests.support.processes.log_writer import Ledger, now_ms
from tests.support.processes.moto_server import RawMoto, raw_moto

A, B = STREAMS = ("job/main/aaaa", "job/main/bbbb")
GROUP = "/jobs/verified"
EVENTS = 12_000

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def moto() -> Iterator[RawMoto]:
    with raw_moto() as server:
        yield server


@pytest.fixture(scope="module")
def written(moto: RawMoto) -> Iterator[Ledger]:
    """More events than fit a page, many with the same timestamp."""
    ledger = Ledger(moto, GROUP, STREAMS)
    since = now_ms() - 600_000
    for stream in STREAMS:
        half = range(EVENTS // 2)
        ledger.put(stream, [(since + i // 40 * 30, f"{i} of {stream} \ud83d\ude80") for i in half])
    yield ledger
    ledger.close()


@pytest.fixture(scope="module")
def ready(written: Ledger, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    state = tmp_path_factory.mktemp("state")
    with forwarder(GROUP, written.moto.url, state) as process:
        yield process.ready()


def verify(state: Path, moto: RawMoto, *arguments: str) -> subprocess.CompletedProcess[str]:
    aws = ("--endpoint-url", moto.url, "--region", "us-east-1")
    return subprocess.run(
        [sys.executable, "-m", "gapless", "verify", *arguments, *aws],
        env=clean_environment(state),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


def test_a_complete_forwarder(ready: dict[str, Any], moto: RawMoto, tmp_path: Path) -> None:
    done = verify(tmp_path, moto, ready["websocket"])
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{EVENTS:,} events of {GROUP}" in done.stdout
    assert "every one is there once, unaltered" in done.stdout


class Tampering(Mangler):
    """Removes, alters and adds one event in each page of /v1/logs."""

    def http(self, path: str, status: int, body: bytes) -> tuple[int, bytes]:
        if path.startswith("/v1/logs") and "through" in path:
            page = json.loads(body)
            if len(page["items"]) > 100:
                items = page["items"]
                del items[50]
                items[60][5] += "!"
                items.insert(70, [*items[70][:1], "424242", *items[70][2:]])
                body = json.dumps(page).encode()
        return status, body


async def test_missing_altered_and_invented_events_are_reported(
    ready: dict[str, Any], moto: RawMoto, tmp_path: Path
) -> None:
    async with mangled(ready, Tampering) as url:
        done = await asyncio.to_thread(verify, tmp_path, moto, url, "--json")
    assert done.returncode == 4
    # A slow machine makes it wait, which it says.
    assert all(line.startswith("gapless: waiting for ") for line in done.stderr.splitlines())
    report = json.loads(done.stdout)
    pages = (EVENTS - 1) // 10_000 + 1
    assert (report["cloudwatch"], report["forwarder"]) == (EVENTS, EVENTS)
    assert [report[kind] for kind in ("missing", "altered", "surplus", "doubled")] == [
        *(pages, pages, pages, 0)
    ]
    assert not report["complete"]
    assert not report["digest_agrees"]
    kinds = {one["difference"]: one for one in report["events"]}
    assert kinds["surplus"]["id"] == "424242"
    assert all(one["why"] is None for one in kinds.values())


def test_a_groups_own_forwarder_and_an_unknown_group(
    written: Ledger, moto: RawMoto, tmp_path: Path
) -> None:
    done = verify(tmp_path, moto, GROUP, "--since", "1h", "--until", "5s", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert report["cloudwatch"] == report["equal"] == len(written.accepted)
    assert report["through"] == report["wanted_through"]
    done = verify(tmp_path, moto, "/no/such")
    assert done.returncode == 3
    assert "there is no log group '/no/such'" in done.stderr


def test_no_forwarder_and_an_empty_range(moto: RawMoto, tmp_path: Path) -> None:
    done = verify(tmp_path, moto, "ws://127.0.0.1:9")
    assert done.returncode == 3
    assert "is it running" in done.stderr
    done = verify(tmp_path, moto, "ws://127.0.0.1:9", "--since", "5m", "--until", "10m")
    assert done.returncode == 2
    assert " is before --since " in done.stderr
