"""Pure: what an execution writes, one message at a time, from a seeded generator."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Final, Literal

Outcome = Literal["SUCCEEDED", "FAILED", "STOPPED"]

LIFECYCLE_PATTERN: Final = (
    r"execution finished: (?:(?P<SUCCEEDED>SUCCEEDED)|(?P<FAILED>FAILED)|(?P<STOPPED>STOPPED))"
)
"""What tells from an execution's last words that it is over, and how it ended."""

_TABLES: Final = ("orders", "customers", "ledger_2026", "événements", "注文", "sessions")
_PEERS: Final = ("db-0.internal", "cache-3.internal", "s3", "queue-1.internal")
_UNICODE: Final = (
    "Grüße aus Zürich, 12 € übrig",
    "注文を処理しました 🚚",
    "naïve café — “quoted” … ½",
    "заказ принят ✅",
    "family 👨‍👩‍👧‍👦 and flag 🇨🇭 are one character each",
    "مرحبا بالعالم",
)
_TRACE: Final = """\
Traceback (most recent call last):
  File "/app/job/main.py", line {line}, in run
    rows = load(table, batch={batch})
  File "/app/job/load.py", line {inner}, in load
    return session.fetch(query, timeout={timeout})
{error}: {peer}: no answer within {timeout} s (attempt {attempt} of 5)"""


def first_words(execution: str, rng: Random) -> str:
    """How an execution begins."""
    return f"INFO  execution started: {execution} image=job:{rng.randint(100, 999)} cpu=2 mem=4GiB"


def last_words(outcome: Outcome, took_ms: int) -> str:
    """How an execution ends; ``LIFECYCLE_PATTERN`` matches it."""
    level = {"SUCCEEDED": "INFO ", "FAILED": "ERROR", "STOPPED": "WARN "}[outcome]
    return f"{level} execution finished: {outcome} after {took_ms / 1000:.1f} s"


def message(number: int, share: float, rng: Random) -> str:
    """The message ``number`` of an execution that is ``share`` (0..1) of its way through."""
    write = rng.choices(_KINDS, cum_weights=_CUM_WEIGHTS)[0]
    return write(number, share, rng)


def _info(number: int, share: float, rng: Random) -> str:
    del share
    table, rows = rng.choice(_TABLES), rng.randint(1, 90_000)
    return f"INFO  batch {number}: {rows} rows of {table} in {rng.randint(2, 900)} ms"


def _debug(number: int, share: float, rng: Random) -> str:
    del share
    return f"DEBUG pool: {rng.randint(0, 8)} idle, request {number} -> {rng.choice(_PEERS)}"


def _progress(number: int, share: float, rng: Random) -> str:
    done = round(share * 30)
    bar = "#" * done + "." * (30 - done)
    loss = 2.5 * (1.02 - share) + rng.random() / 10
    return f"INFO  [{bar}] {share:6.1%} step {number} loss={loss:.4f}"


def _warn(number: int, share: float, rng: Random) -> str:
    del share
    return (
        f"WARN  slow answer from {rng.choice(_PEERS)}: {rng.randint(800, 4000)} ms, call {number}"
    )


def _error(number: int, share: float, rng: Random) -> str:
    del share
    return f"ERROR row {rng.randint(1, 10**6)} of batch {number} refused: amount is not a number"


def _trace(number: int, share: float, rng: Random) -> str:
    del share
    trace = _TRACE.format(
        line=rng.randint(20, 90),
        inner=rng.randint(100, 300),
        batch=number,
        timeout=rng.choice((2, 5, 30)),
        error=rng.choice(("TimeoutError", "ConnectionResetError", "job.errors.UpstreamError")),
        peer=rng.choice(_PEERS),
        attempt=rng.randint(1, 5),
    )
    return f"ERROR batch {number} failed, will be tried again\n{trace}"


def _json(number: int, share: float, rng: Random) -> str:
    fields = {
        "level": rng.choices(("info", "debug", "warn", "error"), weights=(8, 4, 2, 1))[0],
        "event": rng.choice(("request", "checkpoint", "metrics")),
        "n": number,
        "progress": round(share, 3),
        "duration_ms": rng.randint(1, 2_000),
        "table": rng.choice(_TABLES),
        "tags": {"zone": rng.choice("abc"), "retry": rng.random() < 0.1},  # noqa: PLR2004 - a tenth
    }
    return json.dumps(fields, ensure_ascii=False)


def _unicode(number: int, share: float, rng: Random) -> str:
    del share
    return f"INFO  note {number}: {rng.choice(_UNICODE)}"


_WEIGHTED: Final[tuple[tuple[Callable[[int, float, Random], str], int], ...]] = (
    (_info, 34),
    (_debug, 20),
    (_progress, 18),
    (_json, 14),
    (_warn, 6),
    (_unicode, 4),
    (_error, 2),
    (_trace, 2),
)
_KINDS: Final = tuple(kind for kind, _ in _WEIGHTED)
_CUM_WEIGHTS: Final = tuple(
    sum(weight for _, weight in _WEIGHTED[: place + 1]) for place in range(len(_WEIGHTED))
)
