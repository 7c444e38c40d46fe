"""The levels of messages in the forms of common loggers."""

from __future__ import annotations

import json
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.text import without_colours
from tui.lines.levels import HEAD_CHARS, JSON_CHARS_MAX, LEVELS, at_least, level_of, signs_of
from tui.lines.packed import PackedRows
from tui.lines.rows import Line

RED, YELLOW, OFF = "\x1b[31m", "\x1b[33m", "\x1b[0m"

COLOURED: Final = [
    (f"{RED}ERROR{OFF} coloured", "error"),
    (
        f"2024-01-01 12:00:00.000 {RED}ERROR{OFF} \x1b[35m1\x1b[0;39m --- [main] c.e.App : x",
        "error",
    ),
    (f"\x1b[2m2024-01-01T00:00:00.000Z{OFF} {RED}ERROR{OFF} \x1b[2mapp{OFF}: boom", "error"),
    (f"{RED}error\x1b[39m: refused", "error"),
    (f"[{RED}ERROR{OFF}] x", "error"),
    (f"{YELLOW}WARN{OFF}[0001] tty", "warn"),
    (f"2024-01-01T00:00:00.000Z\t{RED}ERROR{OFF}\tapp/main.go:1\tboom", "error"),
    (f'\x1b[32mINFO{OFF}:     127.0.0.1 - "GET / HTTP/1.1" 200 OK', "info"),
    (f"level={RED}error{OFF} msg=x", "error"),
    (f"\x1b[36mDEBUG{OFF} dbg", "debug"),
    (f"\x1b[1;31mfatal{OFF}: cannot go on", "fatal"),
    (f"\x1b[38;5;208mWARNING{OFF} low disk", "warn"),
    (f"\x1b[38;2;255;0;0mCRITICAL{OFF} disk full", "fatal"),
    (f"\x1b[90m3:04PM{OFF} {RED}ERR{OFF} boom", "error"),
    (f"\x1b[90m3:04PM{OFF} \x1b[32mINF{OFF} started", "info"),
    (f"[\x1b[90m12:00:00{OFF} {YELLOW}WRN{OFF}] slow", "warn"),
    ("[08:00:00 FTL] serilog", "fatal"),
    (f'{{"level": "{RED}error{OFF}", "message": "winston"}}', "error"),
    ('{"level":"\\u001b[31merror\\u001b[39m","message":"winston"}', "error"),
    (f"app_1  | {RED}ERROR{OFF} from compose", "error"),
    (f"{RED}E{OFF} alone is no level", None),
]
ABBREVIATED: Final = [
    ("ERRO[0001] tty", "error"),
    ("WARN[0003] tty", "warn"),
    ("INFO[0000] tty", "info"),
    ("DEBU[0120] tty", "debug"),
    ("FATA[0000] tty", "fatal"),
    ("PANI[0000] tty", "fatal"),
    ("TRAC[0000] tty", "trace"),
    ("lvl=eror msg=log15", "error"),
    ("t=2026-11-30T08:00:00 lvl=crit msg=log15", "fatal"),
    ("lvl=dbug msg=log15", "debug"),
    ("E1123 12:00:00.000000 1 main.go:1] boom", "error"),
    ("W1123 12:00:00.000000 1 main.go:1] hm", "warn"),
    ("E, [2026-11-30T08:00:00.000000 #1] ERROR -- : ruby", "error"),
    ("D, [2026-11-30T08:00:00.000000 #1] DEBUG -- : ruby", "debug"),
    ("E/ActivityManager: android", "error"),
    ("E/S is a ratio", None),
]
JSON: Final = [
    ('{"level":"info","msg":"ERROR is only a word here"}', "info"),
    ('{"msg":"x","severity":"CRITICAL"}', "fatal"),
    ('{"level":50,"msg":"pino"}', "error"),
    ('{"name":"bunyan","hostname":"h","pid":1,"level":40,"msg":"x","v":0}', "warn"),
    ('{"log.level":"debug"}', "debug"),
    ('{"log":{"level":"error","logger":"x"},"message":"ECS, nested"}', "error"),
    ('{"@timestamp":"2026-11-30T08:00:00Z","logger_name":"c.e.App","level":"ERROR"}', "error"),
    ('{"message":"' + "y" * 500 + '","levelname":"DEBUG"}', "debug"),
    ('{"message":"saw [error] in the reply of ' + "z" * 500 + '","level":"INFO"}', "info"),
    ('{"message":"saw [error] in the reply","level":"INFO"}', "info"),
    ('{"@t":"2026-11-30T08:00:00Z","@mt":"boom","@l":"Error"}', "error"),
    ('{"@t":"2026-11-30T08:00:00Z","@mt":"boom","@l":"Verbose"}', "trace"),
    ('{"Timestamp":"x","Level":"Warning","MessageTemplate":"serilog"}', "warn"),
    ('{"EventId":1,"LogLevel":"Critical","Category":"dotnet","Message":"x"}', "fatal"),
    ('{"channel":"app","level":400,"level_name":"ERROR","message":"monolog"}', "error"),
    ('{"channel":"app","level":300,"message":"monolog"}', "warn"),
    ('{"version":"1.1","host":"h","short_message":"gelf","level":3}', "error"),
    ('{"t":{"$date":"x"},"s":"E","c":"NETWORK","id":1,"msg":"mongo"}', "error"),
    ('{"t":{"$date":"x"},"s":"D2","c":"NETWORK","id":1,"msg":"mongo"}', "debug"),
    ('{"PRIORITY":"3","MESSAGE":"journald"}', "error"),
    ('{"severityText":"WARN","body":"otel"}', "warn"),
    ('{"SeverityText":"FATAL","Body":"otel"}', "fatal"),
    ('{"@level":"warn","@message":"hashicorp"}', "warn"),
    ('{"level":"critical","event":"structlog"}', "fatal"),
    ('{"level":"DPANIC","ts":1.5,"msg":"zap"}', "fatal"),
    ('{"time":"x","level":"WARN","msg":"slog"}', "warn"),
    ('{"level": null, "message": "ERROR in the message"}', "error"),
    ('{"message": "no level at all"}', None),
    ('{"level": true, "message": "not a level"}', None),
    ('{"level": [1, 2], "message": "not a level"}', None),
    ('{"levels": "error", "message": "another field"}', None),
    ("  \t" + '{"level":"error"}\n', "error"),
]
INSIDE: Final = [
    ('{"container_id":"c1","log":"{\\"level\\": \\"error\\", \\"msg\\": \\"x\\"}"}', "error"),
    ('{"container_id":"c1","log":"ERROR: plain text","source":"stdout"}', "error"),
    ('{"log":"level=warn msg=slow","container_name":"web"}', "warn"),
    ('{"message":"{\\"message\\": \\"{\\\\\\"level\\\\\\": \\\\\\"error\\\\\\"}\\"}"}', "error"),
    ('2026-11-30T08:00:00.000Z\t8f5e\tINFO\t{"level":"error","msg":"x"}', "error"),
    ('2026-11-30T08:00:00.000Z\t8f5e\tERROR\t{"msg":"x"}', "error"),
    ('[INFO]\t2026-11-30T08:00:00.000Z\t8f5e\t{"severity":"warning"}', "warn"),
    ('Nov 30 08:00:00 host app[1]: {"level":"fatal","msg":"x"}', "fatal"),
    ('web_1 | {"level":30,"msg":"x"}', "info"),
    ("ERROR handling {'a': 1}", "error"),
    ("WARN unbalanced { brace", "warn"),
]
TEXT: Final = [
    ("ts=1 level=warn msg=hm", "warn"),
    ("[error] 1234#0: *1 open() failed", "error"),
    ("2026/11/30 08:00:00 [crit] 1#1: *1 nginx", "fatal"),
    ("[Mon Nov 30 08:00:00.000000 2026] [core:error] [pid 1] apache", "error"),
    ("[Mon Nov 30 08:00:00.000000 2026] [php7:notice] [pid 1] apache", "info"),
    ("<Notice> something", "info"),
    ("<3>systemd", "error"),
    ("<11>Nov 30 08:00:00 host app: syslog", "error"),
    ("<999>not a priority", None),
    ("Traceback (most recent call last):\n  File", "error"),
    ("panic: runtime error: index out of range", "fatal"),
    ("Nov 30 08:00:00 host app[1]: error: x", "error"),
    ("Nov  3 08:00:00 host kernel: warning: x", "warn"),
    ("fail: Microsoft.AspNetCore.Server.Kestrel[13]", "error"),
    ("warn: Microsoft.Hosting.Lifetime[0]", "warn"),
    ("crit: App[0]", "fatal"),
    ("dbug: App[0]", "debug"),
    ("trce: App[0]", "trace"),
    ("info: winston", "info"),
    ("2026-11-30T08:00:00.000Z error: winston", "error"),
    ("2026-11-30 08:00:00 warn: two words of time", "warn"),
    ("npm error: x", None),
    ("2026-11-30 08:00:00.000 UTC [1] ERROR:  relation does not exist", "error"),
    ("2026-11-30 08:00:00.000 UTC [1] LOG:  checkpoint starting", None),
    ("1:M 30 Nov 2026 08:00:00.000 # WARNING overcommit", "warn"),
    ("2026-11-30T08:00:00.000000Z 1 [ERROR] [MY-010119] [Server] mysql", "error"),
    ("2026-11-30T08:00:00.000000Z 1 [Note] [MY-010119] [Server] mysql", "info"),
    ("ERROR:root:python", "error"),
    ("2026-11-30 08:00:00,000 - app - CRITICAL - python", "fatal"),
    ("Nov 30, 2026 8:00:00 AM c.e.App main\nSEVERE: jul", "error"),
    ("FINEST: jul", "trace"),
    ("[2026-11-30T08:00:00Z WARN  app::http] rust", "warn"),
    ("2026-11-30T08:00:00.000Z TRACE app: tracing", "trace"),
    ("08:00:00.000 [error] GenServer terminating", "error"),
    ("time=2026-11-30T08:00:00.000Z level=ERROR msg=slog", "error"),
    ('time="2026-11-30T08:00:00Z" level=warning msg="docker"', "warn"),
    ("log_level=error x=1", "error"),
    ("level=unheard-of but [WARN] later", "warn"),
    ("MYERROR, _ERROR and ÄERROR, but WARN", "warn"),
    ("MYERROR,ERROR", "error"),
    ("nothing of the kind", None),
    ("an error happened, says the sentence", None),
    ("0 errors, no error found", None),
    ("error-prone users are told so", None),
    ("ERROR-PRONE is a word", None),
    ("ERRORS are plural", None),
    ("sublevel=error is another field", None),
    ("", None),
    ("x" * (HEAD_CHARS + 100) + " ERROR", None),
]


