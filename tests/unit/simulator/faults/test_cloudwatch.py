"""The faults between forwarder and CloudWatch, and on the live path, over storage without moto."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from forwarder.cloudwatch.client import translate
from simulator.cloudwatch.altered_texts import KNOWN_MS, masked
from simulator.cloudwatch.levers import Answer, Batch, Call, LeverOrder
from simulator.cloudwatch.parameters import AwsRefusal
from simulator.errors import SimulatorError
from simulator.faults.base import Cycle, Fault, FaultType
from simulator.faults.board import FAULTS
from simulator.faults.cloudwatch import CLOUDWATCH, AccessLever
from simulator.faults.live_path import LIVE_PATH
from simulator.moto_process import lever_types
from tests.support.simulator.harm_recorder import HarmRecorder
from tests.support.simulator.stored_logs import GROUP, NOW, REGION, StoredLogs

EVENTS = 300
PAGE = 5
CALLS_MAX = 20_000


class Cloud:
    """Storage behind levers, and a client that reads as one has to."""

    def __init__(self) -> None:
        self.stored = StoredLogs("a", "b", levers=lever_types())
        for stream in ("a", "b"):
            self.stored.put(stream, *((at, f"{stream} {at}") for at in range(EVENTS // 2)))
        self.answers: Counter[str] = Counter()

    def engage(self, kind: str, toxicity: float | None = None, **given: int) -> None:
        fault = Fault(FAULTS[kind], kind, given, 1.0, 5)
        share = FAULTS[kind].toxicity if toxicity is None else toxicity
        self.stored.rack.engage(LeverOrder(kind, kind, fault.values, share, 5))

    def affected(self) -> int:
        """How much the lever that was engaged last has affected."""
        affected: int = self.stored.rack.describe()[-1]["affected"]
        return affected

    def ask(self, action: str = "FilterLogEvents", **given: object) -> Answer:
        body = json.dumps({"logGroupName": GROUP, **given}).encode()
        call = Call("logs", action, REGION, body, self.stored.now_ms)
        return self.stored.rack.call(call, self._then)

    def _then(self, call: Call) -> Answer:
        try:
            answer = self.stored._calls[call.action](call)
        except AwsRefusal as error:
            return Answer(400, json.dumps({"__type": error.code}).encode())
        return Answer(200, json.dumps(answer).encode())

    def scan(self) -> list[str]:
        """Ids of a full scan, with the retries and restarts of a careful client."""
        found: dict[str, None] = {}
        token: str | None = None
        for _ in range(CALLS_MAX):
            self.stored.now_ms += 10
            more = {} if token is None else {"nextToken": token}
            answer = self.ask(limit=PAGE, startTime=NOW - 1, **more)
            page = self._whole(answer)
            if page is None:
                if answer.status == 400 and b"InvalidParameter" in answer.body:
                    token = None
                continue
            found |= dict.fromkeys(event["eventId"] for event in page["events"])
            token = page.get("nextToken")
            if token is None:
                return list(found)
        pytest.fail("the scan never ends")

    def _whole(self, answer: Answer) -> dict[str, Any] | None:
        if answer.is_dropped:
            self.answers["dropped"] += 1
            return None
        if answer.content_length not in (None, len(answer.body)):
            self.answers["cut"] += 1
            return None
        try:
            page: dict[str, Any] = json.loads(answer.body)
        except ValueError:
            self.answers["truncated"] += 1
            return None
        if answer.status != 200:
            self.answers[page["__type"]] += 1
            return None
        self.answers["empty" if not page["events"] else "page"] += 1
        return page


def test_calm_is_one_call_a_page() -> None:
    cloud = Cloud()
    assert len(cloud.scan()) == EVENTS
    assert cloud.answers["page"] == EVENTS // PAGE


@pytest.mark.parametrize(
    ("kind", "given", "toxicity", "shows"),
    [
        ("throttle", {"rate": 20}, None, "ThrottlingException"),
        ("throttle", {"rate": 0}, 0.5, "ThrottlingException"),
        ("server_error", {"in_a_row": 8}, None, "InternalFailure"),
        ("server_error", {}, None, "ServiceUnavailableException"),
        ("slow_response", {"delay_ms": 1}, None, "page"),
        ("truncated_response", {}, 0.5, "cut"),
        ("truncated_response", {}, 0.5, "truncated"),
        ("empty_page", {}, 1.0, "empty"),
        ("short_page", {"events": 3}, None, "page"),
        ("repeat_token", {}, None, "page"),
        ("expire_token", {}, None, "page"),
        ("unreachable", {}, 0.5, "dropped"),
        ("credentials_expired", {}, 0.5, "ExpiredTokenException"),
        ("access_denied", {}, 0.5, "AccessDeniedException"),
        ("clock_wrong", {}, 0.5, "InvalidSignatureException"),
        ("group_missing", {}, 0.5, "ResourceNotFoundException"),
        ("inconsistent_answers", {}, None, "InvalidParameterException"),
    ],
)
def test_a_careful_client_gets_everything(
    kind: str, given: dict[str, int], toxicity: float | None, shows: str
) -> None:
    cloud = Cloud()
    cloud.engage(kind, toxicity, **given)
    assert len(cloud.scan()) == EVENTS
    assert cloud.answers[shows] > 0
    assert cloud.affected() > 0


@pytest.mark.parametrize("kind", [one.type for one in (*CLOUDWATCH, *LIVE_PATH)])
def test_what_a_fault_spares_it_does_not_count(kind: str) -> None:
    cloud = Cloud()
    cloud.engage(kind, 0.0)
    cloud.stored.put("a", (0, "later"))
    cloud.scan()
    cloud.stored.rack.deliver([Batch(5, "/g", "a", "f", "arn", is_random=False, events=())])
    assert cloud.affected() == 0


def test_what_a_fault_affects_is_counted_call_by_call_and_event_by_event() -> None:
    cloud = Cloud()
    cloud.engage("access_denied", 1.0)
    refused(cloud, ("FilterLogEvents", {}), ("DescribeLogStreams", {}), ("FilterLogEvents", {}))
    assert cloud.affected() == 2
    cloud.engage("flap", 1.0, period_ms=100_000)
    cloud.stored.rack.release("access_denied")
    cloud.ask()
    cloud.ask()
    assert cloud.affected() == EVENTS  # however often they are read
    cloud = Cloud()
    cloud.engage("visibility_delay", 1.0)
    cloud.stored.now_ms += 10
    cloud.stored.put("a", (0, "x"), (0, "y"))
    assert cloud.affected() == 2
    assert cloud.stored.rack.release("visibility_delay")[1] == 2
    cloud.stored.put("a", (0, "z"))
    assert cloud.stored.rack.release("visibility_delay")[1] == 0


@pytest.mark.parametrize("kind", [one.type for one in LIVE_PATH])
def test_records_that_a_fault_of_the_live_path_changes_are_counted(kind: str) -> None:
    cloud = Cloud()
    cloud.engage(kind, 1.0)
    batch = Batch(5, "/g", "a", "f", "arn", is_random=False, events=(("1", 7, "x"), ("2", 8, "y")))
    probe = batch._replace(message_type="CONTROL_MESSAGE")
    cloud.stored.rack.deliver([batch, probe, batch._replace(stream="b")])
    assert cloud.affected() == 2


def test_altered_texts_are_counted_once_a_call() -> None:
    cloud = Cloud()
    cloud.stored.now_ms += 10 * KNOWN_MS
    cloud.engage("altered_text", 1.0)
    cloud.ask()
    cloud.ask()
    assert cloud.affected() == 2


def test_short_pages_are_short_and_repeated_ones_come_again() -> None:
    short, repeated = Cloud(), Cloud()
    short.engage("short_page", events=3)
    short.scan()
    assert short.answers["page"] == EVENTS / 3
    repeated.engage("repeat_token")
    repeated.scan()
    assert repeated.answers["page"] > EVENTS // PAGE


def test_tokens_that_were_issued_expire_at_each_turn() -> None:
    cloud = Cloud()
    token = json.loads(cloud.ask(limit=5).body)["nextToken"]
    cloud.engage("expire_token")
    refused = cloud.ask(limit=5, nextToken=token)
    assert (refused.status, b"InvalidParameter" in refused.body) == (400, True)
    assert Fault(FAULTS["expire_token"], "x", {"every_ms": 70}, 1.0, 1).cycle() == Cycle(0, 70)


def test_flapping_hides_the_same_events_for_a_period_and_then_others() -> None:
    cloud = Cloud()
    cloud.engage("flap", 0.3, period_ms=100_000)
    first = cloud.scan()
    assert EVENTS * 0.5 < len(first) < EVENTS * 0.9
    assert cloud.scan() == first
    cloud.stored.now_ms += 100_000
    second = cloud.scan()
    assert second != first
    cloud.stored.rack.release("flap")
    assert len(cloud.scan()) == EVENTS


def refused(cloud: Cloud, *calls: tuple[str, dict[str, object]]) -> list[str]:
    """The AWS error of each call, empty if it was answered."""
    answers = [cloud.ask(action, **given) for action, given in calls]
    return [json.loads(one.body)["__type"] if one.status == 400 else "" for one in answers]


def test_refused_calls_have_the_error_of_aws_until_healed() -> None:
    calls: list[tuple[str, dict[str, object]]] = [
        ("FilterLogEvents", {}),
        ("GetLogEvents", {"logStreamName": "a"}),
        ("DescribeLogStreams", {}),
        ("PutLogEvents", {"logStreamName": "a", "logEvents": [{"timestamp": NOW, "message": "x"}]}),
    ]
    for kind, expected in (
        ("credentials_expired", ["ExpiredTokenException"] * 3 + [""]),
        ("access_denied", ["AccessDeniedException", "", "", ""]),
        ("clock_wrong", ["InvalidSignatureException"] * 3 + [""]),
        ("group_missing", ["ResourceNotFoundException"] * 3 + [""]),
    ):
        cloud = Cloud()
        cloud.engage(kind)
        assert refused(cloud, *calls) == expected
        cloud.stored.rack.release(kind)
        assert refused(cloud, *calls) == [""] * 4
    assert (
        b"logs:FilterLogEvents"
        in AccessLever(LeverOrder("x", "x"))
        .answer(Call("logs", "FilterLogEvents", REGION, b"{}", NOW), lambda _: Answer(200, b"{}"))
        .body
    )


def answer_of(kind: str, service: str, action: str) -> Answer | None:
    """The answer of a fault's lever to a call; None: it leaves that to CloudWatch."""
    lever = FAULTS[kind].lever
    assert lever is not None
    other = Answer(200, b"{}")
    call = Call(service, action, REGION, b"{}", NOW)
    answer = lever(LeverOrder("x", kind)).call(call, lambda _: other)
    return None if answer is other else answer


