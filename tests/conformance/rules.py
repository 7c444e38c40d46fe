"""Every rule of the page that the suite knows, and what came of each. Pure.

What came of the rules, as a table and as JSON. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any, Final, Literal

import msgspec

State = Literal["ok", "FAILED", "not shown"]

FAILURES_MAX: Final = 3
"""Failures of one rule that are kept; one is enough to fail it."""

_GOT_CHARS_MAX: Final = 300


class Rule(msgspec.Struct, frozen=True):
    """One demand of the page."""

    id: str
    chapter: str
    says: str
    number: tuple[int, ...] = ()
    """The page's rules in brackets."""
    unless: str = "nothing gave occasion for it"
    """Why it may not show."""


class Failure(msgspec.Struct, frozen=True):
    """How a rule was broken."""

    expected: str
    got: str


class Verdict(msgspec.Struct, frozen=True):
    """What came of one rule."""

    rule: Rule
    state: State
    failures: tuple[Failure, ...] = ()
    why: str = ""
    """Why it is not shown."""


_POSITIONS: Final = "three positions"
_CONNECTING: Final = "connecting"
_SERVER: Final = "server to client"
_CLIENT: Final = "client to server"
_HTTP: Final = "http"
_JOURNAL: Final = "journal and closing"

_FEW = "there are too few events for it"
_RESTART = "needs a forwarder that is started anew meanwhile"

RULES: Final[tuple[Rule, ...]] = (
    Rule("n-dense", _POSITIONS, "n is dense from 1 over all messages of a connection", (2,)),
    Rule("seq-cover", _POSITIONS, "events cover (after, seq], after being the seq last received"),
    Rule("once", _POSITIONS, "no event comes twice on a connection, repairs aside"),
    Rule(
        "late", _POSITIONS, "late news has a new seq and an old K", (),
        "no event came late meanwhile",
    ),
    Rule("epoch-new", _POSITIONS, "the epoch is new at every start", (4,), _RESTART),
    Rule(
        "made-anew", _POSITIONS, "a known id elsewhere begins a new epoch", (17,),
        "needs a log group that is made anew meanwhile",
    ),
    Rule("welcome", _CONNECTING, "the first message is welcome, once, of protocol 1"),
    Rule("fresh", _CONNECTING, "without a cursor the outcome is fresh, since is as asked for"),
    Rule("since-default", _CONNECTING, "without since and cursor: the last 10 min"),
    Rule(
        "since-execution", _CONNECTING, "with an execution and no since: everything it has", (),
        "no execution has events",
    ),
    Rule("since", _CONNECTING, "no past from before since is sent"),
    Rule("resumed", _CONNECTING, "a cursor is resumed exactly: what follows comes, once", (), _FEW),
    Rule("no-held", _CONNECTING, "with a cursor and no held, no past is sent", (), _FEW),
    Rule("held", _CONNECTING, "of the past, just what is outside held is sent", (1, 3), _FEW),
    Rule("rebased", _CONNECTING, "a cursor of another journal is rebased: all is sent again", (6,)),
    Rule(
        "history", _CONNECTING, "history says which end of the past comes first", (),
        "the past fits into one slice",
    ),
    Rule("base", _CONNECTING, "counts and digests leave out seq <= base", (16,), _FEW),
    Rule("filters", _CONNECTING, "stream, execution and prefix filter, united", (), _FEW),
    Rule(
        "cursor-filter", _CONNECTING, "a cursor belongs to a group, a filter and a since", (7,),
        "it is the client's to keep",
    ),
    Rule("malformed", _CONNECTING, "a malformed parameter: 400, and the body names it"),
    Rule("unknown-group", _CONNECTING, "an unknown group: 404, and the body names it"),
    Rule("token", _CONNECTING, "without the token: 401", (), "it asks for no token"),
    Rule(
        "token-group", _CONNECTING, "a token that does not cover the group: 403", (),
        "needs a second token",
    ),
    Rule("shape", _SERVER, "each frame is UTF-8 JSON text of a message, with its fields"),
    Rule("frame-size", _SERVER, "a frame has at most 500 events and 1 MiB, one event aside"),
    Rule("past-neutral", _SERVER, "the journal's past comes with after = seq = the cursor"),
    Rule("backfill", _SERVER, "held grows, and all of it was sent"),
    Rule("done", _SERVER, "done: held reaches down to since, is open above, and no past follows"),
    Rule(
        "past-share", _SERVER, "the past gets at least every fourth frame", (15,),
        "needs more events, or one of both had nothing to send",
    ),
    Rule("heartbeat", _SERVER, "a heartbeat at least every heartbeat_ms, also when idle"),
    Rule("sent-seq", _SERVER, "sent_seq of a heartbeat is the cursor, head_seq not below it"),
    Rule("skipped", _SERVER, "what the filter skips is announced by an empty frame", (12,), _FEW),
    Rule("mark-range", _SERVER, "a mark is not from before since, nor outside held until done"),
    Rule("mark-seq", _SERVER, "a mark is of its point of the stream: its seq is the cursor", (10,)),
    Rule("mark-true", _SERVER, "count and digest of a mark are those of what was sent", (10,)),
    Rule("green", _SERVER, "marks cover [since, T] without a hole"),
    Rule(
        "scan-true", _SERVER, "no mark from a scan that failed to return what is known", (8,),
        "needs to see CloudWatch as well: gapless verify does",
    ),
    Rule("gap-again", _SERVER, "after welcome each open gap is told again", (9,), "no such gap"),
    Rule("lost", _SERVER, "lost is told as ranges of time, at each welcome", (), "nothing is lost"),
    Rule("end", _SERVER, "end comes after done, its count and digest true", (), "none is over"),
    Rule(
        "end-again", _SERVER, "end comes on every connection that names the execution", (11,),
        "no execution has ended",
    ),
    Rule("verify", _CLIENT, "verify is answered by digest, in stream position, clipped to since"),
    Rule("repair", _CLIENT, "repair sends a range again, neutral, then its digest", (13,), _FEW),
    Rule("credit", _CLIENT, "no more events than were granted; all that were", (15,), _FEW),
    Rule("credit-cumulative", _CLIENT, "credit is cumulative: a lower one is nothing", (15,), _FEW),
    Rule("credit-free", _CLIENT, "without credit heartbeats go on", (15,)),
    Rule("bad-message", _CLIENT, "anything else: close 4501"),
    Rule("bad-alone", _CLIENT, "a bad message disturbs nobody else"),
    Rule("logs-order", _HTTP, "/v1/logs is in K order", (), _FEW),
    Rule("logs-whole", _HTTP, "/v1/logs has what the WebSocket sent, each event once"),
    Rule("logs-page", _HTTP, "a page keeps to limit, 10,000 items and 4 MiB; next ends as null"),
    Rule("logs-seq", _HTTP, "after a cursor /v1/logs is in seq order, up to until_seq", (), _FEW),
    Rule("logs-conflict", _HTTP, "a cursor that is not resumable: 409 with the present epoch"),
    Rule("logs-refusals", _HTTP, "malformed: 400; unknown group: 404; the body says why"),
    Rule("request-line", _HTTP, "a request line of more than 8 KiB: 414"),
    Rule("digest", _HTTP, "/v1/digest is the digest, also for an earlier seq", (14,)),
    Rule("digest-conflict", _HTTP, "/v1/digest of another epoch: 409", (14,)),
    Rule("executions", _HTTP, "/v1/executions: status, first, last and count of each"),
    Rule("groups", _HTTP, "/v1/groups: the groups served"),
    Rule("viewers", _HTTP, "/v1/viewers: the connection records"),
    Rule("health", _HTTP, "/healthz says alive, /readyz ready or 503 with why"),
    Rule("metrics", _HTTP, "/metrics is Prometheus text"),
    Rule("http-token", _HTTP, "over HTTP, too: 401 without the token", (), "it asks for no token"),
    Rule(
        "retention", _JOURNAL, "retention takes bodies only; beyond the size a new chain", (5,),
        "needs a journal that is full",
    ),
    Rule("bye", _JOURNAL, "after bye comes the close frame, nothing else", (), "nobody said bye"),
)  # fmt: skip

