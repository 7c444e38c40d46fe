"""What the faults have in common that stand around AWS calls for a time.

``throttle``: CloudWatch refuses calls beyond a rate.

``slow_response``: CloudWatch takes its time.

``server_error``: CloudWatch answers with 500 and 503.

``empty_page``: pages without events, and more to come.

``short_page``: pages with few events, and more to come.

``repeat_token``: a page whose token is the one that it was asked for with.

``expire_token``: every token is a day old at once.

``truncated_response``: answers that end in the middle.

``unreachable``: CloudWatch gives no answer at all.

``visibility_delay``: CloudWatch shows events later than it accepts them.

``retention_expire``: the log group's retention takes what is old.

``group_recreated``: the log group is deleted and made anew.
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Final

from simulator.acceptance import Regime
from simulator.cloudwatch.levers import PAGE_EVENTS_MAX, Answer, Call, Lever, Next, Order, refusal
from simulator.errors import SimulatorError
from simulator.faults.base import DAY_MS, Attribute, Cycle, LeverFault
from simulator.faults.network import FOR_MS

if TYPE_CHECKING:
    from simulator.cloudwatch.logs import Logs


__all__ = ["FOR_MS", "CallFault", "CallLever"]

_LOOKS = ("Filter", "Get", "Describe", "List")


class CallLever(Lever):
    """Stands around the calls that look something up; writing is none of its business."""

    def call(self, call: Call, then: Next) -> Answer:
        """Answer a call."""
        return self.look(call, then) if call.action.startswith(_LOOKS) else then(call)

    def look(self, call: Call, then: Next) -> Answer:
        """Answer a call that looks something up."""
        return then(call)


class CallFault(LeverFault):
    """A fault with a ``CallLever``."""

    def cycle(self) -> Cycle:
        """On for ``for_ms``, where the fault has it; else until healed."""
        return Cycle(on_ms=self.values.get("for_ms") or None)


class ThrottleLever(CallLever):
    """A bucket of tokens that holds one second's worth."""

    def __init__(self, order: Order) -> None:
        """The bucket is full at first."""
        super().__init__(order)
        self._rate = order.attributes["rate"]
        self._tokens = float(self._rate)
        self._filled_ms: int | None = None

    def look(self, call: Call, then: Next) -> Answer:
        """Answer as long as there are tokens."""
        if self._may_pass(call.now_ms) or not self.hits():
            return then(call)
        return refusal("ThrottlingException", "Rate exceeded")

    def _may_pass(self, now_ms: int) -> bool:
        with self._drawing:
            passed_ms = max(0, now_ms - (now_ms if self._filled_ms is None else self._filled_ms))
            self._filled_ms = now_ms
            self._tokens = min(self._rate, self._tokens + self._rate * passed_ms / 1_000)
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True


class Throttle(CallFault):
    """Refuses calls beyond a rate with ThrottlingException, as AWS does per account and Region.

    Attributes:
        rate: calls a second that pass.
        for_ms: how long; 0 = until healed.

    ``toxicity`` is the share of the calls beyond the rate that is refused.

    A correct system asks less often and says ``upstream: throttled``; its mark stands still,
    then catches up, and nothing is lost.

    """

    type = "throttle"
    lever = ThrottleLever
    attributes = (Attribute("rate", 0, 1_000_000, "calls a second that pass"), FOR_MS)


DELAY_MAX_MS = 60_000


class SlowResponseLever(CallLever):
    """Answers, but not at once."""

    def __init__(self, order: Order) -> None:
        """Nobody waits yet."""
        super().__init__(order)
        self._released = threading.Event()

    def look(self, call: Call, then: Next) -> Answer:
        """Answer what was true at the beginning, late."""
        answer = then(call)
        if self.hits():
            jitter_ms = self.attributes["jitter_ms"] * (2 * self.draw() - 1)
            self._released.wait(max(0.0, self.attributes["delay_ms"] + jitter_ms) / 1_000)
        return answer

    def release(self, logs: object, now_ms: int) -> None:
        """Whoever waits gets its answer."""
        del logs, now_ms
        self._released.set()