@pytest.mark.parametrize(("message", "level"), [*COLOURED, *ABBREVIATED, *JSON, *INSIDE, *TEXT])
def test_levels_in_messages(message: str, level: str | None) -> None:
    assert level_of(message) == level


def test_a_huge_object_is_searched_like_text() -> None:
    filler = "x" * JSON_CHARS_MAX
    assert level_of(json.dumps({"level": "error", "filler": filler})) == "error"
    assert level_of(json.dumps({"filler": filler, "level": "error"})) is None


@pytest.mark.parametrize(
    "message",
    ['{"level": "error", "n": 1' + "0" * 500 + "}", '{"a":' * 3_000 + "1" + "}" * 3_000, "{" * 300],
)
def test_an_object_that_cannot_be_read_is_searched_like_text(message: str) -> None:
    assert level_of(message) == level_of(message[:HEAD_CHARS])


@given(st.text())
def test_any_text_has_a_known_level_or_none(message: str) -> None:
    for one in (message, f"{{{message}}}", json.dumps({"log": message}), f'{{"level":{message}}}'):
        assert level_of(one) in (None, *LEVELS)


@given(level=st.sampled_from(LEVELS), text=st.text(max_size=2_000), first=st.booleans())
def test_the_level_field_counts_wherever_it_stands(level: str, text: str, *, first: bool) -> None:
    fields = [("level", level), ("message", text)]
    assert level_of(json.dumps(dict(fields if first else fields[::-1]))) == level


