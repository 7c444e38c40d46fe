"""``openapi.json`` says what the forwarder's HTTP does: every route, parameter and response."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it has no types

from forwarder.delivery.hub import Hub
from forwarder.errors import RequestError
from forwarder.groups.served import ListedGroup
from forwarder.ingest.log_group import LogGroup
from forwarder.records import FeedKey
from forwarder.server.api import (
    OPENAPI,
    PATTERNS_MAX,
    AcceptedViewer,
    Api,
    ApiResponse,
    ListingRequest,
    error_response,
)
from forwarder.server.status import ForwarderStatus
from forwarder.server.tokens import BearerTokens, TokenGrant
from tests.support.forwarder.fake_feed import FakeFeed
from tests.support.forwarder.session_client import NOW, event, events, log_group, scan
from wire.codec import encode
from wire.limits import (
    FILTERS_MAX,
    GROUP_CHARS_MAX,
    LOGS_PAGE_EVENTS_MAX,
    NAME_CHARS_MAX,
    PATTERN_CHARS_MAX,
    SEQ_MAX,
    TIMESTAMP_MAX,
)
from wire.messages import Upstream

DOC: Final[dict[str, Any]] = json.loads(OPENAPI.read_text(encoding="utf-8"))
ALL: Final = "Bearer all-of-the-log-groups"
OTHER: Final = "Bearer only-the-other-group"
TOKENS: Final = BearerTokens(
    [TokenGrant(ALL.removeprefix("Bearer ")), TokenGrant(OTHER.removeprefix("Bearer "), "/other")]
)

CALLS: Final[list[tuple[str, str, int]]] = [
    # path, query, status; {epoch} is the journal's
    ("/v1/logs", "", 200),
    ("/v1/logs", "limit=2&group=/app", 200),
    ("/v1/logs", "epoch={epoch}&after=3", 200),
    ("/v1/logs", "since=x", 400),
    ("/v1/logs", "group=/none", 404),
    ("/v1/logs", "epoch=x&after=3", 409),
    ("/v1/digest", "from=0&through=9&epoch={epoch}&seq=3", 200),
    ("/v1/digest", "", 400),
    ("/v1/digest", "from=0&through=9&epoch={epoch}&seq=3&group=/none", 404),
    ("/v1/digest", "from=0&through=9&epoch=x&seq=3", 409),
    ("/v1/declared", "", 200),
    ("/v1/declared", "since=x", 400),
    ("/v1/declared", "group=/none", 404),
    ("/v1/executions", "", 200),
    ("/v1/executions", "pattern=+", 400),
    ("/v1/executions", "group=/none", 404),
    ("/v1/groups", "", 200),
    ("/v1/groups", "detail", 200),
    ("/v1/groups", "match=*", 200),
    ("/v1/groups", "group=", 400),
    ("/v1/groups", "group=/none", 404),
    ("/v1/forwarder", "", 200),
    ("/v1/viewers", "", 200),
    ("/v1/tail", "since=x", 400),
    ("/v1/tail", "group=/none", 404),
    ("/v1/tail", "", 426),
    ("/v1/openapi.json", "", 200),
    ("/metrics", "", 200),
    ("/healthz", "", 200),
    ("/readyz", "", 200),
]

OF_CONNECTION: Final = {"101", "400", "403", "408", "414", "429", "431", "503"}
"""Statuses that requests get before the API sees them, or when a log group can't be read."""

