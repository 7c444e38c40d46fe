"""Faults between the forwarder and CloudWatch.

The levers run inside the CloudWatch stand-in (``simulator.moto_process``).
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final
from zlib import crc32

from simulator.acceptance import Regime
from simulator.cloudwatch.altered_texts import KNOWN_MS, Alteration, masked
from simulator.cloudwatch.levers import (
    PAGE_EVENTS_MAX,
    Answer,
    Call,
    Lever,
    LeverOrder,
    Next,
    StoredEvent,
    refusal,
)
from simulator.faults.base import (
    DAY_MS,
    FOR_MS,
    Attribute,
    EngageLever,
    Fault,
    FaultType,
    Note,
    Values,
    instant,
)
from simulator.oracle.ledger import Ledger

if TYPE_CHECKING:
    from simulator.cloudwatch.logs import Logs

DELAY_MS_MAX: Final = 60_000
EMPTY_PAGES_MAX: Final = 5
"""Empty pages in a row at most, so that a scan ends at some time."""

_READS: Final = ("Filter", "Get", "Describe", "List")
"""What the names of calls begin with that look something up."""

_READER: Final = "arn:aws:iam::123456789012:user/reader"
_REFUSED_TOKENS: Final = 0.3
"""The part of the toxicity by which page tokens are refused: else no long scan would end."""

_OK: Final = 200
_CLOCK_OFF_MS: Final = 600_000
_HALF: Final = 0.5


def _signature_time(ms: int) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(ms / 1_000))


def share_of_name(name: str) -> float:
    """Hash a name to a number in [0, 1), always the same."""
    return crc32(name.encode("utf-8", "surrogatepass")) / (1 << 32)


class CallLever(Lever):
    """Changes the answers to calls that look something up; calls that write pass unchanged."""

    counts = "calls"

    def call(self, call: Call, then: Next) -> Answer:
        """Answer an AWS call, if it looks something up by ``answer``."""
        return self.answer(call, then) if call.action.startswith(_READS) else then(call)

    def answer(self, call: Call, then: Next) -> Answer:
        """Answer a call that looks something up."""
        return then(call)


class ThrottleLever(CallLever):
    """A token bucket that holds the calls of one second, full at first."""

    def __init__(self, order: LeverOrder) -> None:
        super().__init__(order)
        self._rate = order.attributes["rate"]
        self._tokens = float(self._rate)
        self._filled_ms: int | None = None

    def answer(self, call: Call, then: Next) -> Answer:
        """Answer while there are tokens, else refuse."""
        if self._take_token(call.now_ms) or not self.draw_hit():
            return then(call)
        return refusal("ThrottlingException", "Rate exceeded")

    def _take_token(self, now_ms: int) -> bool:
        """Take a token; False if none is left."""
        with self._drawing:
            passed_ms = max(0, now_ms - (now_ms if self._filled_ms is None else self._filled_ms))
            self._filled_ms = now_ms
            self._tokens = min(self._rate, self._tokens + self._rate * passed_ms / 1_000)
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True


class SlowResponseLever(CallLever):
    """Returns answers late."""

    def __init__(self, order: LeverOrder) -> None:
        super().__init__(order)
        self._released = threading.Event()

    def answer(self, call: Call, then: Next) -> Answer:
        """Look up the answer at once, and return it late."""
        answer = then(call)
        if self.draw_hit():
            jitter_ms = self.attributes["jitter_ms"] * (2 * self.draw() - 1)
            held_ms = max(0.0, self.attributes["delay_ms"] + jitter_ms)
            self._released.wait(held_ms / 1_000)
            answer.held_ms += held_ms
        return answer

    def release(self, logs: Logs, now_ms: int) -> None:
        """Return the answers that wait."""
        del logs, now_ms
        self._released.set()


class ServerErrorLever(CallLever):
    """Fails several calls in a row, each time that it hits."""

    def __init__(self, order: LeverOrder) -> None:
        super().__init__(order)
        self._left = 0

    def answer(self, call: Call, then: Next) -> Answer:
        """Answer with one of two server errors, or as CloudWatch does."""
        if not self._draw_failure():
            return then(call)
        if self.draw() < _HALF:
            return refusal("InternalFailure", "an internal error", 500)
        return refusal("ServiceUnavailableException", "the service is unavailable", 503)

    def _draw_failure(self) -> bool:
        """Draw whether this call fails: the next of a row, or the first of a new one."""
        with self._drawing:
            if self._left:
                self._left -= 1
                return True
            if self._rng.random() >= self.toxicity:
                return False
            self._left = self.attributes["in_a_row"] - 1
            return True


class EmptyPageLever(CallLever):
    """Returns pages without events, with a token for the next page."""

    def __init__(self, order: LeverOrder) -> None:
        super().__init__(order)
        self._in_a_row = 0

    def answer(self, call: Call, then: Next) -> Answer:
        """Answer, without events if the draw hits."""
        if call.is_read and self._draw_empty():
            call.events_max = 0
        return then(call)

    def _draw_empty(self) -> bool:
        """Draw whether this page is empty."""
        with self._drawing:
            hits = self._rng.random() < self.toxicity and self._in_a_row < EMPTY_PAGES_MAX
            self._in_a_row = self._in_a_row + 1 if hits else 0
            return hits


class ShortPageLever(CallLever):
    """Returns pages with few events."""

    def answer(self, call: Call, then: Next) -> Answer:
        """Answer, with few events if the draw hits."""
        if call.is_read and self.draw_hit():
            call.events_max = min(call.events_max, self.attributes["events"])
        return then(call)


class RepeatTokenLever(CallLever):
    """Returns the token that the request came with."""

    def answer(self, call: Call, then: Next) -> Answer:
        """Answer, with the request's own token if the draw hits."""
        answer = then(call)
        if call.action != "FilterLogEvents" or answer.status != _OK:
            return answer
        token = call.parameters.get("nextToken")
        if token is None or not self.draw_hit():
            return answer
        page = json.loads(answer.body)
        if "nextToken" in page:
            answer.body = json.dumps({**page, "nextToken": token}).encode()
        return answer