class SlowResponse(CallFault):
    """Delays answers; each tells what was true when the call came.

    Attributes:
        delay_ms: how long.
        jitter_ms: more or less by up to this.
        for_ms: how long it goes on; 0 = until healed.

    ``toxicity`` is the share of the calls that it hits.

    A correct system is later, says so, and goes on serving what it has; nothing is lost.

    """

    type = "slow_response"
    lever = SlowResponseLever
    attributes = (
        Attribute("delay_ms", 2_000, DELAY_MAX_MS, "how long an answer takes"),
        Attribute("jitter_ms", 0, DELAY_MAX_MS, "more or less by up to this"),
        FOR_MS,
    )


class ServerErrorLever(CallLever):
    """Fails calls, so many in a row each time."""

    def __init__(self, order: Order) -> None:
        """Nothing has failed yet."""
        super().__init__(order)
        self._left = 0

    def look(self, call: Call, then: Next) -> Answer:
        """Fail, or answer."""
        if not self._fails():
            return then(call)
        if self.draw() < 0.5:  # noqa: PLR2004 - either one
            return refusal("InternalFailure", "an internal error", 500)
        return refusal("ServiceUnavailableException", "the service is unavailable", 503)

    def _fails(self) -> bool:
        with self._drawing:
            if self._left:
                self._left -= 1
                return True
            if self._rng.random() >= self.toxicity:
                return False
            self._left = self.attributes["in_a_row"] - 1
            return True


class ServerError(CallFault):
    """Fails calls with status 500 or 503.

    Attributes:
        in_a_row: how many calls fail one after the other, each time.
        for_ms: how long; 0 = until healed.

    ``toxicity`` is the chance of each call to be the first of such a row.

    A correct system tries again, for as long as it takes; no mark comes from a scan that did not
    finish.

    """

    type = "server_error"
    lever = ServerErrorLever
    toxicity_default = 0.3
    attributes = (Attribute("in_a_row", 1, 1_000, "calls that fail in a row", minimum=1), FOR_MS)


IN_A_ROW_MAX: Final = 5
"""Empty pages that follow each other at most, so that a scan ends at some time."""


class EmptyPageLever(CallLever):
    """Returns nothing, with a token to go on."""

    def __init__(self, order: Order) -> None:
        """No page has been empty yet."""
        super().__init__(order)
        self._in_a_row = 0

    def look(self, call: Call, then: Next) -> Answer:
        """Answer, perhaps without events."""
        if call.is_read and self._hits_again():
            call.events_max = 0
        return then(call)

    def _hits_again(self) -> bool:
        with self._drawing:
            hits = self._rng.random() < self.toxicity and self._in_a_row < IN_A_ROW_MAX
            self._in_a_row = self._in_a_row + 1 if hits else 0
            return hits


class EmptyPage(CallFault):
    """Returns pages without events that have a token: legal, and the end of nothing.

    Attributes:
        for_ms: how long; 0 = until healed.

    ``toxicity`` is the share of the pages that it hits, at most five in a row.

    A correct system goes on: only a page without a token ends a scan.

    """

    type = "empty_page"
    lever = EmptyPageLever
    toxicity_default = 0.5
    attributes = (FOR_MS,)


class ShortPageLever(CallLever):
    """Returns few events at once."""

    def look(self, call: Call, then: Next) -> Answer:
        """Answer with a part of what there is."""
        if call.is_read and self.hits():
            call.events_max = min(call.events_max, self.attributes["events"])
        return then(call)


class ShortPage(CallFault):
    """Returns pages of few events, with a token: legal at any time.

    Attributes:
        events: how many at most.
        for_ms: how long; 0 = until healed.

    ``toxicity`` is the share of the pages that it hits.

    A correct system needs more calls, and gets the same.

    """

    type = "short_page"
    lever = ShortPageLever
    attributes = (
        Attribute("events", 10, PAGE_EVENTS_MAX, "events of a page at most", minimum=1),
        FOR_MS,
    )