PARAMETERS: Final[dict[str, list[list[str]]]] = {
    "group": [["/app"], ["x" * GROUP_CHARS_MAX], ["x" * (GROUP_CHARS_MAX + 1)], [""]],
    "stream": [["a"], ["a", "b"], ["a"] * FILTERS_MAX, ["a"] * (FILTERS_MAX + 1), [""]],
    "execution": [["x" * NAME_CHARS_MAX], ["x" * (NAME_CHARS_MAX + 1)], ["a"] * (FILTERS_MAX + 1)],
    "prefix": [["x" * NAME_CHARS_MAX], ["x" * (NAME_CHARS_MAX + 1)], ["a"] * (FILTERS_MAX + 1)],
    "pattern": [["x" * PATTERN_CHARS_MAX], ["x" * (PATTERN_CHARS_MAX + 1)], [" "], [""], [" a"]],
    "since": [["0"], [str(TIMESTAMP_MAX)], [str(TIMESTAMP_MAX + 1)], ["-1"], ["x"], ["1.5"], [""]],
    "through": [["0"], [str(TIMESTAMP_MAX)], [str(TIMESTAMP_MAX + 1)], ["-1"]],
    "from": [["0"], [str(TIMESTAMP_MAX)], [str(TIMESTAMP_MAX + 1)], ["-1"]],
    "limit": [["1"], [str(LOGS_PAGE_EVENTS_MAX)], [str(SEQ_MAX)], ["0"], [str(SEQ_MAX + 1)]],
    "epoch": [["x" * 128], ["x" * 129], [""]],
    "after": [["0"], [str(SEQ_MAX)], [str(SEQ_MAX + 1)], ["-1"]],
    "until_seq": [["0"], [str(SEQ_MAX)], [str(SEQ_MAX + 1)], ["-1"]],
    "next": [["x~7~7~~0:0~k"], ["x" * 201], [""]],
    "seq": [["0"], [str(SEQ_MAX)], [str(SEQ_MAX + 1)], ["-1"]],
    "base": [["0"], [str(SEQ_MAX)], [str(SEQ_MAX + 1)], ["-1"]],
    "held": [[".."], ["1:2..3:4"], ["1:2.."], ["1:2"], ["a..b"], ["1:" + "9" * 58 + ".."], [""]],
    "history": [["newest"], ["oldest"], ["all"], [""]],
    "credit": [["0"], [str(SEQ_MAX)], [str(SEQ_MAX + 1)], ["-1"]],
    "detail": [[""], ["1"]],
    "match": [["/a*"], ["a"] * PATTERNS_MAX, ["a"] * (PATTERNS_MAX + 1)],
}
"""Values of each parameter, allowed ones and others."""

WITH: Final[dict[tuple[str, str], dict[str, str]]] = {
    ("/v1/logs", "epoch"): {"after": "0"},
    ("/v1/logs", "after"): {"epoch": "e"},
    ("/v1/tail", "epoch"): {"after": "0", "since": "0"},
    ("/v1/tail", "after"): {"epoch": "e", "since": "0"},
    ("/v1/tail", "held"): {"epoch": "e", "after": "0", "since": "0"},
}
"""Other parameters that a parameter needs, which a schema can't say."""


def api_of(*groups: LogGroup, tokens: BearerTokens | None = None) -> Api:
    status = ForwarderStatus(pid=1, journal_bytes=lambda _: 7)
    hubs = {FeedKey(group.name): Hub(group, FakeFeed(group)) for group in groups}
    return Api(hubs, tokens, status=lambda: status)


def answer(api: Api, target: str, authorization: str | None = None) -> ApiResponse:
    steps = api.respond("GET", target, authorization, NOW)
    try:
        needed = next(steps)
        while True:
            found = [ListedGroup("/app", None, None, served=True, group="/app")]
            needed = steps.send(found if isinstance(needed, ListingRequest) else None)
    except StopIteration as done:
        made: ApiResponse = done.value
        return made


@pytest.fixture
def api() -> Api:
    written = [*events(range(1, 8), lambda n: NOW - 9_000 + n), event(9, NOW, "exit 0", "b")]
    group = log_group(written)
    scan(group, 0, None, written, at=NOW)
    scan(group, 0, None, [event(1, NOW - 8_999, "****"), *written[1:]], at=NOW)
    group.declare_gap(NOW - 50, NOW - 40, "suspected", "polls fail")
    api = api_of(group)
    steps = api.accept("/v1/tail?since=5&stream=a", None)
    try:
        while True:
            next(steps)
    except StopIteration as done:
        accepted = done.value
    assert isinstance(accepted, AcceptedViewer)
    accepted.hub.open(accepted.query, NOW, wake=lambda: None, peer="a:1")
    return api