class ExpireTokenLever(Lever):
    """Expires the tokens that were issued until it is engaged."""

    def engage(self, logs: Logs, now_ms: int) -> None:
        """Expire every page token issued until now, if the draw hits."""
        if self.draw_hit():
            logs.tokens.expire(now_ms)
            self.affect()


class TruncatedResponseLever(CallLever):
    """Cuts answers short, half of them with the Content-Length of the whole."""

    def answer(self, call: Call, then: Next) -> Answer:
        """Answer, only in part if the draw hits."""
        answer = then(call)
        whole = len(answer.body)
        if whole <= 1 or not self.draw_hit():
            return answer
        answer.body = answer.body[: 1 + int(self.draw() * (whole - 1))]
        if self.draw() < _HALF:
            answer.content_length = whole
        return answer


class FlapLever(Lever):
    """Hides a share of the events, drawn afresh in each period."""

    counts = "events"

    def hides(self, event: StoredEvent, now_ms: int) -> bool:
        """Whether the event is hidden; every read within one period says the same."""
        period = now_ms // self.attributes["period_ms"]
        return share_of_name(f"{self.seed} {event.id} {period}") < self.toxicity


class UnreachableLever(CallLever):
    """Resets connections."""

    def answer(self, call: Call, then: Next) -> Answer:
        """Drop the connection if the draw hits, else answer."""
        return Answer(503, b"", is_dropped=True) if self.draw_hit() else then(call)


class CredentialsLever(CallLever):
    """Refuses calls as AWS does once the session of a role or an SSO login is over."""

    def answer(self, call: Call, then: Next) -> Answer:
        """Refuse if the draw hits, else answer."""
        if not self.draw_hit():
            return then(call)
        return refusal(
            "ExpiredTokenException", "The security token included in the request is expired"
        )


