"""Lines as common programs and loggers write them: level, search, message and fields."""

from __future__ import annotations

from typing import Final

import pytest

from tests.support.fake_engine import make_line
from tui.lines.expressions import parse_expression
from tui.lines.levels import level_of
from tui.lines.matching import test_of as filter_of
from tui.lines.structure import field_text, structure_of

LEVELS: Final = [
    ("2026-11-30 08:00:00,123 - root - ERROR - python logging", "error"),
    ("ERROR:root:python basicConfig", "error"),
    ("08:00:00.123 [main] WARN  com.example.App - logback", "warn"),
    ("Nov 30, 2026 8:00:00 AM com.example.App main\nSEVERE: java.util.logging", "error"),
    (
        "2026/11/30 08:00:00 [error] 31#31: *1 open() failed (2: No such file), client: 10.0.0.1",
        "error",
    ),
    ("[Mon Nov 30 08:00:00.000000 2026] [core:warn] [pid 1] AH00111: apache", "warn"),
    ("<11>1 2026-11-30T08:00:00Z host app 1 - - RFC 5424", "error"),
    ('2026-11-30 08:00:00.123 UTC [42] FATAL:  database "x" does not exist', "fatal"),
    ("2026-11-30T08:00:00.123456Z 0 [Warning] [MY-010068] [Server] mysql", "warn"),
    ("1:M 30 Nov 2026 08:00:00.123 # Warning: redis", "warn"),
    ("info: Microsoft.Hosting.Lifetime[0]\n      Now listening", "info"),
    ("crit: App[1]\n      disk", "fatal"),
    ('{"@t":"2026-11-30T08:00:00Z","@l":"Warning","@mt":"serilog"}', "warn"),
    ('{"severity":"ERROR","message":"google cloud"}', "error"),
    ('{"level":50,"time":1,"msg":"pino"}', "error"),
    ('{"log.level":"error","message":"ecs"}', "error"),
    ('{"severityText":"WARN","body":"otel"}', "warn"),
    ("ts=2026-11-30T08:00:00Z caller=main.go:1 level=warn msg=go-kit", "warn"),
    ("time=2026-11-30T08:00:00Z level=ERROR msg=slog", "error"),
    ("[2026-11-30T08:00:00Z ERROR app::db] env_logger", "error"),
    ("2026-11-30T08:00:00.000000Z  WARN app: tracing", "warn"),
    ('[2026-11-30 08:00:00] production.ERROR: laravel {"a":1}', "error"),
    ("[2026-11-30 08:00:00,123: WARNING/MainProcess] celery", "warn"),
    ("I1130 08:00:00.000000       1 controller.go:1] klog", "info"),
    ("08:00:00.123 [error] elixir", "error"),
    ("W, [2026-11-30T08:00:00.000000 #7]  WARN -- : rails", "warn"),
    ("npm ERR! code ELIFECYCLE", "error"),
    ("panic: runtime error: index out of range", "fatal"),
    ('Traceback (most recent call last):\n  File "a.py", line 1\nValueError: x', "error"),
    (
        "[ERROR] 2026-11-30T08:00:00.000Z 8f5e4d3c-0000-4000-8000-000000000001 lambda python",
        "error",
    ),
    ('172.17.0.1 - - [30/Nov/2026:08:00:00 +0000] "GET /error HTTP/1.1" 200 12', None),
    ("no errors were found", None),
    ("1:M 30 Nov 2026 08:00:00.123 * Ready to accept connections", "info"),
    ("17:C 30 Nov 2026 08:00:00.123 - Accepted", "trace"),
]

FOUND: Final = [
    (
        (
            "\x1b[2m2026-11-30T08:00:00Z\x1b[0m \x1b[32m INFO\x1b[0m \x1b[2mapp::db"
            "\x1b[0m\x1b[2m:\x1b[0m connected"
        ),
        "app::db: connected",
        True,
    ),
    ("\x1b[36mGET\x1b[0m /v1/jobs?id=7&x=%20 \x1b[32m200\x1b[0m", "/v1/jobs?id=7&x=%20 200", True),
    ("at com.example.App$Inner.lambda$0(App.java:7)", "App$Inner.lambda$0(App.java:7)", True),
    ("java.lang.NullPointerException: null", "nullpointerexception", True),
    ("java.lang.nullpointerexception: null", "NullPointerException", False),
    ("s3://bucket/key+with+plus (copy).txt", "key+with+plus (copy)", True),
    ("arn:aws:lambda:eu-west-1:1:function:f:*", "function:f:*", True),
    ('{"a":{"b":[1,2]}}', '{"b":[1,2]}', True),
    ("^start and end$", "^start", True),
    ("start", "^start", False),
    ("a|b", "a|b", True),
    ("a", "a|b", False),
    ("C:\\Windows\\System32\\drivers", "\\System32\\", True),
    ("Straße 12", "STRASSE", False),
    ("Straße 12", "straße", True),
    ("ΣΊΣΥΦΟΣ", "σίσυφος", True),
    ("注文 41 ok", "注文", True),
    ("100% of 5 GB (done)", "100% of", True),
    ("a\tb", "a\tb", True),
    ("user@example.com <x>", "<x>", True),
    ("8f5e4d3c-0000", "8F5E", False),
    ("!important", '"!important"', True),
    ("why? because", "why?", True),
    ("[2026-11-30T08:00:00Z] \x1b[1;31mE\x1b[0mRROR", "ERROR", True),
]

STRUCTURED: Final[list[tuple[str, str | None, dict[str, str]]]] = [
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


@pytest.mark.parametrize(("message", "level"), LEVELS)
def test_the_level(message: str, level: str | None) -> None:
    assert level_of(message) == level


@pytest.mark.parametrize(("message", "typed", "is_found"), FOUND)
def test_what_is_typed_finds_what_is_seen(
    message: str,
    typed: str,
    is_found: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    test = filter_of(parse_expression(typed), lambda _target: "")
    assert test(make_line(1, message)) is is_found


@pytest.mark.parametrize(("message", "first", "fields"), STRUCTURED)
def test_message_and_fields(message: str, first: str | None, fields: dict[str, str]) -> None:
    structure = structure_of(message)
    assert structure is not None
    assert first is None or structure.message == first
    assert fields.items() <= {(name, field_text(value)) for name, value in structure.fields}
