from __future__ import annotations

import json
from email.utils import formatdate
from typing import Any

import pytest
from msgspec.structs import replace

from forwarder.cloudwatch.clock import REPORTED_MS, ClockSkew
from forwarder.delivery import declared
from forwarder.delivery.hub import POLL_LEASE_MS, Hub
from forwarder.ingest.executions import Lifecycle
from forwarder.ingest.log_group import LogGroup
from forwarder.records import FeedKey
from forwarder.server.api import AcceptedViewer, Api, ApiResponse, GroupRequest
from forwarder.server.log_pages import BodyRequest
from forwarder.server.tokens import BearerTokens, TokenGrant
from tests.support.forwarder.fake_feed import FakeFeed
from tests.support.forwarder.memory_journal import MemoryJournal
from tests.support.forwarder.session_client import NOW, event, events, log_group, scan
from wire.digest import digest_hex
from wire.messages import Upstream
from wire.query import Filter, TailQuery


def answer(
    api: Api, target: str, authorization: str | None = None, method: str = "GET"
) -> ApiResponse:
    steps = api.respond(method, target, authorization, NOW)
    try:
        while True:
            needed = next(steps)
            if isinstance(needed, BodyRequest):
                journal = needed.hub.group.journal
                feed = needed.hub.feed
                assert isinstance(feed, FakeFeed)
                feed.refetched.append((needed.from_, needed.through))
                journal.restore(feed.bodies)
    except StopIteration as done:
        found: ApiResponse = done.value
        return found


def accept(api: Api, target: str, authorization: str | None = None) -> AcceptedViewer | ApiResponse:
    steps = api.accept(target, authorization)
    try:
        while True:
            next(steps)
    except StopIteration as done:
        found: AcceptedViewer | ApiResponse = done.value
        return found


def body(found: ApiResponse) -> Any:  # noqa: ANN401 - JSON
    return json.loads(found.body)


def api_of(*groups: LogGroup, tokens: BearerTokens | None = None) -> Api:
    return Api({FeedKey(group.name): Hub(group, FakeFeed(group)) for group in groups}, tokens)


@pytest.fixture
def group() -> LogGroup:
    return log_group(events(range(1, 8), lambda n: NOW - 1_000 + n))


def test_a_polling_client_requests_history_for_a_while(group: LogGroup) -> None:
    feed = FakeFeed(group)
    api = Api({FeedKey(group.name): Hub(group, feed)})
    assert answer(api, "/v1/logs").status == 200
    assert feed.wanted == {}
    assert answer(api, f"/v1/logs?since={NOW - 9_000}&execution=a").status == 200
    assert list(feed.wanted.values()) == [(NOW - 9_000, "newest", ("a",))]
    assert list(feed.until.values()) == [NOW + POLL_LEASE_MS]


def test_alive_and_ready(group: LogGroup) -> None:
    feed = FakeFeed(group)
    api = Api({FeedKey(group.name): Hub(group, feed)})
    assert answer(api, "/healthz").status == 200
    assert answer(api, "/readyz").status == 200
    feed.is_ready, feed.problem = False, "no such host"
    assert answer(api, "/healthz").status == 200
    found = answer(api, "/readyz")
    assert found.status == 503
    assert body(found) == {"error": "/app: no such host"}


def test_a_feed_with_a_pattern_is_another_one_and_does_not_count_as_unready() -> None:
    whole, errors = log_group([event(1), event(2)]), LogGroup(MemoryJournal("/app", pattern="E"))
    feed = FakeFeed(errors)
    feed.is_ready, feed.problem = False, "not read yet"
    hubs = {FeedKey("/app"): Hub(whole, FakeFeed(whole)), FeedKey("/app", "E"): Hub(errors, feed)}
    api = Api(hubs)
    assert len(body(answer(api, "/v1/logs?group=/app"))["items"]) == 2
    assert body(answer(api, "/v1/logs?group=/app&pattern=E"))["items"] == []
    assert answer(api, "/v1/logs?group=/app&pattern=other").status == 404
    assert answer(api, "/v1/logs?group=/app&pattern=+").status == 400
    accepted = accept(api, "/v1/tail?pattern=E")
    assert isinstance(accepted, AcceptedViewer)
    assert accepted.hub.group is errors
    assert body(answer(api, "/v1/groups")) == ["/app"]
    assert [one["pattern"] for one in body(answer(api, "/v1/groups?detail"))] == ["", "E"]
    assert answer(api, "/readyz").status == 200


