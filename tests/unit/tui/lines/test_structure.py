"""The structure of lines in the forms of common loggers."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.lines.structure import (
    FIELDS_MAX,
    STRUCTURE_CHARS_MAX,
    Structure,
    field_text,
    request_id_of,
    structure_of,
)

REQUEST: Final = "8f5e4d3c-0000-4000-8000-000000000001"
TIME: Final = "2026-11-30T08:00:00.000Z"


def parsed(message: str) -> Structure:
    found = structure_of(message)
    assert found is not None, message
    return found


def row(message: str) -> dict[str, str]:
    return dict(parsed(message).row_fields())


@pytest.mark.parametrize(
    ("message", "shown", "fields"),
    [
        ('{"msg":"boom","stack":"a\\n\\tb"}', "boom", {"stack": "a\n\tb"}),
        ('{"level":"info","time":1,"msg":"paid","user":{"id":12}}', "paid", {"user.id": "12"}),
        ('{"@t":"x","@mt":"by {User}","@l":"Error","User":"me"}', "by {User}", {"User": "me"}),
        ('{"@t":"x","@m":"by me","@mt":"by {User}"}', "by me", {"@mt": "by {User}"}),
        ('{"host":"h","short_message":"gelf","level":3}', "gelf", {"host": "h", "level": "3"}),
        ('{"event":"structlog","n":null,"b":true}', "structlog", {"n": "null", "b": "true"}),
        ('{"a":[1,{"b":2}],"c":{}}', "", {"a": '[1,{"b":2}]', "c": "{}"}),
        ('{"severityText":"WARN","body":"otel","resource":{"a":{"b":1}}}', "otel",
         {"resource.a.b": "1"}),
        ('{"level":"unheard-of","msg":"x"}', "x", {"level": "unheard-of"}),
        (f'{TIME}\t{REQUEST}\tINFO\t{{"msg":"paid","amount":12.5}}', "paid",
         {"amount": "12.5", "requestId": REQUEST}),
        (f"{TIME}\t{REQUEST}\tERROR\tplain text\n", "plain text\n", {"requestId": REQUEST}),
        (f"[WARNING]\t{TIME}\t{REQUEST}\tk=1 v=2", "", {"k": "1", "v": "2", "requestId": REQUEST}),
        (f"{TIME}\tundefined\tINFO\tcold", "cold", {"requestId": "undefined"}),
        ('{"log":"{\\"msg\\":\\"slow\\",\\"ms\\":900}","container_name":"web"}', "slow",
         {"ms": "900", "container_name": "web"}),
        ('{"log":"level=warn msg=slow ms=900","source":"stdout"}', "slow",
         {"ms": "900", "source": "stdout"}),
        ('{"log":"plain\\n","source":"stdout"}', "plain", {"source": "stdout"}),
        ('{"message":"{\\"message\\":\\"{\\\\\\"msg\\\\\\":\\\\\\"deep\\\\\\"}\\"}"}', "deep", {}),
        ('{"log":{"level":"error"},"message":"ecs"}', "ecs", {"log.level": "error"}),
        ('Nov 30 08:00:00 host app[7]: {"msg":"x","k":1}', "x",
         {"k": "1", "host": "host", "tag": "app", "pid": "7"}),
        ('Received event: {"a": {"b": 1}}', "Received event:", {"a.b": "1"}),
        ('ERROR {"msg":"x"}', "ERROR x", {}),
        ('level=info msg="cache miss" key=user:12 took=31ms', "cache miss",
         {"key": "user:12", "took": "31ms"}),
        ('time=x level=ERROR msg=slog err="a \\"b\\""', "slog", {"err": 'a "b"'}),
        ('at=info method=GET path="/x y" status=200 bytes=', "",
         {"at": "info", "method": "GET", "path": "/x y", "status": "200", "bytes": ""}),
        ("\x1b[36mlevel\x1b[0m=info \x1b[36mmsg\x1b[0m=hi n=1", "hi", {"n": "1"}),
    ],
)  # fmt: skip
def test_the_message_comes_first_and_then_the_fields(
    message: str, shown: str, fields: dict[str, str]
) -> None:
    assert (parsed(message).message, row(message)) == (shown, fields)


@pytest.mark.parametrize(
    "message",
    [
        "",
        "plain text",
        "[1, 2]",
        "{}",
        "{'a': 1}",
        '{"a": 1} and more',
        '{"truncated": "by the write',
        "see a=1",
        "a=1",
        "x = 5 y = 6",
        'a=1 b="unclosed',
        "START of the day",
        "END",
        "REPORT on sales: good",
    ],
)
def test_plain_text_has_no_structure(message: str) -> None:
    assert structure_of(message) is None


def test_lambda_report() -> None:
    found = parsed(
        f"REPORT RequestId: {REQUEST}\tDuration: 102.25 ms\tBilled Duration: 103 ms\t"
        "Memory Size: 128 MB\tMax Memory Used: 71 MB\tInit Duration: 211.02 ms\t\n"
    )
    assert found.is_platform
    assert found.message == "REPORT"
    assert dict(found.fields) == {
        "RequestId": REQUEST,
        "Duration": "102.25 ms",
        "Billed Duration": "103 ms",
        "Memory Size": "128 MB",
        "Max Memory Used": "71 MB",
        "Init Duration": "211.02 ms",
    }


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        (f"START RequestId: {REQUEST} Version: $LATEST\n",
         {"RequestId": REQUEST, "Version": "$LATEST"}),
        (f"END RequestId: {REQUEST}\n", {"RequestId": REQUEST}),
        ("INIT_START Runtime Version: python:3.11.v1\tRuntime Version ARN: arn:aws:lambda:x",
         {"Runtime Version": "python:3.11.v1", "Runtime Version ARN": "arn:aws:lambda:x"}),
        ("XRAY TraceId: 1-5e\tSegmentId: 6f\tSampled: true",
         {"TraceId": "1-5e", "SegmentId": "6f", "Sampled": "true"}),
        ('{"time":"x","type":"platform.report","record":{"metrics":{"durationMs":1.5}}}',
         {"record.metrics.durationMs": "1.5"}),
    ],
)  # fmt: skip
def test_lines_of_lambda_itself(message: str, fields: dict[str, str]) -> None:
    assert parsed(message).is_platform
    assert row(message) == fields


def test_all_values_of_a_repeated_name_are_kept() -> None:
    found = parsed('{"a": 1, "msg": "x", "a": 2, "msg": "y"}')
    assert found.fields == (("a", 1), ("msg", "x"), ("a", 2))  # the other is the message
    assert found.message == "y"


def test_many_fields_and_long_lines_are_bounded() -> None:
    many = json.dumps({f"k{n}": n for n in range(FIELDS_MAX + 10)})
    assert len(parsed(many).fields) == FIELDS_MAX
    assert structure_of(json.dumps({"msg": "x" * STRUCTURE_CHARS_MAX})) is None


def test_deep_objects_are_shown_as_json() -> None:
    depth = 40
    found = parsed('{"a":' * depth + "1" + "}" * depth)
    ((name, value),) = found.fields
    assert name.count("a") + str(value).count("a") == depth
    assert structure_of('{"a":' * 3_000 + "1" + "}" * 3_000) is None


values: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.text(), st.dictionaries(st.text(), values, max_size=5))
def test_no_line_breaks_the_parser(text: str, found: dict[str, Any]) -> None:
    for message in (text, json.dumps(found), text + json.dumps(found), json.dumps({"log": text})):
        structure = structure_of(message)
        if structure is not None:
            assert all(isinstance(one, str) for one in dict(structure.row_fields()).values())


@given(st.dictionaries(st.from_regex(r"f[a-z]{0,8}", fullmatch=True), st.integers(), min_size=1))
def test_every_field_of_a_flat_object_is_found(found: dict[str, int]) -> None:
    assert dict(parsed(json.dumps({"msg": "x", **found})).fields) == found


UUID = "8f5e4d3c-0000-4000-8000-000000000001"


@pytest.mark.parametrize(
    ("message", "request_id"),
    [
        (f"START RequestId: {UUID} Version: $LATEST\n", UUID),
        (f"END RequestId: {UUID}\n", UUID),
        (f"REPORT RequestId: {UUID}\tDuration: 1 ms\tBilled Duration: 2 ms\t", UUID),
        (f"2026-11-23T12:00:00.000Z\t{UUID}\tINFO\thello", UUID),
        (f"[INFO]\t2026-11-23T12:00:00.000Z\t{UUID}\thello", UUID),
        ('{"type":"platform.report","record":{"requestId":"8f5e"}}', "8f5e"),
        ('{"msg":"a","requestId":"r-1","traceId":"t-1"}', "r-1"),
        ('{"msg":"a","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736"}',
         "4bf92f3577b34da6a3ce929d0e0e4736"),
        ('{"msg":"a","AWS-Request-Id":"x/1"}', "x/1"),
        ("level=info request_id=abc-123 msg=done", "abc-123"),
        ("10.0.0.1 - GET / 200 x-request-id=5e6f7a", "5e6f7a"),
        ("[correlation-id: q.77] done", "q.77"),
        (f"RequestId: {UUID} Error: Runtime exited", UUID),
        (f"2026-11-23T12:00:00.000Z {UUID} Task timed out after 3.00 seconds", UUID),
        (f"job {UUID} started", UUID),
        ("\x1b[32mrequest_id\x1b[0m=abc-123", "abc-123"),
        ("no request here", None),
        ("the request id is missing", None),
        ("", None),
    ],
)  # fmt: skip
def test_the_request_of_a_line(message: str, request_id: str | None) -> None:
    assert request_id_of(message) == request_id


def test_the_version_of_a_start_line_comes_once() -> None:
    found = structure_of(f"START RequestId: {UUID} Version: $LATEST\n")
    assert found is not None
    assert [name for name, _ in found.fields] == ["RequestId", "Version"]


@given(st.text())
def test_every_text_is_searched_for_a_request(text: str) -> None:
    found = request_id_of(text)
    assert found is None or found


PUBLIC: Final[list[tuple[str, str | None, dict[str, str]]]] = [
    (
        (
            '{"level":30,"time":1532087894587,"pid":1,"hostname":"h","reqId":"req-1'
            '","req":{"method":"GET","url":"/"},"msg":"incoming request"}'
        ),
        "incoming request",
        {"reqId": "req-1", "req.method": "GET"},
    ),
    (
        (
            '{"@timestamp":"2026-11-30T08:00:00Z","log.level":"info","message":"hel'
            'lo","service.name":"web","http":{"response":{"status_code":200}}}'
        ),
        "hello",
        {"service.name": "web", "http.response.status_code": "200"},
    ),
    (
        (
            '{"timestamp":"2026-11-30T08:00:00Z","level":"ERROR","logger_name":"c.e'
            '.App","thread_name":"main","message":"boom","stack_trace":"java.lang.X"}'
        ),
        "boom",
        {"thread_name": "main"},
    ),
    (
        (
            '{"container_id":"abc","container_name":"/web","source":"stderr","log":'
            '"plain text from FireLens","ecs_cluster":"c"}'
        ),
        "plain text from FireLens",
        {"source": "stderr"},
    ),
    (
        (
            '{"stream":"stdout","logtag":"F","message":"{\\"msg\\":\\"inner'
            '\\",\\"n\\":1}","kubernetes":{"pod_name":"p-1"}}'
        ),
        "inner",
        {"n": "1", "kubernetes.pod_name": "p-1"},
    ),
    (
        'time="2026-11-30T08:00:00Z" level=warning msg="logrus says" component=api retry=3',
        "logrus says",
        {"component": "api", "retry": "3"},
    ),
    (
        '{"severity":"INFO","textPayload":"x","message":"gcp","logging.googleapis.com/trace":"t"}',
        "gcp",
        {"logging.googleapis.com/trace": "t"},
    ),
    (
        '{"@t":"2026-11-30T08:00:00Z","@mt":"Order {Id} paid","Id":7}',
        "Order {Id} paid",
        {"Id": "7"},
    ),
    (
        (
            '{"_aws":{"Timestamp":1,"CloudWatchMetrics":[]},"Service":"s","Latency"'
            ':12,"message":"emf"}'
        ),
        "emf",
        {"Service": "s", "Latency": "12"},
    ),
    (
        (
            '{"time":"2026-11-30T08:00:00.000Z","type":"platform.report","record":{'
            '"requestId":"8f5e","metrics":{"durationMs":12.3,"initDurationMs":200.1}}}'
        ),
        None,
        {"record.metrics.durationMs": "12.3"},
    ),
    (
        (
            '{"timestamp":"2026-11-30T08:00:00.000Z","level":"INFO","requestId":"8f'
            '5e","message":"powertools"}'
        ),
        "powertools",
        {"requestId": "8f5e"},
    ),
    (
        '<14>Nov 30 08:00:00 host app[7]: {"msg":"behind syslog","a":1}',
        "behind syslog",
        {"a": "1", "host": "host"},
    ),
    ('{"version":"1.1","host":"h","short_message":"gelf","_user_id":9}', "gelf", {"_user_id": "9"}),
    (
        (
            '{"timeMillis":1,"thread":"main","level":"WARN","loggerName":"a","messa'
            'ge":"log4j2","endOfBatch":false}'
        ),
        "log4j2",
        {"endOfBatch": "false"},
    ),
    (
        (
            '{"resource":{"service.name":"s"},"severityText":"INFO","body":"otel","'
            'attributes":{"http.method":"GET"}}'
        ),
        "otel",
        {"attributes.http.method": "GET"},
    ),
    (
        'ts=2026-11-30T08:00:00Z caller=main.go:1 level=info msg="go-kit" duration=1.2s',
        "go-kit",
        {"duration": "1.2s"},
    ),
    (
        '{"message":{"text":"nested message","id":1},"level":"info"}',
        None,
        {"message.text": "nested message"},
    ),
]
"""Lines as common programs and loggers write them."""


@pytest.mark.parametrize(("message", "first", "fields"), PUBLIC)
def test_message_and_fields_of_public_formats(
    message: str, first: str | None, fields: dict[str, str]
) -> None:
    structure = structure_of(message)
    assert structure is not None
    assert first is None or structure.message == first
    assert fields.items() <= {(name, field_text(value)) for name, value in structure.fields}