class RepeatTokenLever(CallLever):
    """Gives back the token that came."""

    def look(self, call: Call, then: Next) -> Answer:
        """Answer, perhaps with a token that leads to the same page again."""
        answer = then(call)
        if call.action != "FilterLogEvents" or answer.status != 200:  # noqa: PLR2004 - OK
            return answer
        token = call.parameters.get("nextToken")
        if token is None or not self.hits():
            return answer
        page = json.loads(answer.body)
        if "nextToken" in page:
            answer.body = json.dumps({**page, "nextToken": token}).encode()
        return answer


class RepeatToken(CallFault):
    """Returns the token of a page once more, which leads to the same page again.

    Attributes:
        for_ms: how long; 0 = until healed.

    ``toxicity`` is the share of the pages, after the first of a scan, that it hits.

    A correct system goes on or begins the scan anew; it neither ends it there nor goes round for
    ever, and what comes again is recognised.

    """

    type = "repeat_token"
    lever = RepeatTokenLever
    toxicity_default = 0.3
    attributes = (FOR_MS,)


class ExpireTokenLever(Lever):
    """Refuses the tokens that are there."""

    def engage(self, logs: Logs, now_ms: int) -> None:
        """Let every token issued until now be refused."""
        if self.hits():
            logs.tokens.expire(now_ms)


class ExpireToken(LeverFault):
    """Lets every page token expire that was issued until now, again and again.

    Attributes:
        every_ms: how often; 0 = once.

    ``toxicity`` is the chance of each time to happen.

    A correct system begins the scan anew, by time and not by an old token, and misses nothing.

    """

    type = "expire_token"
    lever = ExpireTokenLever
    attributes = (Attribute("every_ms", 1_000, DAY_MS, "how often, 0 = once"),)

    def cycle(self) -> Cycle:
        """Instants."""
        return Cycle(on_ms=0, every_ms=self.values["every_ms"])


class TruncatedResponseLever(CallLever):
    """Cuts answers, in one of two ways."""

    def look(self, call: Call, then: Next) -> Answer:
        """Answer, perhaps only in part."""
        answer = then(call)
        if len(answer.body) < 2 or not self.hits():  # noqa: PLR2004 - nothing to cut
            return answer
        whole = len(answer.body)
        answer.body = answer.body[: 1 + int(self.draw() * (whole - 1))]
        if self.draw() < 0.5:  # noqa: PLR2004 - either way
            answer.content_length = whole
        return answer


class TruncatedResponse(CallFault):
    """Ends answers in the middle, status 200.

    Attributes:
        for_ms: how long; 0 = until healed.

    ``toxicity`` is the share of the calls that it hits. Of these, half say the length that they
    should have, so that the connection is seen to be cut; the others say the length that they
    have, which boto3 takes for a page without events.

    A correct system takes no such answer for a page, asks again, and marks nothing from a scan
    that had one.

    """

    type = "truncated_response"
    lever = TruncatedResponseLever
    toxicity_default = 0.2
    attributes = (FOR_MS,)


class UnreachableLever(CallLever):
    """Resets connections."""

    def look(self, call: Call, then: Next) -> Answer:
        """Leave the caller without an answer."""
        if self.hits():
            return Answer(503, b"", is_dropped=True)
        return then(call)


class Unreachable(CallFault):
    """Resets the connection of every call, the live path's too; what writes is let through.

    Attributes:
        for_ms: how long; 0 = until healed.

    ``toxicity`` is the share of the calls that it hits.

    A correct system keeps serving what it has, says ``upstream: unreachable``, marks nothing
    meanwhile, and then catches up.

    """

    type = "unreachable"
    lever = UnreachableLever
    attributes = (FOR_MS,)


TYPE = "visibility_delay"


