"""The scenario ``chaos``: faults of every kind, drawn at random from a seed. Pure.

Every fifth seed has three forwarders that share a journal in PostgreSQL, and draws faults of such a
cluster beside the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Final

from simulator.faults.board import SINGLE, FaultRequest
from simulator.scenarios.base import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    Inject,
    Scenario,
    Setup,
    Step,
    heal,
    say,
)

CLUSTER_EVERY: Final = 5
"""Seeds that this divides have a cluster."""

FORWARDERS: Final = 3
"""In a cluster: with one killed and one stopped, another is left to take over."""

CLUSTER_FAULTS_EACH: Final = (2, 3)
"""Fewest and most faults of the cluster that such a seed draws, beside the others."""

FAULTS_EACH: Final = (8, 14)
"""Fewest and most faults that a seed draws; each at most once."""

BEGIN_MS: Final = 50_000
"""Faults begin before this."""

LASTS_MS: Final = (2_000, 12_000)
"""Shortest and longest duration of a fault that a step heals."""

HEAL_MS: Final = 62_000
END_MS: Final = 64_000

Range = tuple[int, int]

DOSES: Final[dict[str, Mapping[str, Range]]] = {
    # network
    "disconnect": {"down_ms": (200, 10_000)},
    "latency": {"latency_ms": (20, 2_000), "jitter_ms": (0, 2_000)},
    "bandwidth": {"rate_kbps": (200, 5_000)},
    "reset_peer": {"after_bytes": (10_000, 300_000)},
    "limit_data": {"after_bytes": (10_000, 300_000)},
    "blackhole": {"for_ms": (1_000, 12_000)},
    # A viewer reconnects after this code; after some others it rightly does not.
    "close": {"code": (4001, 4001)},
    "drop_frame": {},
    "duplicate_frame": {},
    "reorder_frame": {},
    "mute_heartbeat": {"for_ms": (1_000, 12_000)},
    "stall_reader": {"for_ms": (1_000, 12_000)},
    "block_upgrade": {"for_ms": (2_000, 12_000)},
    "storm": {"clients": (5, 25)},
    # CloudWatch
    "visibility_delay": {"delay_ms": (1_000, 15_000), "jitter_ms": (0, 1_000)},
    "throttle": {"rate": (0, 3), "for_ms": (2_000, 10_000)},
    "server_error": {"in_a_row": (1, 4), "for_ms": (2_000, 12_000)},
    "slow_response": {"delay_ms": (200, 4_000), "for_ms": (2_000, 12_000)},
    "truncated_response": {"for_ms": (2_000, 12_000)},
    "empty_page": {"for_ms": (2_000, 12_000)},
    "short_page": {"events": (3, 500), "for_ms": (2_000, 12_000)},
    "repeat_token": {"for_ms": (2_000, 12_000)},
    "expire_token": {"every_ms": (500, 4_000)},
    "flap": {"period_ms": (1_000, 4_000), "for_ms": (2_000, 12_000)},
    "unreachable": {"for_ms": (1_000, 10_000)},
    "credentials_expired": {"for_ms": (1_000, 10_000)},
    "access_denied": {"for_ms": (1_000, 10_000)},
    "clock_wrong": {"for_ms": (1_000, 10_000)},
    "group_missing": {"for_ms": (1_000, 10_000)},
    "altered_text": {"for_ms": (4_000, 20_000)},
    # A wrong event alone would be the first that a forwarder reads whose journal was lost.
    "inconsistent_answers": {"alone": (0, 0), "for_ms": (2_000, 12_000)},
    "retention_expire": {},
    "group_recreated": {},
    # live path
    "subscription_delay": {"delay_ms": (500, 10_000), "for_ms": (2_000, 12_000)},
    "subscription_duplicate": {"after_ms": (0, 2_000), "for_ms": (2_000, 12_000)},
    "subscription_reorder": {"within_ms": (100, 4_000), "for_ms": (2_000, 12_000)},
    "subscription_skip": {"for_ms": (2_000, 12_000)},
    "subscription_stop": {"for_ms": (2_000, 12_000)},
    # workload
    "duplicate_timestamps": {"events": (100, 4_000)},
    "identical_messages": {"events": (2, 300)},
    "blank_messages": {"events": (1, 30)},
    "late_events": {"events": (1, 100), "late_ms": (0, 36 * HOUR_MS), "jitter_ms": (0, HOUR_MS)},
    "future_events": {"events": (1, 50), "ahead_ms": (0, 90 * MINUTE_MS), "jitter_ms": (0, 60_000)},
    "out_of_order_batches": {"batches": (2, 15), "events": (1, 100), "step_ms": (1, 20_000)},
    "burst": {"events": (500, 5_000), "span_ms": (0, 20_000)},
    "huge_event": {"events": (1, 2), "bytes": (100, 700_000)},
    "hostile_lines": {"rounds": (1, 1), "bytes": (1_000, 700_000)},
    "new_stream": {"streams": (1, 10), "events": (1, 20)},
    "terminal_escapes": {"rounds": (1, 3)},
    "last_words": {"events": (1, 200), "after": (0, 40)},
    # programs
    "forwarder_crash": {"within_ms": (0, 5_000), "down_ms": (100, 5_000)},
    "journal_lost": {"down_ms": (100, 4_000)},
    "journal_rolled_back": {"back_ms": (500, 8_000), "down_ms": (100, 4_000)},
    "disk_full": {"room_bytes": (0, 200_000), "for_ms": (1_000, 8_000)},
    "viewer_crash": {},
    "clock_jump": {
        "ahead_ms": (0, 5 * MINUTE_MS),
        "behind_ms": (0, 5 * MINUTE_MS),
        "for_ms": (1_000, 12_000),
    },
}
"""Every fault but those of a cluster, with the range that each of its attributes is drawn from."""

CLUSTER_DOSES: Final[dict[str, Mapping[str, Range]]] = {
    "owner_crash": {"within_ms": (0, 1_500), "down_ms": (0, 0)},
    "owner_pause": {"for_ms": (0, 0)},
    "server_crash": {"within_ms": (0, 1_500), "down_ms": (0, 0)},
    "engine_crash": {"down_ms": (0, 0)},
    "engine_failover": {"down_ms": (0, 0)},
    "engine_away": {"for_ms": (0, 0)},
    "engine_set_back": {"back_ms": (1_000, 8_000)},
}
"""Every fault of a cluster, likewise; all but the last one last until a step heals them."""

ADDED: Final = frozenset({"clock_wrong", "group_missing"})
"""Faults with a draw of their own: a seed still draws the other faults that it drew before these
existed, so that an error found by a seed is found by it again."""

ADDED_SHARE: Final = 0.15
"""Chance of each of them."""

_CALM_MS: Final = 500
"""Least time between a fault of the cluster and the next one."""

_WHOLE: Final = frozenset({"viewer_crash", "group_recreated", "retention_expire", *CLUSTER_DOSES})
"""Faults with toxicity 1: with a smaller share they would do nothing at times."""

HEALED_BY_STEP: Final = frozenset(
    {
        *("latency", "bandwidth", "reset_peer", "limit_data", "storm", "expire_token"),
        *("drop_frame", "duplicate_frame", "reorder_frame", "visibility_delay"),
    }
)
"""Faults without an end of their own."""

_FRAMES: Final = frozenset({"drop_frame", "duplicate_frame", "reorder_frame"})


_SET_BACK: Final = "engine_set_back"
_READS_ANEW: Final = frozenset(
    {"journal_lost", "journal_rolled_back", "group_recreated", _SET_BACK}
)
"""Faults after which the forwarder reads texts for the first time once more."""


def compatible(kinds: Sequence[str], shared: Sequence[str] = ()) -> list[str]:
    """The faults without those that ``altered_text`` excludes, or without it if ``shared`` has one.

    A text that is first read while it is altered is the first one for the new journal: it differs
    once the fault is healed, is declared, and never verified. That is right, but not green.
    """
    excluded = frozenset[str]()
    if "altered_text" in kinds:
        excluded = _READS_ANEW if _READS_ANEW.isdisjoint(shared) else frozenset({"altered_text"})
    return [kind for kind in kinds if kind not in excluded]


def is_cluster(seed: int) -> bool:
    """Whether several forwarders share a journal for that seed."""
    return seed % CLUSTER_EVERY == 0


def vary(setup: Setup, seed: int) -> Setup:
    """The setup with as many forwarders as the seed has."""
    return setup._replace(forwarders=FORWARDERS) if is_cluster(seed) else setup


def steps(seed: int) -> Sequence[Step]:
    """Draw faults of all kinds from the seed, which overlap."""
    rng = Random(f"chaos/{seed}")  # noqa: S311 - a simulation
    known, shared = set(DOSES) - ADDED, list[str]()
    if is_cluster(seed):
        known -= SINGLE
        shared = rng.sample(sorted(CLUSTER_DOSES), rng.randint(*CLUSTER_FAULTS_EACH))
    kinds = rng.sample(sorted(known), rng.randint(*FAULTS_EACH))
    who = f"; {FORWARDERS} forwarders share a journal" if shared else ""
    found = [say(0, f"Chaos, seed {seed}: faults are drawn at random{who}.")]
    for kind in compatible(kinds, shared):
        at_ms = rng.randrange(BEGIN_MS)
        found.append(draw_fault(rng, kind, at_ms))
        if kind in HEALED_BY_STEP:
            found.append(heal(at_ms + rng.randint(*LASTS_MS), kind))
    for kind in sorted(ADDED):
        rng_of_kind = Random(f"chaos/{seed}/{kind}")  # noqa: S311 - a simulation
        if rng_of_kind.random() < ADDED_SHARE:
            found.append(draw_fault(rng_of_kind, kind, rng_of_kind.randrange(BEGIN_MS)))
    found += [
        *_in_turn(rng, shared),
        heal(HEAL_MS, says="Everything is healed. The viewer must become green, and be right."),
        say(END_MS, "The scenario is over."),
    ]
    return sorted(found, key=lambda step: step.at_ms)


def _in_turn(rng: Random, kinds: Sequence[str]) -> list[Step]:
    """Steps for faults of the cluster, one after the other.

    A database that is down can't be killed, and without it no forwarder becomes an owner. An older
    copy is restored when the fault ends by itself, hence last.
    """
    found: list[Step] = []
    for number, kind in enumerate(sorted(kinds, key=lambda kind: kind == _SET_BACK)):
        turn_ms = BEGIN_MS // len(kinds)
        at_ms = number * turn_ms + rng.randrange(turn_ms // 2)
        rest_ms = (number + 1) * turn_ms - at_ms
        found.append(draw_fault(rng, kind, at_ms))
        if kind != _SET_BACK:
            found.append(heal(at_ms + rng.randint(LASTS_MS[0], rest_ms - _CALM_MS), kind))
    return found


def draw_fault(rng: Random, kind: str, at_ms: int) -> Step:
    """A step that switches a fault on, with random strength."""
    values = {name: rng.randint(*limits) for name, limits in (DOSES | CLUSTER_DOSES)[kind].items()}
    if kind == "visibility_delay":
        values["jitter_ms"] = min(values["jitter_ms"], values["delay_ms"])
    toxicity = None
    if kind in _FRAMES:
        toxicity = round(rng.uniform(0.02, 0.3), 3)
    elif kind not in _WHOLE:
        toxicity = rng.choice((1.0, 1.0, round(rng.uniform(0.3, 1.0), 3)))
    drawn = " ".join(f"{name}={value}" for name, value in values.items())
    fault = FaultRequest(type=kind, toxicity=toxicity, attributes=values)
    return Step(at_ms, Inject(fault), f"{kind} {drawn}".rstrip())


SCENARIO = Scenario(
    "chaos",
    "Faults of every kind at random moments, drawn from a seed; every fifth has a cluster.",
    steps,
    Setup(rate=40.0, since_ms=2 * DAY_MS),
    """Draws some of all faults, with random strength, at random moments. A correct system shows
    nothing wrong meanwhile, and everything soon after. A seed that finds an error finds it
    again. Seeds that 5 divides have three forwarders, which share a journal in PostgreSQL, and
    faults of both.""",
    varies=vary,
)