def test_the_order_of_levels() -> None:
    assert at_least("error", "warn")
    assert not at_least("info", "warn")
    assert at_least(None, "info")
    assert not at_least(None, "warn")
    assert all(at_least(level, LEVELS[0]) for level in LEVELS)


PUBLIC: Final = [
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
"""Lines as common programs and loggers write them."""


@pytest.mark.parametrize(("message", "level"), PUBLIC)
def test_the_level_of_public_formats(message: str, level: str | None) -> None:
    assert level_of(message) == level


@pytest.mark.parametrize("chars", [160, HEAD_CHARS])
def test_a_word_that_is_cut_off_is_no_level(chars: int) -> None:
    filler = "x " * (chars // 2 - 3)
    assert level_of(f"{filler}ERRORS") is None
    assert level_of(f"{filler[:-4]} level=warnings") is None
    assert level_of(f"{filler[:-4]}ERROR S") == (None if chars == HEAD_CHARS else "error")


SIGNED: Final = [level for level in LEVELS if level != "info"]
"""Levels whose lines have signs."""

PIECES: Final = [
    *("error", "ERROR", "Warn", "fine", "TRACE", "panic", "err", "debug2", "DEBUG9", "info"),
    *("50", "10", "400", "3", "E", "D2", "<3>", "<186>"),
    *("E1123 12:00:00.0", "W, [2026-", "T\\/Tag: ", "EMERG", "/", "\u212a", "\ud800", "lvl="),
    *("1:M 30 Nov 2026 08:00:00.123 # x", "Traceback (most recent call last)", "FATA[0001]"),
    *('"level"', '"s"', '"PRIORITY"', '"short_message":"x"', '"log"', '"@l"', "level", "_name"),
    *(":", ": ", "=", '"', '\\"', "\\n", "\\u2003", "\\u0065", ",", "{", "}", "[", "]", "(", ")"),
    *(" ", "\n", "\t", "\u00a0", "ä", "x", "_", "-", "0", "\x1b[31m", "\x1b[0m"),
    *("\x1b[3", "x " * 77, "x " * 198),
]  # fmt: skip
values = st.sampled_from(PIECES) | st.integers(0, 60)
spoilt = st.builds(
    lambda message, at, piece: message[:at] + piece + message[at:],
    st.sampled_from([one for one, _ in (*COLOURED, *ABBREVIATED, *JSON, *INSIDE, *TEXT, *PUBLIC)]),
    st.integers(0, 40),
    st.sampled_from(["", *PIECES]),
)
objects = st.builds(
    lambda fields, text, *, is_plain: json.dumps(
        fields | {"log": json.dumps(text, ensure_ascii=is_plain)}, ensure_ascii=is_plain
    ),
    st.dictionaries(
        st.sampled_from(["level", "severity", "s", "PRIORITY", "msg"]), values | spoilt
    ),
    st.dictionaries(st.sampled_from(["level", "lvl", "message", "s"]), values | spoilt) | spoilt,
    is_plain=st.booleans(),
)
lines = st.lists(st.sampled_from(PIECES), max_size=9).map("".join) | spoilt | objects


@given(lines, st.sets(st.sampled_from(SIGNED), min_size=1))
def test_each_line_of_a_level_has_a_sign_of_it(message: str, levels: set[str]) -> None:
    in_colours = "\x1b" in message
    found = signs_of(frozenset(levels), in_colours=in_colours)
    if level_of(message) in levels:
        assert found.matches(without_colours(message))


@pytest.mark.parametrize(
    ("message", "level"),
    [
        (json.dumps({"log": "x\nERROR y"}), "error"),
        (json.dumps({"log": "x\u2003ERROR y"}), "error"),
        (json.dumps({"log": json.dumps({"log": "x\tERROR y"})}), "error"),
        ('{"level":"\\u0065rror"}', "error"),
        ('{"\\u006cevel":"50"}', "error"),
        ('{"level":"\\n50"}', "error"),
        ('{"severity":"\\u200350"}', "error"),
        ('{"severity_text" : "\u00a060"}', "fatal"),
        ('{"log":"E\\/Tag: x"}', "error"),
        ('{"log":"{\\"s\\":\\"E\\"}"}', "error"),
        ('{"log":"{\\"PRIORITY\\":4}"}', "warn"),
        ('{"short_message":"x","level":"7"}', "debug"),
        ("<004>x", "warn"),
        ("1:M 30 Nov 2026 08:00:00.123 # x", "warn"),
        ("1:M 30 Nov 2026 08:00:00.123 - x", "trace"),
        ("Exception in thread main", "error"),
        ("x " * 195 + "level=err\x1b[31mX", "error"),
        ("x " * 194 + " level=50\x1b[31m0000", "error"),
    ],
)
def test_signs_of_levels_that_are_written_in_an_unusual_way(message: str, level: str) -> None:
    found = signs_of(frozenset([level]), in_colours="\x1b" in message)
    assert level_of(message) == level
    assert found.matches(without_colours(message))


@pytest.mark.parametrize(
    "message",
    [
        "INFO 3 failures, no errors",
        '{"level":30,"status":500,"errors":0,"trace_id":"x"}',
        "refined",
    ],
)
def test_most_lines_need_not_be_read(message: str) -> None:
    assert not signs_of(frozenset(SIGNED)).matches(message)


tests_of_levels = st.sets(st.sampled_from([None, *LEVELS]))


@given(st.lists(lines, max_size=70), st.lists(tests_of_levels, min_size=1, max_size=4))
def test_a_block_flags_its_levels_as_each_line_has_them(
    messages: list[str], passing: list[set[str | None]]
) -> None:
    rows = [Line(at, at, None, "s", one, "live") for at, one in enumerate(messages)]
    block = PackedRows(range(len(rows)), rows)
    levels = list(map(level_of, messages))
    for one in passing:
        assert block.flags_of_levels(one.__contains__) == bytes(level in one for level in levels)
    assert [block.level(at) for at in range(len(rows))] == levels