def test_readyz_says_why_cloudwatch_refuses(group: LogGroup) -> None:
    feed = FakeFeed(group)
    api = Api({FeedKey(group.name): Hub(group, feed)})
    feed.upstream = Upstream("unreachable", 900, "credentials_expired", "run `aws sso login`")
    told = {
        "/app": {
            "state": "unreachable",
            "code": "credentials_expired",
            "reason": "run `aws sso login`",
        }
    }
    found = answer(api, "/readyz")
    assert found.status == 200  # the journal is served all the same
    assert body(found) == {"ready": True, "upstream": told}
    feed.is_ready, feed.problem = False, "expired"
    found = answer(api, "/readyz")
    assert found.status == 503
    assert body(found) == {"error": "/app: expired", "upstream": told}
    metrics = answer(api, "/metrics").body.decode()
    assert 'gapless_upstream_problem{code="credentials_expired",group="/app"} 1.0' in metrics
    assert 'gapless_upstream_problem{code="access_denied",group="/app"} 0.0' in metrics


@pytest.mark.parametrize(
    ("ahead_ms", "said_ms"), [(0, 0), (1_500, 500), (61_000, 60_000), (-60_000, -60_000)]
)
def test_a_wrong_clock_is_reported_by_readyz_and_metrics(
    group: LogGroup, ahead_ms: int, said_ms: int
) -> None:
    skew = ClockSkew(lambda: NOW + ahead_ms, lambda: 0)
    api = Api({FeedKey(group.name): Hub(group, FakeFeed(group))}, skew=skew)
    date = formatdate(NOW // 1000, usegmt=True)
    skew.observe({"ResponseMetadata": {"HTTPHeaders": {"date": date}}}, 0, 0)
    said = {} if abs(said_ms) < REPORTED_MS else {"clock_ahead_ms": said_ms}
    assert body(answer(api, "/readyz")) == {"ready": True, **said}
    text = answer(api, "/metrics").body.decode()
    assert f"gapless_clock_skew_seconds {said_ms / 1000}" in text


def test_logs_in_display_order(group: LogGroup) -> None:
    group.ingest([event(50, NOW - 5_000)], "repair")
    found = answer(api_of(group), f"/v1/logs?since={NOW - 1_000}")
    assert found.status == 200
    page = body(found)
    assert page["epoch"] == group.epoch
    assert page["head_seq"] == 8
    assert page["next"] is None
    assert [item[1] for item in page["items"]] == [str(number) for number in range(1, 8)]
    assert page["items"][0] == [1, "1", NOW - 999, NOW - 994, "app/one", "line 1", "live"]
    page = body(answer(api_of(group), "/v1/logs?stream=nothing"))
    assert page["items"] == []


def test_gaps_and_altered_texts_are_declared_to_polling_clients(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = [*events(range(1, 4), lambda n: NOW - 9_000 + n), event(9, NOW - 10, stream="b")]
    group = log_group(written)
    scan(group, 0, None, written, at=NOW)
    changed = [*(replace(one, message="****") for one in written[:2]), *written[2:]]
    scan(group, 0, None, changed, at=NOW)
    group.declare_gap(NOW - 50, NOW - 40, "suspected", "polls fail")
    api = api_of(group)
    found = body(answer(api, f"/v1/declared?since={NOW - 10_000}"))
    assert found["epoch"] == group.epoch
    altered, suspected = found["gaps"]
    assert (altered["from"], altered["through"]) == (NOW - 8_999, NOW - 8_998)
    assert altered["reason"].startswith("altered")
    assert (suspected["state"], suspected["reason"]) == ("suspected", "polls fail")
    assert [(one["id"], one["message"]) for one in found["texts"]] == [("1", "****"), ("2", "****")]
    assert found["count"] == 2
    assert found["upstream"] == {"state": "ok", "lag_ms": 0}
    other = body(answer(api, "/v1/declared?stream=b"))
    assert (other["texts"], other["count"], len(other["gaps"])) == ([], 0, 1)
    late = body(answer(api, f"/v1/declared?since={NOW - 8_998}"))
    assert (len(late["texts"]), late["count"]) == (1, 1)
    monkeypatch.setattr(declared, "TEXT_CHARS_MAX", 5)
    few = body(answer(api, "/v1/declared"))
    assert ([one["id"] for one in few["texts"]], few["count"]) == (["2"], 2)


def test_executions_groups_and_viewers() -> None:
    group = LogGroup(MemoryJournal("/app"), lifecycle=Lifecycle.pattern("(?P<FAILED>exit 1)"))
    group.ingest([event(1, NOW - 5), event(2, NOW, "exit 1")], "live")
    api = api_of(group)
    assert body(answer(api, "/v1/executions")) == [
        {
            "execution": "one",
            "stream": "app/one",
            "status": "FAILED",
            "first": NOW - 5,
            "last": NOW,
            "count": 2,
        }
    ]
    assert body(answer(api, "/v1/groups")) == ["/app"]
    assert body(answer(api, "/v1/viewers")) == []
    accepted = accept(api, "/v1/tail?since=5", None)
    assert isinstance(accepted, AcceptedViewer)
    accepted.hub.open(accepted.query, NOW, wake=lambda: None, peer="a:1")
    (record,) = body(answer(api, "/v1/viewers"))
    assert (record["since"], record["peer"], record["after"]) == (5, "a:1", 2)


def test_metrics_are_text(group: LogGroup) -> None:
    found = answer(api_of(group), "/metrics")
    assert found.content_type.startswith("text/plain")
    assert b'gapless_journal_head_seq{group="/app"} 7.0' in found.body


def test_a_digest_is_of_the_journal_as_it_stood(group: LogGroup) -> None:
    expected = group.journal.total(0, NOW, Filter())
    group.ingest([event(99, NOW - 500)], "repair")
    target = f"/v1/digest?from=0&through={NOW}&epoch={group.epoch}&seq=7"
    found = answer(api_of(group), target)
    assert body(found) == {
        "type": "digest",
        "epoch": group.epoch,
        "from": 0,
        "through": NOW,
        "seq": 7,
        "count": 7,
        "digest": digest_hex(expected.digest),
    }
    assert body(answer(api_of(group), target + "&base=5"))["count"] == 2


@pytest.mark.parametrize(
    "target",
    [
        "/v1/digest?from=0&through=9&epoch=another&seq=1",
        "/v1/digest?from=0&through=9&epoch={epoch}&seq=8",
        "/v1/logs?epoch=another&after=1",
        "/v1/logs?epoch={epoch}&after=8",
        "/v1/logs?next=another~7~7~~0:0~k",
    ],
)
def test_a_cursor_of_another_journal_is_409_with_the_present_epoch(
    group: LogGroup, target: str
) -> None:
    found = answer(api_of(group), target.format(epoch=group.epoch))
    assert found.status == 409
    assert body(found)["epoch"] == group.epoch
    assert body(found)["error"]


@pytest.mark.parametrize(
    ("target", "status", "text"),
    [
        ("/", 404, "path"),
        ("/v1/nothing", 404, "path"),
        ("/v1/logs?limit=0", 400, "limit"),
        ("/v1/logs?since=yesterday", 400, "since"),
        ("/v1/logs?since=1&since=2", 400, "since"),
        ("/v1/logs?epoch=a", 400, "together"),
        ("/v1/logs?next=nonsense", 400, "next"),
        ("/v1/logs?next=a~b~c~d~e~k", 400, "next"),
        ("/v1/logs?next=a~1~1~~5~s", 400, "order"),
        ("/v1/digest?from=1", 400, "needed"),
        ("/v1/logs?group=/none", 404, "/none"),
        ("/v1/executions?group=%22%0a", 404, "served"),
        ("/v1/tail?since=x", 400, "since"),
        ("/v1/tail", 426, "WebSocket"),
        ("//[", 404, "path"),
        ("//host/v1/logs", 404, "path"),
        ("/v1/../v1/logs", 404, "path"),
        ("/v1/%6cogs", 404, "path"),
        ("/v1/lo\tgs", 404, "path"),
        ("http://host/v1/logs", 404, "path"),
    ],
)
def test_errors_say_what_is_wrong(group: LogGroup, target: str, status: int, text: str) -> None:
    found = answer(api_of(group), target)
    assert found.status == status
    error = body(found)["error"]
    assert text in error
    assert "\n" not in error


def test_only_get(group: LogGroup) -> None:
    found = answer(api_of(group), "/v1/groups", method="POST")
    assert found.status == 405
    assert found.headers["Allow"] == "GET"


def test_who_may_connect(group: LogGroup) -> None:
    api = api_of(group)
    accepted = accept(api, "/v1/tail?group=/app&since=7&stream=a", None)
    assert isinstance(accepted, AcceptedViewer)
    assert accepted.query == TailQuery(group="/app", since=7, filter=Filter(streams=("a",)))
    for target, status in (
        ("/v1/tail?group=/other", 404),
        ("/v1/tail?since=-1", 400),
        ("/v1/tail?epoch=a", 400),
    ):
        refusal = accept(api, target, None)
        assert isinstance(refusal, ApiResponse)
        assert refusal.status == status


def test_of_several_groups_one_must_be_named(group: LogGroup) -> None:
    api = api_of(group, LogGroup(MemoryJournal("/other")))
    refusal = accept(api, "/v1/tail", None)
    assert isinstance(refusal, ApiResponse)
    assert refusal.status == 400
    assert b"group" in refusal.body
    assert isinstance(accept(api, "/v1/tail?group=/other", None), AcceptedViewer)
    assert body(answer(api, "/v1/groups")) == ["/app", "/other"]


def test_tokens_are_required_and_cover_groups(group: LogGroup) -> None:
    tokens = BearerTokens([TokenGrant("all-of-them"), TokenGrant("only-other", "/other")])
    api = api_of(group, LogGroup(MemoryJournal("/other")), tokens=tokens)
    assert api.needs_token
    assert answer(api, "/healthz").status == 200
    for path in ("/v1/logs?group=/app", "/v1/groups", "/v1/viewers", "/metrics"):
        found = answer(api, path)
        assert found.status == 401
        assert found.headers["WWW-Authenticate"] == "Bearer"
        assert answer(api, path, "Bearer all-of-them").status == 200
    assert answer(api, "/v1/logs?group=/app", "Bearer only-other").status == 403
    assert answer(api, "/v1/logs?group=/secret", "Bearer only-other").status == 403
    assert body(answer(api, "/v1/groups", "Bearer only-other")) == ["/other"]
    assert b"/app" not in answer(api, "/metrics", "Bearer only-other").body
    refusal = accept(api, "/v1/tail?group=/app", "Bearer only-other")
    assert isinstance(refusal, ApiResponse)
    assert refusal.status == 403


def test_bye_reaches_every_group(group: LogGroup) -> None:
    api = api_of(group)
    accepted = accept(api, "/v1/tail", None)
    assert isinstance(accepted, AcceptedViewer)
    viewer = accepted.hub.open(accepted.query, NOW, wake=lambda: None)
    api.bye("the end")
    viewer.session.next(NOW)
    viewer.session.next(NOW)
    assert viewer.session.is_over


def test_complete_through_is_how_far_marks_reach(group: LogGroup) -> None:
    assert body(answer(api_of(group), f"/v1/logs?since={NOW - 1_000}"))["complete_through"] is None
    found = events(range(1, 8), lambda n: NOW - 1_000 + n)
    scan(group, NOW - 5_000, None, found, at=NOW + 10_000)
    page = body(answer(api_of(group), f"/v1/logs?since={NOW - 1_000}"))
    assert page["complete_through"] == NOW + 8_000


OF_A = BearerTokens([TokenGrant("t" * 16, "/a")])
LINKED_A = "arn:aws:logs:us-east-1:222222222222:log-group:/a"


@pytest.mark.parametrize("authorization", [None, "Bearer wrong"])
@pytest.mark.parametrize(
    "target",
    [
        "/v1/groups?match=*",
        "/v1/groups?group=/a",
        "/v1/forwarder",
        "/v1/tail?group=/a",
        f"/v1/tail?group={LINKED_A}",
        "/v1/logs?group=/a",
        "/v1/digest?group=/a&from=0&through=9&epoch=e&seq=1",
        "/v1/executions?group=/a",
    ],
)
def test_without_a_token_nothing_is_started_or_listed(
    target: str, authorization: str | None
) -> None:
    api = Api({}, OF_A, may_serve=lambda _: True)
    steps = api.respond("GET", target, authorization, NOW)
    assert [one for one in steps if one is not None] == [], "this would call CloudWatch"
    assert answer(api, target, authorization).status == 401
    if target.startswith("/v1/tail"):
        found = accept(api, target, authorization)
        assert isinstance(found, ApiResponse)
        assert found.status == 401


def test_a_token_covers_the_name_of_an_arn_only_in_the_own_account() -> None:
    api = Api({}, OF_A, may_serve=lambda _: True)
    needed = next(api.accept(f"/v1/tail?group={LINKED_A}", f"Bearer {'t' * 16}"))
    assert isinstance(needed, GroupRequest)
    assert needed.is_covered("/a"), "what the own account's ARN stands for"
    assert not needed.is_covered(LINKED_A)
