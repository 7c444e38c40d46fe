"""``duplicate-timestamps``: ten thousand events in one millisecond.

``duplicates``: the same again and again, and each exactly once.

``forwarder-crash``: the forwarder dies, forgets, and finds its disk full.

``future-clock``: clocks that are wrong, both ways.

``group-recreated``: the log group is deleted and made anew.

``half-open``: connections that are dead, and do not say so.

``high-volume``: a million events.

``last-words``: the most important lines come last, and late.

``late-connect``: the viewer comes half a minute late.

``late-events``: what CloudWatch shows long after its time.

``reconnect``: the network is away for ten seconds.

``retention``: CloudWatch takes events away before anybody has read them.

``slow-viewer``: somebody reads more slowly than is written.

``storm``: everybody is cut off at once, and comes back at once.

``strange-lines``: whatever executions may write.

``subscription-outage``: the live path lags, lies and stops.

``throttled``: CloudWatch refuses, fails and stalls.

``viewer-crash``: the viewer itself is killed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from simulator.scenarios.base import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    Scenario,
    Setup,
    Step,
    heal,
    inject,
    say,
)


def duplicate_timestamps_steps(seed: int) -> Sequence[Step]:
    """A crowd in one millisecond, read in small and repeating pages, cut off in the middle."""
    del seed
    return (
        inject(0, "short_page", "CloudWatch's pages are short: 700 events at most.", events=700),
        inject(
            2_000,
            "duplicate_timestamps",
            "10,000 events with one and the same timestamp, in several streams.",
        ),
        inject(
            4_000,
            "repeat_token",
            "Some pages come with the token that they were asked for with.",
        ),
        inject(
            5_000,
            "disconnect",
            "The cable is out in the middle of that millisecond: a time is no cursor here.",
            down_ms=3_000,
        ),
        inject(10_000, "duplicate_timestamps", "And another 10,000.", name="again"),
        heal(18_000, says="Healed. Events of one millisecond stand in the order of their ids."),
        say(25_000, "That was all."),
    )


DUPLICATE_TIMESTAMPS = Scenario(
    "duplicate-timestamps",
    "10,000 events in one millisecond, in short pages and across a reconnection.",
    duplicate_timestamps_steps,
    story="""Who goes on at the last timestamp loses or doubles here; so does who takes a page
    that ends within a millisecond for that millisecond's end. A correct system shows all of them,
    in the order of their ids.""",
)


def duplicates_steps(seed: int) -> Sequence[Step]:
    """Equal events that are several, and one event that is delivered several times."""
    del seed
    return (
        inject(
            0,
            "subscription_duplicate",
            "From now on half of the live records are delivered twice.",
        ),
        inject(
            3_000,
            "identical_messages",
            "100 events that are equal in all but their ids: all 100 must be shown.",
            every_ms=6_000,
        ),
        inject(
            6_000,
            "duplicate_frame",
            "Messages of the WebSocket arrive twice, too: the second must be ignored.",
            toxicity=0.3,
        ),
        heal(22_000, says="Healed. Equal lines stand there as often as they were written."),
        say(28_000, "That was all."),
    )


DUPLICATES = Scenario(
    "duplicates",
    "Equal events, and deliveries that come twice: each event is shown once, none is merged.",
    duplicates_steps,
    story="""Events that are equal in stream, time and message are different events; one event
    that is delivered twice is one. A correct system tells them apart by the event's id, and by
    nothing else.""",
)


def forwarder_crash_steps(seed: int) -> Sequence[Step]:
    """A crash, a journal that is gone, one that is old, and a disk that is full."""
    del seed
    return (
        inject(
            2_000,
            "forwarder_crash",
            "The forwarder is killed, and comes back after 2 s with its journal.",
        ),
        inject(
            10_000,
            "journal_lost",
            "Killed again, and its journal is gone: a new epoch begins, and the viewer rebases.",
        ),
        inject(
            18_000,
            "journal_rolled_back",
            "And now it will come back with a journal that is 4 s old.",
            back_ms=4_000,
        ),
        inject(
            28_000,
            "disk_full",
            "The disk is full: what can't be kept is not sent.",
            for_ms=6_000,
        ),
        heal(36_000, says="Healed. Every line is there once, whatever the forwarder forgot."),
        say(44_000, "That was all."),
    )


FORWARDER_CRASH = Scenario(
    "forwarder-crash",
    "The forwarder is killed, loses its journal, finds an old one, and a full disk.",
    forwarder_crash_steps,
    story="""Whatever the forwarder forgets, CloudWatch still has. A correct system sends nothing
    that it has not kept, begins a new epoch where it can't know, and lets the viewer compare
    rather than trust numbers.""",
)


def future_clock_steps(seed: int) -> Sequence[Step]:
    """Jobs that are ahead; then the forwarder, ahead and behind."""
    del seed
    return (
        inject(
            0,
            "future_events",
            "Jobs write events stamped ten minutes ahead. They stand last, and hide nothing.",
            jitter_ms=5 * MINUTE_MS,
        ),
        inject(
            5_000,
            "future_events",
            "And some that are almost two hours ahead, the most that CloudWatch takes.",
            name="two-hours",
            ahead_ms=2 * HOUR_MS - 5 * MINUTE_MS,
        ),
        inject(
            8_000,
            "clock_jump",
            "The forwarder's clock is a minute ahead.",
            name="ahead",
            for_ms=8_000,
        ),
        inject(
            18_000,
            "clock_jump",
            "Now it is a minute behind.",
            name="behind",
            ahead_ms=0,
            behind_ms=MINUTE_MS,
            for_ms=8_000,
        ),
        heal(28_000, says="Healed. No cursor and no mark was made from a clock alone."),
        say(36_000, "That was all."),
    )


FUTURE_CLOCK = Scenario(
    "future-clock",
    "Events from the future, and a forwarder whose clock jumps ahead and back.",
    future_clock_steps,
    story="""Who follows the newest timestamp jumps ahead here, and misses everything until that
    time comes. A correct system keeps looking at the present, shows the future where it belongs,
    and proves nothing that is still to come.""",
)


def group_recreated_steps(seed: int) -> Sequence[Step]:
    """Once."""
    del seed
    return (
        say(0, "All is well."),
        inject(
            6_000,
            "group_recreated",
            "The log group is deleted and made anew, with everything in it.",
        ),
        say(14_000, "What was read before is still here; what is written now comes in."),
        say(22_000, "That was all."),
    )


GROUP_RECREATED = Scenario(
    "group-recreated",
    "The log group is deleted and made anew while it is watched.",
    group_recreated_steps,
    story="""Whoever deploys anew may delete a log group and make it again. A correct system keeps
    what it has read, proves no more than it can, and goes on with what is written now.""",
)


def half_open_steps(seed: int) -> Sequence[Step]:
    """A dead link, heartbeats that do not come, and a proxy that lets no WebSocket through."""
    del seed
    return (
        inject(
            2_000,
            "blackhole",
            "The link is dead, and nobody says so: nothing arrives, nothing is refused.",
            for_ms=25_000,
        ),
        say(25_000, "The viewer has noticed: no heartbeat came. It is not green."),
        inject(
            32_000,
            "mute_heartbeat",
            "Only the heartbeats are missing now; silence is never taken for idleness.",
            for_ms=15_000,
        ),
        inject(
            50_000,
            "block_upgrade",
            "A proxy lets HTTP through and no WebSocket. Who reconnects now has to poll.",
            for_ms=20_000,
        ),
        inject(51_000, "close", "The connection is closed, so that it has to.", code=1012),
        heal(72_000, says="Healed."),
        say(80_000, "That was all."),
    )


HALF_OPEN = Scenario(
    "half-open",
    "Links that are dead without saying so, and a proxy that lets no WebSocket through.",
    half_open_steps,
    story="""A half-open connection looks like a log in which nothing happens. A correct viewer
    notices within two heartbeats, says so and reconnects; where no WebSocket passes it polls, says
    that it does, and loses nothing.""",
)


BURSTS: Final = (500_000, 250_000, 250_000)


def high_volume_steps(seed: int) -> Sequence[Step]:
    """Half a million before anybody watches, as many while somebody does."""
    del seed
    before, first, second = BURSTS
    return (
        inject(
            0,
            "burst",
            "Half a million lines are written before anybody watches.",
            name="before",
            events=before,
            span_ms=20 * MINUTE_MS,
        ),
        say(20_000, "A viewer connects and is sent the past, newest first."),
        inject(
            25_000,
            "burst",
            "A quarter of a million more, all at once.",
            name="first",
            events=first,
            span_ms=5_000,
        ),
        inject(35_000, "burst", "And again as many.", name="second", events=second, span_ms=5_000),
        say(60_000, "That was a million. The keys still answer, and the proof is still to come."),
    )


HIGH_VOLUME = Scenario(
    "high-volume",
    "A million events, proved complete and in order.",
    high_volume_steps,
    Setup(connect_after_ms=20_000, since_ms=HOUR_MS, within_ms=10 * MINUTE_MS),
    """A million events, half of them before the viewer connects. A correct system shows all of
    them in order and proves it; its memory stays bounded, and the screen answers meanwhile.""",
)


def last_words_steps(seed: int) -> Sequence[Step]:
    """Executions end while their last lines are still on the way."""
    del seed
    return (
        inject(
            0,
            "visibility_delay",
            "CloudWatch shows events 3 s late.",
            delay_ms=3_000,
        ),
        inject(
            3_000,
            "last_words",
            "A job writes 200 lines and ends; some of them come in after its end.",
            every_ms=8_000,
        ),
        inject(
            12_000,
            "disconnect",
            "The cable is out while the next one ends.",
            down_ms=4_000,
        ),
        heal(22_000, says="Healed. An end is announced only once its last lines are proved."),
        say(28_000, "That was all."),
    )


LAST_WORDS = Scenario(
    "last-words",
    "Executions end while their last lines are still on the way.",
    last_words_steps,
    Setup(executions=8),
    """What a job writes as it fails is what everybody looks for, and what a tail that stops at
    the end misses. A correct system says that an execution has ended only when everything up to
    its end is complete, and shows what comes after it, too.""",
)


def late_connect_steps(seed: int) -> Sequence[Step]:
    """Nothing is broken; somebody is late."""
    del seed
    return (
        say(0, "Jobs are running and write; nobody watches them."),
        inject(12_000, "new_stream", "Another job begins, and ends, unseen."),
        say(30_000, "Now a viewer connects. Look at the first lines: they are from before."),
        say(40_000, "Green: a whole scan has proved that all of it is here, from the first line."),
        say(45_000, "That was all."),
    )


LATE_CONNECT = Scenario(
    "late-connect",
    "The viewer connects 30 s late, and has everything from the first line.",
    late_connect_steps,
    Setup(connect_after_ms=30_000),
    """Executions write for half a minute before anybody watches; one of them begins and ends in
    that time. A correct system shows every line of it, in order, as if it had been watching, and
    proves it.""",
)


def late_events_steps(seed: int) -> Sequence[Step]:
    """Late by seconds, minutes and hours; there, gone, and there again."""
    del seed
    return (
        inject(
            0,
            "visibility_delay",
            "CloudWatch shows each event some seconds late, and each by another time.",
            delay_ms=4_000,
            jitter_ms=4_000,
        ),
        inject(
            5_000,
            "late_events",
            "Events a minute old come in. Look for them above: they stand in their place.",
            name="a-minute",
            jitter_ms=30_000,
        ),
        inject(8_000, "out_of_order_batches", "Batches, the oldest last."),
        inject(
            12_000,
            "late_events",
            "And events that are two hours old: only a scan of that time can find them.",
            name="two-hours",
            late_ms=2 * HOUR_MS,
            jitter_ms=20 * MINUTE_MS,
        ),
        inject(16_000, "flap", "Events are in one scan and not in the next."),
        heal(25_000, says="Healed. The next scans find what is still missing, and say so."),
        say(35_000, "That was all."),
    )


LATE_EVENTS = Scenario(
    "late-events",
    "Events that come seconds to hours late, out of order, and that flicker.",
    late_events_steps,
    Setup(since_ms=4 * HOUR_MS),
    """Events become visible after their neighbours, up to hours later. A correct system scans
    again what it has scanned before, shows what it finds in its place, says that it was late, and
    takes back no proof that was true when it was given.""",
)


def reconnect_steps(seed: int) -> Sequence[Step]:
    """Out, and in again."""
    del seed
    return (
        say(0, "All is well: lines come, and each second proves that none is missing."),
        inject(
            8_000,
            "disconnect",
            "The cable is out for 10 s. The viewer says so at once, and does not stay green.",
            down_ms=10_000,
        ),
        say(18_500, "The cable is back: the viewer goes on at its cursor. Nothing is sent twice."),
        say(26_000, "Green again: what was written meanwhile stands in its place."),
        say(30_000, "That was all."),
    )


RECONNECT = Scenario(
    "reconnect",
    "The network is away for 10 s, and nothing is missing or doubled afterwards.",
    reconnect_steps,
    story="""The cable between viewer and forwarder is pulled for ten seconds while the executions
    go on writing. A correct viewer says at once that it is cut off, resumes at its cursor, and
    has every line exactly once, in order.""",
)


def retention_steps(seed: int) -> Sequence[Step]:
    """Late events that nobody has read, and a retention that takes them."""
    del seed
    return (
        inject(
            2_000,
            "late_events",
            "Events come in that are two days old; nobody asks for that time yet.",
            events=200,
            late_ms=2 * DAY_MS,
            jitter_ms=6 * HOUR_MS,
        ),
        inject(
            8_000,
            "retention_expire",
            "The retention is set to one day: they are gone before anybody has seen them.",
        ),
        say(12_000, "A viewer connects and asks for three days. What is gone, nobody can show."),
        say(20_000, "Look at the rule in the log: the range is declared as unrecoverable."),
        heal(28_000, says="All that CloudWatch still has is here, and proved."),
        say(30_000, "That was all."),
    )


RETENTION = Scenario(
    "retention",
    "CloudWatch's retention takes events that nobody had read: declared, with the range.",
    retention_steps,
    Setup(
        is_live=False,
        group_age_ms=30 * DAY_MS,
        connect_after_ms=12_000,
        since_ms=3 * DAY_MS,
        expects="declared",
    ),
    """What CloudWatch itself has deleted can't be shown, by nobody. A correct system says so,
    with the range, keeps what it had read before, and is not green over what it does not have.""",
)


def slow_viewer_steps(seed: int) -> Sequence[Step]:
    """Slow, narrow, then stuck."""
    del seed
    return (
        inject(
            0,
            "latency",
            "Everything arrives late, by half a second more or less.",
            latency_ms=500,
            jitter_ms=400,
        ),
        inject(4_000, "bandwidth", "And the link is narrow.", rate_kbps=2_000),
        inject(
            6_000,
            "burst",
            "20,000 lines at once. The forwarder keeps a cursor for the viewer, no queue.",
        ),
        inject(
            12_000,
            "stall_reader",
            "The viewer reads nothing any more, and stays connected.",
            for_ms=10_000,
        ),
        heal(24_000, says="Healed. It reads on at its cursor; nobody else was held up."),
        say(34_000, "That was all."),
    )


SLOW_VIEWER = Scenario(
    "slow-viewer",
    "A viewer behind a slow and narrow link that stops reading at times.",
    slow_viewer_steps,
    Setup(rate=100.0),
    """A viewer that can't keep up costs the forwarder no memory, since it is a cursor into the
    journal. A correct system lets it fall behind, cuts it off where it is stuck, and has it go on
    where it was.""",
)


def storm_steps(seed: int) -> Sequence[Step]:
    """A crowd, and all that cuts connections."""
    del seed
    return (
        inject(0, "storm", "Fifty more viewers connect at once."),
        inject(
            4_000,
            "close",
            "Everybody is told to come back: they spread themselves over time.",
            code=1012,
            every_ms=6_000,
        ),
        inject(
            8_000,
            "reset_peer",
            "Connections are reset in the middle of a message.",
            after_bytes=60_000,
            toxicity=0.7,
        ),
        inject(
            14_000,
            "limit_data",
            "Or end there.",
            after_bytes=30_000,
            toxicity=0.7,
        ),
        inject(18_000, "drop_frame", "Messages are lost: the sequence shows it."),
        inject(18_000, "reorder_frame", "Others change places."),
        heal(26_000, says="Healed. The crowd goes; each message had its number."),
        say(34_000, "That was all."),
    )


STORM = Scenario(
    "storm",
    "A crowd reconnects at once while connections break in the middle of messages.",
    storm_steps,
    story="""A forwarder that restarts has all its viewers back in the same second. A correct
    system spreads them, scans once for all of them, and each goes on exactly where it was, also
    when it was cut off within a message.""",
)


def strange_lines_steps(seed: int) -> Sequence[Step]:
    """Blank, huge, malicious, and in streams that nobody knew."""
    del seed
    return (
        inject(0, "terminal_escapes", "Lines that would move the cursor or set the title."),
        inject(3_000, "blank_messages", "Lines that say nothing one can see."),
        inject(6_000, "huge_event", "Lines of a megabyte.", events=2),
        inject(10_000, "new_stream", "And streams that did not exist a moment ago.", streams=20),
        heal(15_000, says="All of it is shown, none of it is obeyed."),
        say(20_000, "That was all."),
    )


STRANGE_LINES = Scenario(
    "strange-lines",
    "Blank, huge and malicious messages, and streams that did not exist a moment ago.",
    strange_lines_steps,
    story="""A log is written by anybody. A correct viewer shows whatever it says, byte for byte
    in its output and harmlessly on a screen.""",
)


def subscription_outage_steps(seed: int) -> Sequence[Step]:
    """Everything that can happen to a subscription filter."""
    del seed
    return (
        inject(
            0,
            "subscription_reorder",
            "Live records change places; the lines still stand in order.",
            within_ms=2_000,
        ),
        inject(
            4_000,
            "subscription_skip",
            "Half of the live records are left out for good: scans repair it, and say so.",
        ),
        inject(12_000, "subscription_delay", "What is left comes 5 s late."),
        heal(18_000, "subscription_delay"),
        inject(
            18_000,
            "subscription_stop",
            "The subscription is gone. The viewer says so, and goes on from scans alone.",
            for_ms=10_000,
        ),
        heal(30_000, says="Healed. The live path is a hint only, so nothing hung on it."),
        say(36_000, "That was all."),
    )


SUBSCRIPTION_OUTAGE = Scenario(
    "subscription-outage",
    "The live path reorders, skips, lags and stops; scans repair it.",
    subscription_outage_steps,
    story="""A subscription filter delivers at least once, when it can. A correct system shows
    what it brings at once, believes nothing of it, and repairs from whole scans what it leaves
    out.""",
)


def throttled_steps(seed: int) -> Sequence[Step]:
    """Everything that can happen to a call, one after another."""
    del seed
    return (
        inject(
            0,
            "throttle",
            "CloudWatch refuses every call. The viewer says so, and the mark stands still.",
            for_ms=8_000,
        ),
        inject(
            10_000,
            "throttle",
            "Now one call a second passes.",
            name="trickle",
            rate=1,
            for_ms=6_000,
        ),
        inject(14_000, "server_error", "A third of the calls fail.", for_ms=8_000),
        inject(15_000, "truncated_response", "Answers end in the middle.", for_ms=8_000),
        inject(16_000, "empty_page", "Pages are empty though more is to come.", for_ms=10_000),
        inject(17_000, "expire_token", "Tokens expire in the middle of a scan.", every_ms=2_000),
        inject(18_000, "slow_response", "Answers take seconds.", delay_ms=1_500, for_ms=6_000),
        inject(
            26_000,
            "unreachable",
            "CloudWatch does not answer at all; what is known is still served.",
            for_ms=6_000,
        ),
        heal(32_000, says="Healed. The mark catches up; it never came from an unfinished scan."),
        say(42_000, "That was all."),
    )


THROTTLED = Scenario(
    "throttled",
    "CloudWatch throttles, fails, stalls, and gives pages that are empty or cut short.",
    throttled_steps,
    Setup(is_live=False),
    """No mark may come from a scan that was not finished, and nothing may be skipped because a
    page was empty. A correct system backs off, says why its mark stands still, and catches up.""",
)


def viewer_crash_steps(seed: int) -> Sequence[Step]:
    """Killed twice, the second time with the cable out."""
    del seed
    return (
        say(0, "All is well."),
        inject(8_000, "viewer_crash", "The viewer is killed; the next one goes on at its cursor."),
        inject(
            18_000,
            "disconnect",
            "And once more while the cable is out.",
            down_ms=5_000,
        ),
        inject(20_000, "viewer_crash", name="again"),
        heal(26_000, says="Healed. What all its lives have shown, together, is everything."),
        say(32_000, "That was all."),
    )


VIEWER_CRASH = Scenario(
    "viewer-crash",
    "The viewer is killed, and the next one goes on at its saved cursor.",
    viewer_crash_steps,
    story="""A cursor is saved only once what it stands for is shown. A correct viewer that was
    killed goes on there: what its lives have shown together is everything, and the last of them
    proves it.""",
)
