from __future__ import annotations

import base64
import gzip
import json
import threading
from types import SimpleNamespace

import pytest

from simulator.cloudwatch import delivery as module
from simulator.cloudwatch import wall_clock_ms
from simulator.cloudwatch.delivery import DELAY_MS, Delivery, payload, record_data
from simulator.cloudwatch.levers import Batch, Lever, LeverOrder
from simulator.cloudwatch.logs import Ids, Subscription
from tests.support.simulator.stored_logs import GROUP, NOW, StoredLogs


class Twice(Lever):
    """Sends everything again, later."""

    def deliver(self, batches: list[Batch]) -> list[Batch]:
        return [*batches, *(one._replace(due_ms=one.due_ms + 50) for one in batches)]


class Nothing(Lever):
    """Sends nothing."""

    def deliver(self, batches: list[Batch]) -> list[Batch]:
        return batches[:0]


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> StoredLogs:
    # No thread: the test sends what is due, at its own time.
    idle = SimpleNamespace(start=lambda: None, join=lambda: None)
    names = SimpleNamespace(Thread=lambda **_: idle, Condition=threading.Condition)
    monkeypatch.setattr(module, "threading", names)
    one = StoredLogs("a", "b", levers={"twice": Twice, "nothing": Nothing})
    one.store.subscriptions["all"] = Subscription("all", "", "arn:all")
    return one


def sent(stored: StoredLogs, at_ms: int) -> list[list[str]]:
    """The messages of the batches that are sent by ``at_ms`` from the start."""
    stored.sent.clear()
    stored.delivery.send_due(NOW + at_ms)
    return [[message for _, _, message in batch.events] for batch in stored.sent]


def test_nothing_is_sent_in_the_call_itself_and_everything_in_order_after_it(
    stored: StoredLogs,
) -> None:
    stored.put("a", (0, "one"), (5, "two"))
    stored.put("b", (1, "three"))
    assert sent(stored, DELAY_MS - 1) == []
    assert stored.delivery.send_due(NOW) == DELAY_MS
    assert sent(stored, DELAY_MS) == [["one", "two"], ["three"]]
    assert stored.delivery.send_due(NOW) is None
    assert (stored.delivery.sent, stored.delivery.skipped) == (2, 0)


def test_ids_are_those_of_filter_log_events(stored: StoredLogs) -> None:
    stored.put("a", (0, "one"), (5, "two"))
    sent(stored, DELAY_MS)
    (batch,) = stored.sent
    events = stored.ask("FilterLogEvents")["events"]
    told = [(event["eventId"], event["timestamp"], event["message"]) for event in events]
    assert list(batch.events) == told
    assert (batch.group, batch.stream, batch.filter_name) == (GROUP, "a", "all")


def test_each_filter_gets_what_its_pattern_matches(stored: StoredLogs) -> None:
    stored.store.subscriptions["some"] = Subscription("some", "ERROR", "arn:some")
    stored.put("a", (0, "ERROR one"), (5, "two"))
    stored.put("a", (6, "three"))
    assert sent(stored, DELAY_MS) == [["ERROR one", "two"], ["ERROR one"], ["three"]]
    assert [batch.destination for batch in stored.sent] == ["arn:all", "arn:some", "arn:all"]


def test_levers_drop_double_and_delay(stored: StoredLogs) -> None:
    stored.rack.engage(LeverOrder("t", "twice"))
    stored.put("a", (0, "one"))
    assert sent(stored, DELAY_MS) == [["one"]]
    assert sent(stored, DELAY_MS + 50) == [["one"]]
    stored.rack.engage(LeverOrder("n", "nothing"))
    stored.put("a", (0, "two"))
    assert sent(stored, 10_000) == []


def test_what_a_broken_destination_does_not_take_is_skipped(stored: StoredLogs) -> None:
    stored.put("a", (0, "one"))
    stored.is_broken = True
    assert sent(stored, DELAY_MS) == []
    stored.is_broken = False
    assert sent(stored, DELAY_MS) == []
    assert (stored.delivery.sent, stored.delivery.skipped) == (0, 1)


def test_what_waits_is_bounded_and_said(
    stored: StoredLogs, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "WAITING_BYTES_MAX", 1_000)
    for number in range(5):
        stored.put("a", (0, f"{number}" * 200))
    assert (len(stored.delivery._waiting), stored.delivery.skipped) == (2, 3)
    assert capsys.readouterr().err.count("gapless: the queue of subscription filters is full") == 1
    sent(stored, DELAY_MS)
    stored.put("a", (0, "there is room again"))
    assert len(stored.delivery._waiting) == 1


def test_a_record_is_worded_as_by_aws(stored: StoredLogs) -> None:
    stored.put("a", (0, "one \ud83d"))
    sent(stored, DELAY_MS)
    (batch,) = stored.sent
    data = json.loads(gzip.decompress(base64.b64decode(record_data(batch, "123456789012"))))
    assert data == payload(batch, "123456789012")
    assert data == {
        "messageType": "DATA_MESSAGE",
        "owner": "123456789012",
        "logGroup": GROUP,
        "logStream": "a",
        "subscriptionFilters": ["all"],
        "logEvents": [
            {"id": batch.events[0][0], "timestamp": NOW, "message": "one \ud83d"},
        ],
    }


def test_a_new_filter_is_probed(stored: StoredLogs) -> None:
    stored.rack.engage(LeverOrder("n", "nothing"))
    stored.delivery.probe(stored.store.subscriptions["all"], NOW)
    sent(stored, 0)
    data = payload(stored.sent[0], "123456789012")
    assert (data["messageType"], data["owner"]) == ("CONTROL_MESSAGE", "CloudwatchLogs")
    assert (data["logGroup"], data["subscriptionFilters"]) == ("", [])
    assert len(data["logEvents"]) == 1


def test_a_thread_of_its_own_sends_what_is_due() -> None:
    arrived = threading.Event()
    threads: list[str] = []

    def send(_: Batch) -> None:
        threads.append(threading.current_thread().name)
        arrived.set()

    one = Delivery(send, lambda batches: batches, Ids(0), lambda: NOW)
    batch = Batch(NOW, "/g", "s", "f", "arn", is_random=False, events=(("1", 1, "m"),))
    for count in (1, 2):
        arrived.clear()
        one.add([batch])
        assert arrived.wait(240)
        assert threads == ["subscriptions"] * count
    one.close()
    assert "subscriptions" not in {thread.name for thread in threading.enumerate()}


def test_what_is_offered_just_before_the_thread_rests_is_sent() -> None:
    arrived = threading.Event()
    batch = Batch(0, "/g", "s", "f", "arn", is_random=False, events=(("1", 1, "m"),))

    class Late(Delivery):
        """Gets a batch for later at the moment when its thread has found nothing more."""

        rounds = 0

        def send_due(self, now_ms: int) -> int | None:
            left_ms = super().send_due(now_ms)
            self.rounds += 1
            if self.rounds == 1:
                self.add([batch._replace(due_ms=now_ms + 20, filter_name="late")])
            return left_ms

    def send(one: Batch) -> None:
        if one.filter_name == "late":
            arrived.set()

    one = Late(send, lambda batches: batches, Ids(0), wall_clock_ms)
    one.add([batch])
    assert arrived.wait(240)
    one.close()
