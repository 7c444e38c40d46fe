"""CloudWatch masks texts that were printed: declared, never green, and the first texts stay."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.forwarder.scripted_cloudwatch import (
    Asked,
    Reply,
    ScriptedCloudWatch,
    page,
    scripted_cloudwatch,
)
from tests.support.network.middlebox import Middlebox
from tests.support.processes.gapless_processes import (
    WAIT_S,
    GaplessProcess,
    forwarder,
    read_record,
    wait_until,
)

pytestmark = pytest.mark.timeout(600)

GROUP = "/jobs/nightly"
DECLARED = "altered: CloudWatch now returns another text"


class MaskedEvents:
    """Three events a minute old; the second is masked while ``is_masked``."""

    def __init__(self) -> None:
        now_ms = time.time_ns() // 1_000_000
        self._events = [(number, now_ms - 60_000 + 20_000 * number, "s") for number in (1, 2, 3)]
        self.is_masked = False

    def __call__(self, asked: Asked) -> Reply:
        if asked["operation"] != "FilterLogEvents":
            listed = f'{{"logGroups":[{{"logGroupName":"{GROUP}","creationTime":1}}]}}'
            return Reply(body=listed.encode())
        low, high = asked.get("startTime", 0), asked.get("endTime", 1 << 60)
        body = page([one for one in self._events if low <= one[1] <= high]).body
        return Reply(body=body.replace(b'"m2"', b'"****"') if self.is_masked else body)


@pytest.fixture
def events() -> MaskedEvents:
    return MaskedEvents()


@pytest.fixture
def cloudwatch(events: MaskedEvents) -> Iterator[ScriptedCloudWatch]:
    with scripted_cloudwatch(events) as scripted:
        yield scripted


def tail(cloudwatch: ScriptedCloudWatch, state: Path, *options: str) -> GaplessProcess:
    where = ("--endpoint-url", cloudwatch.url, "--region", "us-east-1")
    shown = ("--since", "10m", "--output", "json")
    return GaplessProcess("tail", GROUP, *where, *shown, *options, state=state)


def texts(lines: list[str]) -> list[str]:
    return [json.loads(line)["message"] for line in lines]


def test_a_text_that_changes_and_changes_back(
    events: MaskedEvents, cloudwatch: ScriptedCloudWatch, tmp_path: Path
) -> None:
    path = tmp_path / "record"
    with tail(cloudwatch, tmp_path) as following:
        assert texts(following.out.wait_for(3, "lines")) == ["m1", "m2", "m3"]
        events.is_masked = True
        wait_until(lambda: any(DECLARED in one for one in following.err.so_far()), "the gap")
        with tail(cloudwatch, tmp_path, "--no-follow", "--record", str(path)) as once:
            assert once.popen.wait(WAIT_S) == 4
            printed = once.out.wait_end()
            assert texts(printed) == ["m1", "m2", "m3"]
            assert [json.loads(line).get("altered") for line in printed] == [None, True, None]
            said = [line for line in once.err.wait_end() if DECLARED in line]
            assert len(said) == 1
        record = read_record(path)
        [other] = [one for one in record if one["type"] == "altered"]
        assert (other["id"], other["message"], other["length"]) == ("2", "****", 4)
        assert record[-1]["altered"] == 1
        events.is_masked = False
        # The last command shares the forwarder, whose next scan repairs the gap.
        wait_until(lambda: ends_complete(cloudwatch, tmp_path), "the repair")
        assert sum(DECLARED in one for one in following.err.so_far()) == 1


def test_a_viewer_that_polls_shows_it_as_well(
    events: MaskedEvents, cloudwatch: ScriptedCloudWatch, tmp_path: Path
) -> None:
    with forwarder(GROUP, cloudwatch.url, tmp_path) as process:
        websocket = urlsplit(process.ready()["websocket"])
        with Middlebox(websocket.port or 0) as box:
            url = f"ws://127.0.0.1:{box.port}{websocket.path}"
            # On a busy machine the history may take longer than lines are held by default.
            shown = ("--since", "10m", "--output", "json", "--hold", "10m")
            with GaplessProcess("tail", url, *shown, state=tmp_path) as polling:
                assert texts(polling.out.wait_for(3, "lines")) == ["m1", "m2", "m3"]
                events.is_masked = True
                wait_until(lambda: any(DECLARED in one for one in polling.err.so_far()), "the gap")
                events.is_masked = False
                gone = "no longer altered"
                wait_until(lambda: any(gone in one for one in polling.err.so_far()), "the repair")
            assert box.refused >= 1


def ends_complete(cloudwatch: ScriptedCloudWatch, state: Path) -> bool:
    with tail(cloudwatch, state, "--no-follow") as once:
        code = once.popen.wait(WAIT_S)
        assert texts(once.out.wait_end()) == ["m1", "m2", "m3"]
        return code == 0