def test_a_missing_group_is_not_listed_and_the_live_path_goes_on() -> None:
    listed = answer_of("group_missing", "logs", "DescribeLogGroups")
    assert listed is not None
    assert json.loads(listed.body) == {"logGroups": []}
    assert answer_of("group_missing", "kinesis", "GetRecords") is None


def test_the_forwarder_names_the_cause_of_a_refusal() -> None:
    for kind, code in (("clock_wrong", "clock_wrong"), ("group_missing", "group_missing")):
        refusal = answer_of(kind, "logs", "FilterLogEvents")
        assert refusal is not None
        said = json.loads(refusal.body)
        answered: Any = {
            "Error": {"Code": said["__type"], "Message": said["message"]},
            "ResponseMetadata": {"HTTPStatusCode": refusal.status},
        }
        error = ClientError(answered, "FilterLogEvents")
        assert translate(error, where="here", group="/app").code == code


def events_of(cloud: Cloud, action: str = "FilterLogEvents", **given: object) -> list[Any]:
    listed: list[Any] = json.loads(cloud.ask(action, **given).body)["events"]
    return listed


def test_texts_of_older_events_change_under_their_ids_and_back() -> None:
    cloud = Cloud()
    before = events_of(cloud)
    cloud.stored.now_ms += KNOWN_MS
    cloud.stored.put("a", (KNOWN_MS, "new 7"))
    cloud.engage("altered_text", 1.0)
    *altered, new = events_of(cloud)
    assert new["message"] == "new 7"
    assert altered == [{**one, "message": masked(one["message"])} for one in before]
    got = events_of(cloud, "GetLogEvents", logStreamName="a", startFromHead=True)
    assert [one["message"] for one in got[:2]] == ["a *", "a *"]
    cloud.engage("altered_text", 0.5)
    others = [one["message"] for one in events_of(cloud)]
    assert 100 < sum("*" in one for one in others) < 200
    assert [one["message"] for one in events_of(cloud)] == others
    cloud.stored.rack.release("altered_text")
    assert events_of(cloud)[:-1] == before


