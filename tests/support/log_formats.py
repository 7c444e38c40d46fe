"""Lines in the formats of common programs, for benchmarks and pictures of patterns."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Callable, Iterator
from typing import Final

_USERS: Final = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi")
_LEVELS: Final = ("INFO",) * 8 + ("WARN", "ERROR")


def _message(chance: random.Random) -> tuple[str, str]:
    """A level and a message."""
    number, name = chance.randrange(100_000), chance.choice(_USERS)
    text = chance.choice(
        (
            f"upload of {_id(chance)} failed after {number} retries: connection reset by peer",
            f"frame {number} of 9600 rendered in {chance.randrange(900)} ms",
            f"cache miss for key user:{number}:profile",
            f"retrying request {_id(chance)} in {number} ms",
            f"Connected to db-{number % 9}.internal:5432 as {name}",
            f"slow query took {number} ms: SELECT * FROM orders WHERE id = {number}",
            f"Kafka consumer group 'billing' rebalanced, generation {number}",
            f"GC pause (young) {number} MB -> {number // 2} MB took {chance.random():.3f} s",
            f"payment {_id(chance)} declined for customer {number}",
            f"session of {name} expired",
        )
    )
    return ("ERROR" if "failed" in text or "declined" in text else chance.choice(_LEVELS)), text


def _id(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128)))


def _nginx(chance: random.Random, at: str) -> str:
    path = chance.choice(("/healthz", "/login", f"/api/users/{chance.randrange(9_999)}"))
    client = f"10.0.{chance.randrange(255)}.{chance.randrange(255)}"
    return (
        f'{client} - - [23/Nov/2026:{at[:8]} +0000] "GET {path} HTTP/1.1" '
        f'{chance.choice((200, 200, 404, 500))} {chance.randrange(9_999)} "-" "Mozilla/5.0 (X11)"'
    )


def _spring(chance: random.Random, at: str) -> str:
    level, text = _message(chance)
    return (
        f"2026-11-23T{at}Z {level:>5} 1 --- [nio-8080-exec-{chance.randrange(20)}] "
        f"c.e.shop.OrderController : {text}"
    )


def _pino(chance: random.Random, at: str) -> str:
    level, text = _message(chance)
    number = {"INFO": 30, "WARN": 40, "ERROR": 50}[level]
    return json.dumps(
        {"level": number, "time": at, "pid": 7, "hostname": "ip-10-0-1-7", "reqId": _id(chance),
         "msg": text}
    )  # fmt: skip


def _logfmt(chance: random.Random, at: str) -> str:
    level, text = _message(chance)
    trace = f"{chance.getrandbits(128):032x}"
    return f'time={at} level={level.lower()} msg="{text}" service=api trace_id={trace}'


def _lambda(chance: random.Random, at: str) -> str:
    level, text = _message(chance)
    return f"2026-11-23T{at}Z\t{_id(chance)}\t{level}\t{text}"


def _report(chance: random.Random, _at: str) -> str:
    took = chance.random() * 900
    return (
        f"REPORT RequestId: {_id(chance)}\tDuration: {took:.2f} ms\tBilled Duration: "
        f"{took:.0f} ms\tMemory Size: 128 MB\tMax Memory Used: {chance.randrange(128)} MB\t"
    )


def _firelens(chance: random.Random, at: str) -> str:
    level, text = _message(chance)
    inner = json.dumps({"level": level.lower(), "msg": text, "ts": at})
    return json.dumps({"container_name": "web", "source": "stdout", "log": inner})


def _python(chance: random.Random, at: str) -> str:
    level, text = _message(chance)
    trace = '\nTraceback (most recent call last):\n  File "app.py", line 3, in <module>\n    f()'
    return f"2026-11-23 {at.replace('.', ',')} {level} shop.worker {text}" + (
        f"{trace}\nValueError: {chance.randrange(99)}" if level == "ERROR" else ""
    )


FORMATS: Final[dict[str, Callable[[random.Random, str], str]]] = {
    "nginx": _nginx,
    "Spring Boot": _spring,
    "pino": _pino,
    "logfmt": _logfmt,
    "Lambda": _lambda,
    "Lambda reports": _report,
    "FireLens": _firelens,
    "Python": _python,
}
"""A line of each format, given a random number generator and a time of day with milliseconds."""


def lines_of(count: int, name: str | None = None, seed: int = 1) -> Iterator[str]:
    """Lines of one format, or of all of them in turn."""
    chance = random.Random(seed)
    makers = list(FORMATS.values()) if name is None else [FORMATS[name]]
    for number in range(count):
        second = number // 10
        at = f"12:{second // 60 % 60:02d}:{second % 60:02d}.{number % 10}00"
        yield makers[number % len(makers)](chance, at)
