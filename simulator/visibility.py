"""Pure: when an event that CloudWatch Logs accepted becomes visible to whoever reads.

Real CloudWatch Logs shows events seconds to minutes after it took them. A *regime* holds for the
events ingested between two moments; an event keeps the delay of its regime when the regime is
replaced, so that what was visible once never disappears again (that would be another fault).
Healing shows at once what a regime still hides. How long an event is hidden depends on the seed
and on what the event says, not on when it is asked for.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

import msgspec

from simulator.errors import SimulatorError

NEVER: Final = 1 << 53
"""Later than every moment, in ms."""

REGIMES_MAX: Final = 1_000
"""Regimes that are remembered; a person or a scenario makes a few dozen."""

_HALF: Final = 8
_UNIT: Final = 1 << 64


class Regime(msgspec.Struct, frozen=True):
    """A delay for the events ingested from ``begin_ms`` until before ``end_ms``.

    Times in ms since the Unix epoch. ``toxicity`` is the share of the events that is delayed, by
    ``delay_ms`` more or less ``jitter_ms``. From ``healed_ms`` on nothing of it is hidden.
    """

    name: str
    delay_ms: int
    jitter_ms: int
    toxicity: float
    seed: int
    begin_ms: int
    end_ms: int = NEVER
    healed_ms: int = NEVER

    def visible_ms(self, stream: str, timestamp: int, message: str, ingested_ms: int) -> int:
        """When an event ingested at ``ingested_ms`` may be seen, as far as this regime goes."""
        if not self.begin_ms <= ingested_ms < self.end_ms:
            return ingested_ms
        text = f"{self.seed}\n{stream}\n{timestamp}\n{message}".encode("utf-8", "surrogatepass")
        drawn = blake2b(text, digest_size=2 * _HALF).digest()
        if int.from_bytes(drawn[:_HALF], "big") >= self.toxicity * _UNIT:
            return ingested_ms
        share = int.from_bytes(drawn[_HALF:], "big") / _UNIT
        delay_ms = self.delay_ms + round((2 * share - 1) * self.jitter_ms)
        return max(ingested_ms, min(ingested_ms + delay_ms, self.healed_ms))

    def hides_until_ms(self) -> int:
        """From when on it hides nothing any more."""
        if self.end_ms == NEVER:
            return self.healed_ms
        return min(self.healed_ms, self.end_ms + self.delay_ms + self.jitter_ms)


class Visibility:
    """The regimes of one log group's life; one thread at a time may change them."""

    def __init__(self) -> None:
        """Everything is visible at once."""
        self._regimes: tuple[Regime, ...] = ()

    @property
    def regimes(self) -> tuple[Regime, ...]:
        """Every regime, in the order in which they began."""
        return self._regimes

    def impose(self, regime: Regime) -> None:
        """Let a regime hold from its ``begin_ms`` on, in place of the one of the same name.

        Raises:
            SimulatorError: there have been too many.

        """
        if len(self._regimes) >= REGIMES_MAX:
            msg = f"visibility was changed {REGIMES_MAX} times, the most that is remembered"
            raise SimulatorError(msg)
        kept = (
            msgspec.structs.replace(one, end_ms=regime.begin_ms)
            if one.name == regime.name and one.end_ms == NEVER
            else one
            for one in self._regimes
        )
        self._regimes = (*kept, regime)

    def heal(self, name: str, now_ms: int) -> None:
        """Show everything that the regimes of that name hide, from ``now_ms`` on."""
        self._regimes = tuple(
            msgspec.structs.replace(
                one, end_ms=min(one.end_ms, now_ms + 1), healed_ms=min(one.healed_ms, now_ms)
            )
            if one.name == name
            else one
            for one in self._regimes
        )

    def may_hide(self, now_ms: int) -> bool:
        """Whether anything can be hidden at ``now_ms``; most of the time nothing is."""
        return any(one.hides_until_ms() > now_ms for one in self._regimes)

    def visible_ms(self, stream: str, timestamp: int, message: str, ingested_ms: int) -> int:
        """When the event may be seen: the latest moment that any regime gives."""
        return max(
            (one.visible_ms(stream, timestamp, message, ingested_ms) for one in self._regimes),
            default=ingested_ms,
        )
