"""The record with evicted lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.viewer.http_journal import HttpJournal
from tests.support.viewer.scripted_forwarder import eventually, scripted_forwarder
from tests.support.viewer.server_messages import SINCE, ForwarderMessages, item
from tests.unit.tui.client.test_refetch import ITEMS, NEWEST_MS, going_on, says, started, whole
from tui.client.target import TargetSpec
from tui.output.record import write_complete_record, write_record
from wire.messages import Altered, AlteredText


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.lines.blocks.CHUNK_ROWS", 10)
    monkeypatch.setattr("tui.lines.timeline.RANGE_LINES", 20)
    monkeypatch.setattr("tui.client.refetch.LINES_MAX", 30)


def read(path: Path, kind: str) -> list[dict[str, Any]]:
    entries = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert (entries[0]["type"], entries[-1]["type"]) == ("record", "status")
    return [one for one in entries if one["type"] == kind]


def names(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


async def test_the_other_text_of_an_altered_line_is_an_entry(tmp_path: Path) -> None:
    forwarder = ForwarderMessages()
    moment = ITEMS[0].timestamp
    gap = forwarder.gap
    script = says(
        forwarder.welcome(),
        forwarder.backfill(f"{SINCE}:0..", done=True),
        forwarder.events(0, ITEMS[:2]),
        gap(moment, moment, "unrecoverable"),
        Altered(
            n=forwarder._number(),
            texts=[AlteredText(ITEMS[0].id, moment, "****", 9_000)],
            count=1,
        ),
    )
    async with (
        scripted_forwarder(script) as server,
        started(TargetSpec(url=server.url, since=SINCE, group="/group")) as engine,
    ):
        await eventually(lambda: engine.status.altered == 1)
        write_record(tmp_path / "record", engine)
    [entry] = read(tmp_path / "record", "altered")
    assert entry == {
        "type": "altered",
        "target": 0,
        "id": ITEMS[0].id,
        "timestamp": moment,
        "message": "****",
        "length": 9_000,
    }
    [first, _] = read(tmp_path / "record", "event")
    assert (first["id"], first["message"]) == (ITEMS[0].id, ITEMS[0].message)
    [status] = read(tmp_path / "record", "status")
    assert status["altered"] == 1


async def test_evicted_lines_are_fetched_page_by_page_to_their_places(tmp_path: Path) -> None:
    never_sent = item(999, 2_100, 777, message="never sent")
    late = item(201, 2_050, 888, message="late")
    http_journal, forwarder = (
        HttpJournal([*ITEMS, late, never_sent], page=50),
        ForwarderMessages([late]),
    )
    path = tmp_path / "record"
    script = says(
        forwarder.welcome(),
        forwarder.backfill(f"{SINCE}:0..", done=True),
        forwarder.events(0, ITEMS),
        forwarder.mark(SINCE, NEWEST_MS, 200, owned=ITEMS),
        forwarder.events(200, [late]),
    )
    async with (
        scripted_forwarder(script, http_journal=http_journal) as server,
        started(TargetSpec(url=server.url, since=SINCE, group="/group")) as engine,
    ):
        await eventually(lambda: engine.status.events == 201)
        engine.merge()
        evicted = engine.timeline.evicted
        assert evicted >= 150
        write_record(path, engine)
        assert len(read(path, "event")) == 201 - evicted
        assert [one["count"] for one in read(path, "evicted")] == [evicted]
        await write_complete_record(path, engine)
        assert engine.timeline.evicted == evicted, "the screen's lines stay evicted"
    events = read(path, "event")
    times = [(one["timestamp"], int(one["id"])) for one in events]
    assert times == sorted(times)
    assert {one["message"] for one in events} == {one.message for one in [*ITEMS, late]}
    assert len(events) == 201
    assert [one["message"] for one in events if one["late"]] == ["late"]
    assert sum(one.get("recalled", False) for one in events) == evicted
    assert read(path, "evicted") == []
    assert names(tmp_path) == ["record"]


async def test_lines_that_cannot_be_fetched_stay_declared(tmp_path: Path) -> None:
    path = tmp_path / "record"
    async with (
        scripted_forwarder(whole(ForwarderMessages(), ITEMS)) as server,  # its HTTP answers 502
        started(TargetSpec(url=server.url, since=SINCE, group="/group")) as engine,
    ):
        await eventually(lambda: engine.complete_through == NEWEST_MS)
        await write_complete_record(path, engine)
    assert len(read(path, "event")) == 50
    (evicted,) = read(path, "evicted")
    assert (evicted["count"], evicted["through"]) == (150, 2_150)
    assert evicted["reason"]


async def test_lines_that_the_forwarder_no_longer_has_are_declared(tmp_path: Path) -> None:
    path = tmp_path / "record"
    http_journal = HttpJournal([one for one in ITEMS if one.seq % 2], page=50)
    async with (
        scripted_forwarder(whole(ForwarderMessages(), ITEMS), http_journal=http_journal) as server,
        started(TargetSpec(url=server.url, since=SINCE, group="/group")) as engine,
    ):
        await eventually(lambda: engine.complete_through == NEWEST_MS)
        await write_complete_record(path, engine)
    assert len(read(path, "event")) == 125
    (evicted,) = read(path, "evicted")
    assert (evicted["count"], evicted["reason"]) == (
        75,
        "the forwarder does not have them any more",
    )


async def test_the_record_has_the_lines_of_the_run_that_it_resumes(tmp_path: Path) -> None:
    path = tmp_path / "record"
    http_journal, forwarder = HttpJournal(list(ITEMS), page=50), ForwarderMessages(ITEMS[150:])
    script = says(
        forwarder.welcome("resumed", after=150, head_seq=200),
        forwarder.events(150, ITEMS[150:]),
        forwarder.mark(SINCE, NEWEST_MS, 200),
    )
    async with (
        scripted_forwarder(script, http_journal=http_journal) as server,
        started(going_on(server.url), capacity=1_000) as engine,
    ):
        await eventually(lambda: engine.complete_through == NEWEST_MS)
        await eventually(lambda: engine.timeline.lines == 100)
        await write_complete_record(path, engine)
    assert [one["message"] for one in read(path, "event")] == [one.message for one in ITEMS]
    assert read(path, "evicted") == []