class AccessLever(CallLever):
    """Refuses FilterLogEvents, as a policy does that no longer allows it."""

    def answer(self, call: Call, then: Next) -> Answer:
        """Refuse FilterLogEvents if the draw hits, else answer."""
        if call.action != "FilterLogEvents" or not self.draw_hit():
            return then(call)
        return refusal(
            "AccessDeniedException",
            f"User: {_READER} is not authorized to perform: logs:FilterLogEvents because no "
            "identity-based policy allows the logs:FilterLogEvents action",
        )


class ClockRefusalLever(CallLever):
    """Refuses calls as AWS does where the caller's clock is more than five minutes off."""

    def answer(self, call: Call, then: Next) -> Answer:
        """Refuse if the draw hits, else answer."""
        if not self.draw_hit():
            return then(call)
        signed, now = (_signature_time(call.now_ms + ms) for ms in (-_CLOCK_OFF_MS, 0))
        return refusal(
            "InvalidSignatureException", f"Signature expired: {signed} is now earlier than {now}"
        )


class GroupMissingLever(CallLever):
    """Answers as if the log groups had been deleted; they are still there."""

    def answer(self, call: Call, then: Next) -> Answer:
        """Find no log group if the draw hits, else answer."""
        if call.service != "logs" or not self.draw_hit():
            return then(call)
        if call.action == "DescribeLogGroups":
            return Answer(_OK, json.dumps({"logGroups": []}).encode())
        return refusal("ResourceNotFoundException", "The specified log group does not exist.")


class AlterLever(Lever):
    """Returns masked texts of a share of the events that were there before it was engaged."""

    counts = "calls"
    _alteration: Alteration

    def engage(self, logs: Logs, now_ms: int) -> None:
        """Choose the events."""
        del logs
        self._alteration = Alteration(self.name, self.toxicity, self.seed, now_ms)

    def returned(self, events: list[StoredEvent]) -> list[StoredEvent]:
        """The events, some with their other text."""
        mine = self._alteration
        return [
            one._replace(message=masked(one.message))
            if one.ingested_ms <= mine.ingested_until_ms
            and mine.hits(one.stream, one.timestamp, one.message)
            else one
            for one in events
        ]


class ContradictionLever(Lever):
    """Returns pages that contradict each other, and refuses valid page tokens.

    A wrong event comes beside the true one, so that a reader that does not know the event yet can
    still see that something is wrong. With ``alone`` it comes instead, if the event is older.
    """

    counts = "calls"
    _known_ms = 0

    def engage(self, logs: Logs, now_ms: int) -> None:
        """Choose the events that may come wrongly alone."""
        del logs
        self._known_ms = now_ms - KNOWN_MS

    def call(self, call: Call, then: Next) -> Answer:
        """Refuse a page token if the draw hits, else answer."""
        goes_on = call.is_read and call.parameters.get("nextToken") is not None
        if goes_on and self.draw() < self.toxicity * _REFUSED_TOKENS:
            return refusal("InvalidParameterException", "The specified nextToken is invalid.")
        return then(call)

    def returned(self, events: list[StoredEvent]) -> list[StoredEvent]:
        """The page, in the opposite order or with a wrong event, if the draw hits."""
        if not events or not self.draw_hit():
            return events
        kind = int(self.draw() * 3)
        if kind == 0:
            return events[::-1]
        at = int(self.draw() * len(events))
        true = events[at]
        wrong = (
            true._replace(timestamp=true.timestamp + 1 + int(self.draw() * 1_000))
            if kind == 1
            else true._replace(stream=f"{true.stream}/other")
        )
        is_alone = self.attributes["alone"] and true.ingested_ms <= self._known_ms
        return [*events[:at], *(() if is_alone else (true,)), wrong, *events[at + 1 :]]


class VisibilityLever(Lever):
    """Delays the visibility of events that are ingested while it is engaged."""

    counts = "events"

    def engage(self, logs: Logs, now_ms: int) -> None:
        """Delay events that are ingested from the next millisecond on."""
        regime = _regime(self.name, self.attributes, self.toxicity, self.seed, now_ms)
        logs.impose(regime, self.affect)

    def release(self, logs: Logs, now_ms: int) -> None:
        """Show hidden events at once."""
        logs.heal(self.name, now_ms)


