"""The rules of PROTOCOL.md that the suite checks, their verdicts, and reports of them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any, Final, Literal

import msgspec

State = Literal["ok", "FAILED", "not shown"]

FAILURES_MAX: Final = 3
"""Failures kept per rule, for the report; one is enough to fail it."""

_GOT_CHARS_MAX: Final = 300


class Rule(msgspec.Struct, frozen=True):
    """One rule of PROTOCOL.md."""

    id: str
    chapter: str
    says: str
    number: tuple[int, ...] = ()
    """Rule numbers of PROTOCOL.md, there in brackets."""
    unless: str = "no scenario exercised it"
    """Reason printed when the rule is not shown."""


class Failure(msgspec.Struct, frozen=True):
    """One violation of a rule."""

    expected: str
    got: str


class Verdict(msgspec.Struct, frozen=True):
    """The result of checking one rule."""

    rule: Rule
    state: State
    failures: tuple[Failure, ...] = ()
    why: str = ""
    """Why the rule was not shown; empty otherwise."""


_POSITIONS: Final = "three positions"
_CONNECTING: Final = "connecting"
_SERVER: Final = "server to client"
_CLIENT: Final = "client to server"
_HTTP: Final = "http"
_JOURNAL: Final = "journal and closing"

_FEW = "the log group has too few events"
_OPEN = "the forwarder requires no token"
_RESTART = "needs a forwarder that restarts during the run"

RULES: Final[tuple[Rule, ...]] = (
    Rule("n-dense", _POSITIONS, "n counts all messages of a connection from 1, without gaps", (2,)),
    Rule("seq-cover", _POSITIONS, "events cover (after, seq]; after is the last seq received"),
    Rule("once", _POSITIONS, "no event is sent twice on a connection, except in repairs"),
    Rule(
        "late", _POSITIONS, "a late event has a new seq and an old position K", (),
        "no late event arrived during the run",
    ),
    Rule("epoch-new", _POSITIONS, "every start begins a new epoch", (4,), _RESTART),
    Rule(
        "made-anew", _POSITIONS, "a known id at another position begins a new epoch", (17,),
        "needs a log group that is recreated during the run",
    ),
    Rule("welcome", _CONNECTING, "welcome comes first, once, with protocol 1"),
    Rule("fresh", _CONNECTING, "without a cursor: outcome fresh, since as requested"),
    Rule("since-default", _CONNECTING, "without since and cursor: the last 10 minutes"),
    Rule(
        "since-execution", _CONNECTING, "with an execution and no since: all its events", (),
        "no execution has events",
    ),
    Rule("since", _CONNECTING, "no history from before since is sent"),
    Rule("resumed", _CONNECTING, "a resume sends exactly the events after the cursor", (), _FEW),
    Rule("no-held", _CONNECTING, "with a cursor and without held, no history is sent", (), _FEW),
    Rule("held", _CONNECTING, "of the history, only events outside held are sent", (1, 3), _FEW),
    Rule("rebased", _CONNECTING, "a cursor of another journal: rebased, everything resent", (6,)),
    Rule(
        "history", _CONNECTING, "history selects which end of the range is sent first", (),
        "the history fits into one frame",
    ),
    Rule("base", _CONNECTING, "counts and digests leave out seq <= base", (16,), _FEW),
    Rule("filters", _CONNECTING, "stream, execution and prefix filters are united", (), _FEW),
    Rule(
        "pattern", _CONNECTING, "pattern: a feed of exactly the matching events", (),
        "no event contains a word",
    ),
    Rule(
        "cursor-filter", _CONNECTING, "a cursor is valid for one group, filter and since", (7,),
        "the client has to keep this rule",
    ),
    Rule("malformed", _CONNECTING, "a malformed parameter: 400; the body names it"),
    Rule("unknown-group", _CONNECTING, "an unknown group: 404; the body names it"),
    Rule("token", _CONNECTING, "without the token: 401", (), _OPEN),
    Rule(
        "token-group", _CONNECTING, "a token that is not valid for the group: 403", (),
        "needs a second token",
    ),
    Rule("shape", _SERVER, "each frame is a message with all its fields, as UTF-8 JSON"),
    Rule("frame-size", _SERVER, "a frame has at most 500 events and 1 MiB, or one larger event"),
    Rule("past-neutral", _SERVER, "history frames have after = seq = the cursor"),
    Rule("backfill", _SERVER, "held only grows, and all its events were sent"),
    Rule("done", _SERVER, "at done, held is [since, open end); no history follows"),
    Rule(
        "past-share", _SERVER, "history gets at least every fourth frame", (15,),
        "needs more events, or live events and history at the same time",
    ),
    Rule("heartbeat", _SERVER, "heartbeats come at least every heartbeat_ms, also when idle"),
    Rule("sent-seq", _SERVER, "a heartbeat's sent_seq is the cursor, its head_seq not lower"),
    Rule("skipped", _SERVER, "an empty frame announces events that the filter skips", (12,), _FEW),
    Rule("mark-range", _SERVER, "marks start at or after since and, until done, lie within held"),
    Rule("mark-seq", _SERVER, "a mark's seq is the cursor at that point of the stream", (10,)),
    Rule("mark-true", _SERVER, "a mark's count and digest equal those of the events sent", (10,)),
    Rule("green", _SERVER, "marks cover [since, T] without a gap"),
    Rule(
        "scan-true", _SERVER, "a scan that misses a known event makes no mark", (8,),
        "needs CloudWatch: run gapless verify",
    ),
    Rule(
        "altered", _SERVER, "another text has a declared gap around it, sent before", (18,),
        "no text changed under its id during the run",
    ),
    Rule("gap-again", _SERVER, "after welcome every open gap is resent", (9,), "no open gaps"),
    Rule("lost", _SERVER, "each welcome lists lost time ranges", (), "no lost events"),
    Rule("end", _SERVER, "end follows done, with correct totals", (), "no execution has ended"),
    Rule(
        "end-again", _SERVER, "end is sent on every connection that names the execution", (11,),
        "no execution has ended",
    ),
    Rule("verify", _CLIENT, "verify is answered by digest, in order, clipped to since"),
    Rule("repair", _CLIENT, "repair resends a range, then its digest", (13,), _FEW),
    Rule("credit", _CLIENT, "exactly as many events as were granted are sent", (15,), _FEW),
    Rule("credit-cumulative", _CLIENT, "credit is cumulative: ignore a lower grant", (15,), _FEW),
    Rule("credit-free", _CLIENT, "heartbeats need no credit", (15,)),
    Rule("bad-message", _CLIENT, "any other client message: close 4501"),
    Rule("bad-alone", _CLIENT, "a bad message does not affect other connections"),
    Rule("logs-order", _HTTP, "/v1/logs is ordered by position K", (), _FEW),
    Rule("logs-whole", _HTTP, "/v1/logs has every event of the WebSocket, once"),
    Rule("logs-page", _HTTP, "a page obeys limit, 10,000 items, 4 MiB; the last next is null"),
    Rule("logs-seq", _HTTP, "after a cursor, /v1/logs is in seq order to until_seq", (), _FEW),
    Rule("logs-conflict", _HTTP, "a cursor that is not resumable: 409 with the current epoch"),
    Rule("logs-refusals", _HTTP, "malformed: 400; unknown group: 404; with an error message"),
    Rule("request-line", _HTTP, "a request line over 8 KiB: 414"),
    Rule("digest", _HTTP, "/v1/digest returns the digest, also for an earlier seq", (14,)),
    Rule("digest-conflict", _HTTP, "/v1/digest of another epoch: 409", (14,)),
    Rule(
        "declared", _HTTP, "/v1/declared has gaps, texts, count, and upstream as in heartbeats", (),
        "the forwarder lacks this extension",
    ),
    Rule("executions", _HTTP, "/v1/executions lists status, first, last and count"),
    Rule("groups", _HTTP, "/v1/groups lists the log groups"),
    Rule("viewers", _HTTP, "/v1/viewers lists the connections"),
    Rule("health", _HTTP, "/healthz returns 200, /readyz 200 or 503 with the reason"),
    Rule("metrics", _HTTP, "/metrics is Prometheus text"),
    Rule("http-token", _HTTP, "HTTP without the token: 401", (), _OPEN),
    Rule(
        "retention", _JOURNAL, "retention removes bodies only; beyond the size, a new chain", (5,),
        "needs a full journal",
    ),
    Rule("bye", _JOURNAL, "after bye only the close frame follows", (), "no bye was sent"),
)  # fmt: skip

BY_ID: Final[dict[str, Rule]] = {rule.id: rule for rule in RULES}


def selected(names: Sequence[str]) -> frozenset[str]:
    """Resolve names to rule ids: each is an id, or a number such as ``13`` or ``[13]``.

    Without names, all rules.

    Raises:
        KeyError: there is no rule with that id or number.

    """
    if not names:
        return frozenset(BY_ID)
    found: set[str] = set()
    for name in names:
        number = name.strip("[]")
        ids = {name} & set(BY_ID)
        if number.isdecimal():
            ids |= {rule.id for rule in RULES if int(number) in rule.number}
        if not ids:
            raise KeyError(name)
        found |= ids
    return frozenset(found)


class Ledger:
    """Collects the outcomes of checks, rule by rule."""

    def __init__(self) -> None:
        self._held: dict[str, int] = {}
        self._failures: dict[str, list[Failure]] = {}
        self._why: dict[str, str] = {}

    def check(self, rule: str, holds: bool, expected: str, got: object) -> bool:  # noqa: FBT001 - reads as a sentence
        """Record whether a rule held; returns ``holds``."""
        assert rule in BY_ID, rule
        if holds:
            self._held[rule] = self._held.get(rule, 0) + 1
        else:
            kept = self._failures.setdefault(rule, [])
            if len(kept) < FAILURES_MAX:
                kept.append(Failure(expected, ascii(str(got)[:_GOT_CHARS_MAX])[1:-1]))
        return holds

    def not_shown(self, rule: str, why: str) -> None:
        """Set the reason printed if the rule is not shown."""
        assert rule in BY_ID, rule
        self._why[rule] = why

    def has_failed(self, rule: str) -> bool:
        """Whether a check of the rule has failed."""
        return rule in self._failures

    def verdicts(self, wanted: Collection[str]) -> list[Verdict]:
        """Verdicts of these rules, in the order of PROTOCOL.md."""
        return [self._verdict(rule) for rule in RULES if rule.id in wanted]

    def _verdict(self, rule: Rule) -> Verdict:
        if rule.id in self._failures:
            return Verdict(rule, "FAILED", tuple(self._failures[rule.id]))
        if rule.id in self._held:
            return Verdict(rule, "ok")
        return Verdict(rule, "not shown", (), self._why.get(rule.id, rule.unless))


def as_object(url: str, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """The verdicts as a JSON object."""
    return {
        "url": url,
        "conforms": not any(one.state == "FAILED" for one in verdicts),
        "counts": dict(Counter(one.state for one in verdicts)),
        "rules": [
            {
                "id": one.rule.id,
                "chapter": one.rule.chapter,
                "rule": one.rule.says,
                "numbers": list(one.rule.number),
                "state": one.state,
                "failures": [
                    {"expected": failure.expected, "got": failure.got} for failure in one.failures
                ],
                "why": one.why or None,
            }
            for one in verdicts
        ],
    }


def as_text(verdicts: Sequence[Verdict]) -> str:
    """The verdicts as a table, with reasons below rules that failed or were not shown."""
    width = max((len(one.rule.id) for one in verdicts), default=0)
    lines: list[str] = []
    chapter = ""
    for one in verdicts:
        if one.rule.chapter != chapter:
            chapter = one.rule.chapter
            lines += ["", chapter.upper()] if lines else [chapter.upper()]
        numbers = "".join(f" [{number}]" for number in one.rule.number)
        lines.append(f"{one.state:9}  {one.rule.id:{width}}  {one.rule.says}{numbers}")
        lines += [f"{'':11}expected {of.expected}; got {of.got}" for of in one.failures]
        if one.state == "not shown":
            lines.append(f"{'':11}{one.why}")
    counts = Counter(one.state for one in verdicts)
    total = f"{counts['ok']} ok, {counts['FAILED']} FAILED, {counts['not shown']} not shown"
    return "\n".join([*lines, "", total])
