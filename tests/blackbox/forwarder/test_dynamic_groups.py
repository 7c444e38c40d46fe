"""Log groups that come and go: one background forwarder for all, patterns, and a groups file."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.http import request
from tests.support.processes.gapless_processes import (
    GaplessProcess,
    wait_until,
)
from tests.support.processes.moto_server import RawMoto, raw_moto

pytestmark = pytest.mark.timeout(600)

ONE, TWO, LATER = "/jobs/one", "/jobs/two", "/jobs/later"


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture
def moto() -> Iterator[RawMoto]:
    with raw_moto() as server:
        for group in (ONE, TWO):
            add_group(server, group)
        yield server


def add_group(moto: RawMoto, group: str) -> None:
    moto.create(group, "s")
    moto.put(group, "s", [(now_ms(), f"line of {group}")])


def delete_group(moto: RawMoto, group: str) -> None:
    client = moto.client()
    client.delete_log_group(logGroupName=group)
    client.close()


def tail(group: str, moto: RawMoto, state: Path, *options: str) -> GaplessProcess:
    where = ("--endpoint-url", moto.url, "--region", "us-east-1")
    return GaplessProcess(
        "tail", group, *where, "--since", "10m", "--output", "text", *options, state=state
    )


def lock_files(state: Path) -> list[dict[str, Any]]:
    """Ready lines of the background forwarders that run."""
    found = []
    for path in state.glob("xdg_state_home/gapless/accounts/*/journals.lock"):
        text = path.read_text(encoding="utf-8")
        found += [json.loads(text)] if text else []
    return found


def get(ready: dict[str, Any], path: str, token: str | None = None) -> Any:  # noqa: ANN401 - JSON
    return request(f"{ready['http']}{path}", token=token)


def served(ready: dict[str, Any]) -> list[str]:
    found: list[str] = get(ready, "/v1/groups")
    return sorted(found)


def until_served(ready: dict[str, Any], *groups: str) -> None:
    wait_until(lambda: served(ready) == sorted(groups), f"{groups} to be served")


def test_two_tails_of_different_groups_share_one_forwarder(moto: RawMoto, tmp_path: Path) -> None:
    with tail(ONE, moto, tmp_path) as one:
        assert one.out.wait_for(1, "lines")[0].endswith(f"line of {ONE}")
        (first,) = lock_files(tmp_path)
        with tail(TWO, moto, tmp_path) as two:
            assert two.out.wait_for(1, "lines")[0].endswith(f"line of {TWO}")
            (second,) = lock_files(tmp_path)
            assert second["pid"] == first["pid"]
            with tail("/jobs/none", moto, tmp_path) as missing:
                assert missing.popen.wait(240) == 3
                assert (
                    "there is no log group '/jobs/none' in us-east-1" in missing.err.wait_end()[-1]
                )
        add_group(moto, LATER)
        with tail(LATER, moto, tmp_path) as later:
            assert later.out.wait_for(1, "lines")[0].endswith(f"line of {LATER}")
        assert lock_files(tmp_path)[0]["pid"] == first["pid"]
    wait_until(lambda: not lock_files(tmp_path), "the end of the forwarder")
    names = [path.name for path in tmp_path.glob("**/accounts/*/journals/*.sqlite3")]
    assert len(names) == 3