def _regime(name: str, attributes: Values, toxicity: float, seed: int, now_ms: int) -> Regime:
    """The visibility delay of a lever that was engaged at ``now_ms``."""
    delay_ms, jitter_ms = attributes["delay_ms"], attributes["jitter_ms"]
    # Events ingested in this very millisecond may have been read already.
    return Regime(name, delay_ms, jitter_ms, toxicity, seed, begin_ms=now_ms + 1)


class RetentionLever(Lever):
    """Sets the retention of all log groups, which removes older events at once."""

    counts = "log groups"

    def engage(self, logs: Logs, now_ms: int) -> None:
        """Keep events for ``days`` from now on."""
        # Imported in the stand-in's own process alone, where moto is.
        from simulator.cloudwatch.moto_logs import all_groups  # noqa: PLC0415

        del logs
        for group in all_groups() if self.draw_hit() else ():
            group.set_retention_policy(self.attributes["days"])
            group.store.apply_retention(now_ms)
            self.affect()


class GroupRecreatedLever(Lever):
    """Recreates every log group."""

    counts = "log groups"

    def engage(self, logs: Logs, now_ms: int) -> None:
        """Delete the log groups and create them again, with streams and subscription filters."""
        # Imported in the stand-in's own process alone, where moto is.
        from simulator.cloudwatch.moto_logs import all_groups, recreate_group  # noqa: PLC0415

        del logs, now_ms
        for group in all_groups() if self.draw_hit() else ():
            recreate_group(group)
            self.affect()


def _note_delay(ledger: Ledger, order: LeverOrder, engaged_ms: int, _: int) -> None:
    delay = (order.name, order.attributes, order.toxicity, order.seed, engaged_ms)
    ledger.visibility.impose(_regime(*delay))


def _note_alteration(ledger: Ledger, order: LeverOrder, engaged_ms: int, _: int) -> None:
    ledger.note_alteration(Alteration(order.name, order.toxicity, order.seed, engaged_ms))


def _engage_and(note: Note) -> Callable[[Fault, int], EngageLever]:
    """The harm that engages the row's lever, with a different seed for each turn."""

    def harm(fault: Fault, turn: int) -> EngageLever:
        seed = fault.seed + turn
        order = LeverOrder(fault.name, fault.kind.type, dict(fault.values), fault.toxicity, seed)
        return EngageLever(order, note)

    return harm


engage: Final = _engage_and(lambda *_: None)
"""Engages the row's lever, which changes nothing about the events that a viewer can show."""


def _delay_contradiction(values: Values) -> str | None:
    if values["jitter_ms"] <= values["delay_ms"]:
        return None
    return f"jitter_ms must be at most delay_ms, which is {values['delay_ms']}"