@given(st.text(st.characters(), min_size=1))
def test_a_masked_text_is_another_one(text: str) -> None:
    assert masked(text) != text
    assert len(masked(text)) <= len(text) + 1


def test_contradictions_come_beside_the_true_events() -> None:
    cloud = Cloud()
    before = events_of(cloud)
    cloud.engage("inconsistent_answers", 1.0)
    wrong: list[Any] = []
    reversed_pages = 0
    for _ in range(60):
        page = events_of(cloud)
        reversed_pages += page == before[::-1]
        assert [one for one in page if one in before] in (before, before[::-1])
        wrong += [one for one in page if one not in before]
    true = {one["eventId"]: one for one in before}
    differs = Counter(
        name for one in wrong for name in one if one[name] != true[one["eventId"]][name]
    )
    assert set(differs) == {"timestamp", "logStreamName"}
    assert reversed_pages + len(wrong) == 60
    assert reversed_pages > 5


def test_a_wrong_event_may_come_alone_if_readers_know_the_true_one() -> None:
    for age_ms, is_alone in ((KNOWN_MS - 1, False), (KNOWN_MS, True)):
        cloud = Cloud()
        before = events_of(cloud)
        cloud.stored.now_ms += age_ms
        cloud.engage("inconsistent_answers", 1.0, alone=1)
        lengths = {len(events_of(cloud)) for _ in range(20)}
        assert lengths == ({len(before)} if is_alone else {len(before), len(before) + 1})