def resolved(one: dict[str, Any]) -> dict[str, Any]:
    """A part of the document, or the one that it refers to."""
    if "$ref" not in one:
        return one
    found: Any = DOC
    for name in one["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    assert isinstance(found, dict)
    return found


def exact(schema: Any) -> Any:  # noqa: ANN401 - JSON
    """A schema that refuses fields that the document does not name, which clients would ignore."""
    if isinstance(schema, list):
        return [exact(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: exact(one) for name, one in schema.items()}
    if isinstance(schema.get("properties"), dict):
        made["additionalProperties"] = False
    return made


def errors_of(schema: dict[str, Any], value: object) -> list[str]:
    whole = exact({**schema, "components": {"schemas": DOC["components"]["schemas"]}})
    return [one.message for one in Draft202012Validator(whole).iter_errors(value)]


def check(found: ApiResponse, path: str) -> None:
    """Check a response against the document: status, headers, type and body."""
    said = resolved(DOC["paths"][path]["get"]["responses"][str(found.status)])
    for name, header in said.get("headers", {}).items():
        assert errors_of(header["schema"], found.headers[name]) == []
    ((kind, content),) = said["content"].items()
    assert found.content_type.partition(";")[0] == kind
    body = found.body.decode() if kind == "text/plain" else json.loads(found.body)
    assert errors_of(content["schema"], body) == [], (path, found.status)


def epoch_of(api: Api) -> str:
    epoch: str = json.loads(answer(api, "/v1/logs").body)["epoch"]
    return epoch


def test_it_is_served(api: Api) -> None:
    assert json.loads(answer(api, "/v1/openapi.json").body) == DOC
    assert DOC["openapi"] == "3.1.0"
    for schema in DOC["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_it_has_every_route_and_no_other(api: Api) -> None:
    assert set(DOC["paths"]) == {*api._routes, *api._open_routes}
    assert {method for one in DOC["paths"].values() for method in one} == {"get"}


def test_every_response_is_as_it_says(api: Api) -> None:
    seen: set[tuple[str, str]] = set()
    for path, query, status in CALLS:
        found = answer(api, f"{path}?{query.replace('{epoch}', epoch_of(api))}")
        assert found.status == status, (path, query, found.body)
        check(found, path)
        seen.add((path, str(status)))
    said = {
        (path, status)
        for path, operations in DOC["paths"].items()
        for status in operations["get"]["responses"]
        if status not in {"401", "421"}
    }
    assert said - seen == {one for one in said - seen if one[1] in OF_CONNECTION}
    assert seen <= said


def test_bodies_are_not_empty_where_it_matters(api: Api) -> None:
    """The schemas of list elements were really applied."""
    for target in ("/v1/executions", "/v1/groups?detail", "/v1/groups?match=*", "/v1/viewers"):
        assert json.loads(answer(api, target).body)
    declared = json.loads(answer(api, "/v1/declared").body)
    assert declared["gaps"]
    assert declared["texts"]
    assert declared["upstream"]


def test_cloudwatchs_state_is_declared_as_it_says() -> None:
    group = log_group([event(1)])
    feed = FakeFeed(group)
    feed.upstream = Upstream("unreachable", None, "access_denied", "why", 5, 86_400_000)
    status = ForwarderStatus(pid=1, journal_bytes=lambda _: 7)
    api = Api({FeedKey(group.name): Hub(group, feed)}, status=lambda: status)
    found = answer(api, "/v1/declared")
    check(found, "/v1/declared")
    assert json.loads(found.body)["upstream"] == json.loads(encode(feed.upstream))


def test_tokens_are_needed_as_it_says() -> None:
    api = api_of(log_group([event(1)]), tokens=TOKENS)
    for path, operations in DOC["paths"].items():
        operation = operations["get"]
        query = "from=0&through=1&epoch=a&seq=0" if path == "/v1/digest" else ""
        is_open = operation.get("security", DOC["security"]) == []
        found = answer(api, f"{path}?{query}", "Bearer wrong")
        assert (found.status == 401) == (not is_open), path
        check(found, path)
        if "404" in operation["responses"]:
            found = answer(api, f"{path}?group=/app&{query}".rstrip("&"), OTHER)
            assert found.status == 403
            check(found, path)
        assert answer(api, f"{path}?{query}", ALL).status in (200, 409, 426)


def test_a_forwarder_that_only_ingests_answers_as_it_says(api: Api) -> None:
    api.serves_viewers = False
    for path, operations in DOC["paths"].items():
        if "421" in operations["get"]["responses"]:
            query = "from=0&through=1&epoch=a&seq=0" if path == "/v1/digest" else "group=/app"
            found = answer(api, f"{path}?{query}")
            assert found.status == 421
            check(found, path)


def test_readyz_answers_as_it_says() -> None:
    group = log_group([event(1)])
    feed = FakeFeed(group)
    api = Api({FeedKey(group.name): Hub(group, feed)})
    feed.upstream = Upstream("unreachable", 900, "credentials_expired", "run `aws sso login`")
    check(answer(api, "/readyz"), "/readyz")
    feed.is_ready, feed.problem = False, "expired"
    found = answer(api, "/readyz")
    assert found.status == 503
    check(found, "/readyz")


@pytest.mark.parametrize("path", DOC["paths"])
def test_refusals_of_the_server_are_as_it_says(path: str) -> None:
    """The refusals that ``Server`` makes of a ``RequestError``, like those at a limit."""
    for status in DOC["paths"][path]["get"]["responses"]:
        if int(status) >= 400:
            wait_s = 3 if status == "429" else None
            error = RequestError(HTTPStatus(int(status)), "why", retry_after_s=wait_s)
            check(error_response(error), path)


def test_other_methods_are_refused_as_it_says(api: Api) -> None:
    said = DOC["components"]["responses"]["MethodNotAllowed"]
    for path in DOC["paths"]:
        for method in ("POST", "HEAD", "OPTIONS", "TRACE"):
            with pytest.raises(StopIteration) as done:
                next(api.respond(method, path, None, NOW))
            found = done.value.value
            assert found.status == 405
            assert errors_of(said["headers"]["Allow"]["schema"], found.headers["Allow"]) == []
            schema = said["content"]["application/json"]["schema"]
            assert errors_of(schema, json.loads(found.body)) == []


def as_values(schema: dict[str, Any], values: list[str]) -> object:
    """A parameter's values as its schema has them."""
    if schema.get("type") == "array":
        return values
    (value,) = values
    is_number = schema.get("type") == "integer" and value.removeprefix("-").isdigit()
    return int(value) if is_number else value


def test_parameters_are_taken_as_it_says(api: Api) -> None:
    for path, operations in DOC["paths"].items():
        for reference in operations["get"].get("parameters", ()):
            parameter = resolved(reference)
            name, schema = parameter["name"], parameter["schema"]
            for values in PARAMETERS[name]:
                rest = {"from": "0", "through": "1", "epoch": "e", "seq": "0"}
                pairs = {**(rest if path == "/v1/digest" else WITH.get((path, name), {}))}
                pairs.pop(name, None)
                query = urlencode([*pairs.items(), *((name, one) for one in values)])
                found = answer(api, f"{path}?{query}")
                is_allowed = errors_of(schema, as_values(schema, values)) == []
                assert (found.status != 400) == is_allowed, (path, query[:100], found.body[:300])


def test_required_parameters_are_those_of_digest(api: Api) -> None:
    values = {"from": "0", "through": "1", "epoch": "e", "seq": "0"}
    assert answer(api, f"/v1/digest?{urlencode(values)}").status == 409
    parameters = [resolved(one) for one in DOC["paths"]["/v1/digest"]["get"]["parameters"]]
    assert {one["name"] for one in parameters if one.get("required")} == set(values)
    for name in values:
        rest = {key: value for key, value in values.items() if key != name}
        assert answer(api, f"/v1/digest?{urlencode(rest)}").status == 400