CLOUDWATCH: Final = (
    FaultType(
        "throttle",
        "Refuses calls beyond a rate with ThrottlingException: the quota of an account and Region.",
        engage,
        (Attribute("rate", 0, 1_000_000, "calls a second that pass"), FOR_MS),
        lever=ThrottleLever,
    ),
    FaultType(
        "server_error",
        "Fails calls with status 500 or 503.",
        engage,
        (Attribute("in_a_row", 1, 1_000, "calls that fail in a row", minimum=1), FOR_MS),
        toxicity=0.3,
        lever=ServerErrorLever,
    ),
    FaultType(
        "slow_response",
        "Delays answers; each holds what was true when the call arrived.",
        engage,
        (
            Attribute("delay_ms", 2_000, DELAY_MS_MAX, "how long an answer takes"),
            Attribute("jitter_ms", 0, DELAY_MS_MAX, "more or less by up to this"),
            FOR_MS,
        ),
        lever=SlowResponseLever,
    ),
    FaultType(
        "truncated_response",
        "Ends answers in the middle, status 200.",
        engage,
        (FOR_MS,),
        toxicity=0.2,
        lever=TruncatedResponseLever,
    ),
    FaultType(
        "empty_page",
        "Returns pages without events that have a token: legal, and not the end of the scan.",
        engage,
        (FOR_MS,),
        toxicity=0.5,
        lever=EmptyPageLever,
    ),
    FaultType(
        "short_page",
        "Returns pages of few events, with a token: legal at any time.",
        engage,
        (Attribute("events", 10, PAGE_EVENTS_MAX, "most events of a page", minimum=1), FOR_MS),
        lever=ShortPageLever,
    ),
    FaultType(
        "repeat_token",
        "Returns the token of a page once more, which leads to the same page again.",
        engage,
        (FOR_MS,),
        toxicity=0.3,
        lever=RepeatTokenLever,
    ),
    FaultType(
        "expire_token",
        "Expires every page token that was issued until now, again and again.",
        engage,
        (Attribute("every_ms", 1_000, DAY_MS, "how often, 0 = once"),),
        instant,
        lever=ExpireTokenLever,
    ),
    FaultType(
        "flap",
        "Hides a share of the events for a while, then others; all have been visible before.",
        _engage_and(lambda ledger, order, ms, _: ledger.note_flapping(order.name, ms)),
        (
            Attribute(
                "period_ms", 3_000, DAY_MS, "how long the same events stay hidden", minimum=1
            ),
            FOR_MS,
        ),
        toxicity=0.1,
        lever=FlapLever,
    ),
    FaultType(
        "unreachable",
        "Resets the connection of every call, the live path's too; calls that write pass.",
        engage,
        (FOR_MS,),
        lever=UnreachableLever,
    ),
    FaultType(
        "credentials_expired",
        "Refuses calls with ExpiredTokenException, the live path's too; calls that write pass.",
        engage,
        (FOR_MS,),
        lever=CredentialsLever,
    ),
    FaultType(
        "access_denied",
        "Refuses FilterLogEvents with AccessDeniedException; everything else is allowed.",
        engage,
        (FOR_MS,),
        lever=AccessLever,
    ),
    FaultType(
        "clock_wrong",
        "Refuses calls as signed at a wrong time, the live path's too; calls that write pass.",
        engage,
        (FOR_MS,),
        lever=ClockRefusalLever,
    ),
    FaultType(
        "group_missing",
        "Answers as if the log groups were deleted; healing brings them back. Writes pass.",
        engage,
        (FOR_MS,),
        lever=GroupMissingLever,
    ),
    FaultType(
        "altered_text",
        "Masks texts of events that are 10 s old, under their ids; healing unmasks them.",
        _engage_and(_note_alteration),
        (FOR_MS,),
        toxicity=0.3,
        lever=AlterLever,
    ),
    FaultType(
        "inconsistent_answers",
        "Returns an id with two timestamps or streams, pages out of order; refuses valid tokens.",
        engage,
        (
            Attribute("alone", 0, 1, "1 = a wrong event replaces the true one if 10 s old"),
            FOR_MS,
        ),
        toxicity=0.3,
        lever=ContradictionLever,
    ),
    FaultType(
        "visibility_delay",
        "Events that CloudWatch accepts from now on can be read only some time later.",
        _engage_and(_note_delay),
        (
            Attribute("delay_ms", 5_000, DAY_MS, "how much later events can be read"),
            Attribute("jitter_ms", 0, DAY_MS, "more or less by up to this, at most delay_ms"),
        ),
        contradiction=_delay_contradiction,
        lever=VisibilityLever,
    ),
    FaultType(
        "retention_expire",
        "Sets the log groups' retention to some days; CloudWatch deletes older events for good.",
        _engage_and(
            lambda ledger, order, _, answered_ms: ledger.note_retention(
                answered_ms, order.attributes["days"] * DAY_MS
            )
        ),
        (Attribute("days", 1, 7, "days that events are kept", minimum=1),),
        instant,
        lever=RetentionLever,
    ),
    FaultType(
        "group_recreated",
        "Deletes the log groups with everything in them, and creates them again, empty.",
        # An event that was sent before the answer came may have been in the old log group.
        _engage_and(lambda ledger, _order, _ms, answered_ms: ledger.note_recreation(answered_ms)),
        cycle=instant,
        lever=GroupRecreatedLever,
    ),
)
"""Every fault of CloudWatch's API."""