def test_writing_is_let_through() -> None:
    for kind in ("throttle", "unreachable", "server_error", "truncated_response"):
        cloud = Cloud()
        cloud.engage(kind, 1.0)
        event = {"timestamp": NOW, "message": "more"}
        answer = cloud.ask("PutLogEvents", logStreamName="a", logEvents=[event])
        assert (answer.status, answer.is_dropped) == (200, False), kind
        assert cloud.ask().status != 200 or kind == "truncated_response" or cloud.ask().is_dropped


BATCHES = [
    Batch(1_000 + n, GROUP, "a", "f", "arn", is_random=False, events=((str(n), n, "m"),))
    for n in range(200)
]
PROBE = Batch(5, "", "", "", "arn", False, (("", 5, "probe"),), "CONTROL_MESSAGE")  # noqa: FBT003


@pytest.mark.parametrize(
    ("kind", "toxicity", "copies"),
    [
        ("subscription_delay", 1.0, {1}),
        ("subscription_duplicate", None, {1, 2}),
        ("subscription_reorder", 1.0, {1}),
        ("subscription_skip", None, {0, 1}),
        ("subscription_stop", None, {0}),
    ],
)
def test_live_records_are_changed_and_probes_are_not(
    kind: str, toxicity: float | None, copies: set[int]
) -> None:
    cloud = Cloud()
    cloud.engage(kind, toxicity)
    sent = cloud.stored.rack.deliver([PROBE, *BATCHES])
    assert sent[0] == PROBE
    counts = Counter(event[0] for batch in sent[1:] for event in batch.events)
    assert {counts[str(n)] for n in range(200)} == copies
    changed = [batch.due_ms for batch in sent] != [batch.due_ms for batch in (PROBE, *BATCHES)]
    assert changed
    cloud.stored.rack.release(kind)
    assert cloud.stored.rack.deliver(BATCHES) == BATCHES


def test_reordered_records_are_out_of_order() -> None:
    cloud = Cloud()
    cloud.engage("subscription_reorder", 1.0)
    due = [batch.due_ms for batch in cloud.stored.rack.deliver(BATCHES)]
    assert due != sorted(due)
    assert all(0 <= at - batch.due_ms <= 1_000 for at, batch in zip(due, BATCHES, strict=True))


@pytest.mark.parametrize("one", [*CLOUDWATCH, *LIVE_PATH], ids=lambda one: one.type)
def test_every_one_describes_its_attributes_and_ends_after_for_ms(one: FaultType) -> None:
    for attribute in one.attributes:
        assert attribute.meaning
    names = {attribute.name for attribute in one.attributes}
    if "for_ms" in names:
        assert Fault(one, "x", {"for_ms": 9}, 1.0, 1).cycle() == Cycle(on_ms=9)
        assert Fault(one, "x", {}, 1.0, 1).cycle() == Cycle()


def test_it_delays_and_shows() -> None:
    levers = HarmRecorder()
    fault = Fault(FAULTS["visibility_delay"], "mine", {"delay_ms": 700, "jitter_ms": 20}, 0.5, 1)
    levers.turn(fault)
    assert levers.calls == [
        ("engage", "mine", "visibility_delay", "delay_ms=700 jitter_ms=20", "0.5", "1"),
        ("release", "mine"),
    ]
    assert fault.cycle() == Cycle()


def test_no_event_is_seen_before_it_was_accepted() -> None:
    with pytest.raises(SimulatorError, match="jitter_ms must be at most delay_ms, which is 5"):
        Fault(FAULTS["visibility_delay"], "x", {"delay_ms": 5, "jitter_ms": 6}, 1.0, 1)