class VisibilityLever(Lever):
    """Imposes a regime on what is stored."""

    def engage(self, logs: Logs, now_ms: int) -> None:
        """Delay what is ingested from the next millisecond on."""
        logs.impose(self.regime(now_ms))

    def release(self, logs: Logs, now_ms: int) -> None:
        """Show at once what is hidden."""
        logs.heal(self.name, now_ms)

    def regime(self, now_ms: int) -> Regime:
        """The regime of a lever that was engaged at ``now_ms``."""
        # What was ingested in this millisecond may have been seen already.
        return Regime(
            self.name,
            self.attributes["delay_ms"],
            self.attributes["jitter_ms"],
            self.toxicity,
            self.seed,
            begin_ms=now_ms + 1,
        )


class VisibilityDelay(LeverFault):
    """Events that CloudWatch accepts from now on can be read only some time later.

    Attributes:
        delay_ms: how much later.
        jitter_ms: more or less by up to this, each event by an amount of its own; so events
            become visible in another order than they were written in.

    ``toxicity`` is the share of the events that it hits. Healing shows at once what is hidden.

    A correct system finds the events in the overlap of its scans and inserts them where they
    belong, counted as late; no cursor has passed over them, and every mark told the truth.

    """

    type = TYPE
    lever = VisibilityLever
    attributes = (
        Attribute("delay_ms", 5_000, DAY_MS, "how much later events can be read"),
        Attribute("jitter_ms", 0, DAY_MS, "more or less by up to this, at most delay_ms"),
    )

    def check(self) -> None:
        """No event can be read before it was accepted.

        Raises:
            SimulatorError: with this jitter it could.

        """
        if self.values["jitter_ms"] > self.values["delay_ms"]:
            msg = f"jitter_ms must be at most delay_ms, which is {self.values['delay_ms']}"
            raise SimulatorError(msg)


class RetentionLever(Lever):
    """Sets the log groups' retention, which takes events at once."""

    def engage(self, logs: Logs, now_ms: int) -> None:
        """Keep so many days from now on."""
        # Imported in the stand-in's own process alone, where moto is.
        from simulator.cloudwatch.moto_logs import all_groups  # noqa: PLC0415

        del logs
        for group in all_groups() if self.hits() else ():
            group.set_retention_policy(self.attributes["days"])
            group.store.apply_retention(now_ms)


class RetentionExpire(LeverFault):
    """Gives the log groups a retention of some days; what is older is gone, and stays so.

    Attributes:
        days: how many; CloudWatch knows 1, 3, 5 and 7 of them, and some more.

    Healing brings nothing back, and leaves the retention as it is.

    ``toxicity`` is the chance of each time to happen.

    A correct system declares what it had not read before, with its range, as unrecoverable; what
    it had read it keeps serving as long as its own journal has it. It is never green over either
    without having it.

    """

    type = "retention_expire"
    lever = RetentionLever
    attributes = (Attribute("days", 1, 7, "days that events are kept", minimum=1),)

    def cycle(self) -> Cycle:
        """An instant."""
        return Cycle(on_ms=0)


class GroupRecreatedLever(Lever):
    """Makes every log group anew."""

    def engage(self, logs: Logs, now_ms: int) -> None:
        """Delete and make them, with their log streams and subscription filters."""
        # Imported in the stand-in's own process alone, where moto is.
        from simulator.cloudwatch.moto_logs import all_groups, recreate_group  # noqa: PLC0415

        del logs, now_ms
        for group in all_groups() if self.hits() else ():
            recreate_group(group)


class GroupRecreated(LeverFault):
    """Deletes the log groups with everything in them, and makes them anew, empty.

    Log streams and subscription filters are made anew as well, so that whoever writes goes on.
    Healing brings nothing back.

    ``toxicity`` is the chance of each time to happen.

    A correct system goes on with what is written now; what it had read before it keeps, and what
    it had not is gone without a trace that anybody could find.

    """

    type = "group_recreated"
    lever = GroupRecreatedLever

    def cycle(self) -> Cycle:
        """An instant."""
        return Cycle(on_ms=0)