BY_ID: Final[dict[str, Rule]] = {rule.id: rule for rule in RULES}


def selected(names: Sequence[str]) -> frozenset[str]:
    """The rules that are meant: by id, or by the page's number, with brackets or without.

    Raises:
        KeyError: no rule has that name.

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
    """What was seen of each rule."""

    def __init__(self) -> None:
        """Nothing was."""
        self._held: dict[str, int] = {}
        self._failures: dict[str, list[Failure]] = {}
        self._why: dict[str, str] = {}

    def check(self, rule: str, holds: bool, expected: str, got: object) -> bool:  # noqa: FBT001 - reads as a sentence
        """A rule had occasion to show: whether it held."""
        assert rule in BY_ID, rule
        if holds:
            self._held[rule] = self._held.get(rule, 0) + 1
        else:
            kept = self._failures.setdefault(rule, [])
            if len(kept) < FAILURES_MAX:
                kept.append(Failure(expected, ascii(str(got)[:_GOT_CHARS_MAX])[1:-1]))
        return holds

    def not_shown(self, rule: str, why: str) -> None:
        """A rule had no occasion to show, for a reason of its own."""
        assert rule in BY_ID, rule
        self._why[rule] = why

    def has_failed(self, rule: str) -> bool:
        """Whether a rule was broken."""
        return rule in self._failures

    def verdicts(self, wanted: Collection[str]) -> list[Verdict]:
        """What came of each of these rules, in the page's order."""
        return [self._verdict(rule) for rule in RULES if rule.id in wanted]

    def _verdict(self, rule: Rule) -> Verdict:
        if rule.id in self._failures:
            return Verdict(rule, "FAILED", tuple(self._failures[rule.id]))
        if rule.id in self._held:
            return Verdict(rule, "ok")
        return Verdict(rule, "not shown", (), self._why.get(rule.id, rule.unless))


def as_object(url: str, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """For other programs."""
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
    """For a person: rule by rule, and below a rule why it failed or did not show."""
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
