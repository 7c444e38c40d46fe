"""Every scenario: the scripted ones as data, and ``chaos``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from simulator.scenarios import chaos
from simulator.scenarios.base import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    Scenario,
    Setup,
    fixed,
    heal,
    inject,
    say,
)

_DONE: Final = "The scenario is over."
_ALL_GREEN: Final = "Lines arrive, and a scan verifies them every second."

SCRIPTED: Final = (
    Scenario(
        "late-connect",
        "The viewer connects 30 s late, and shows everything from the first line.",
        fixed(
            say(0, "Jobs run and write. No viewer is connected."),
            inject(12_000, "new_stream").saying("Another job starts and ends unobserved."),
            say(30_000, "A viewer connects. The first lines are older than the connection."),
            say(40_000, "Green: a full scan has verified every line, from the first one on."),
            say(45_000, _DONE),
        ),
        Setup(connect_after_ms=30_000),
        """Executions write for half a minute before a viewer connects; one of them starts and
        ends in that time. A correct system shows every line, in order, as if it had been
        connected from the start, and verifies it.""",
    ),
    Scenario(
        "reconnect",
        "The network is down for 10 s, and nothing is missing or duplicated afterwards.",
        fixed(
            say(0, _ALL_GREEN),
            inject(8_000, "disconnect", down_ms=10_000).saying(
                "Network down for 10 s. The viewer says so, and the verified time stops advancing."
            ),
            say(18_500, "The network is back. The viewer resumes at its cursor."),
            say(26_000, "Green again: the lines written meanwhile stand in their places."),
            say(30_000, _DONE),
        ),
        story="""The connection between viewer and forwarder is cut for ten seconds while the
        executions go on writing. A correct viewer says at once that it is offline, resumes at its
        cursor, and shows every line exactly once, in order.""",
    ),
    Scenario(
        "duplicates",
        "Equal events and repeated deliveries: each event is shown exactly once.",
        fixed(
            inject(0, "subscription_duplicate").saying(
                "Half of the live records are delivered twice."
            ),
            inject(3_000, "identical_messages", every_ms=6_000).saying(
                "100 events that differ in their ids only: all 100 must be shown."
            ),
            inject(6_000, "duplicate_frame", toxicity=0.3).saying(
                "WebSocket messages arrive twice too: the viewer must ignore the second one."
            ),
            heal(22_000, says="Healed. Equal lines are shown as often as they were written."),
            say(28_000, _DONE),
        ),
        story="""Events that are equal in stream, time and message are different events; one event
        that is delivered twice is one. A correct system tells them apart by the event's id
        alone.""",
    ),
    Scenario(
        "high-volume",
        "A million events, verified complete and in order.",
        fixed(
            inject(0, "burst", name="before", events=500_000, span_ms=20 * MINUTE_MS).saying(
                "Half a million lines are written before a viewer connects."
            ),
            say(20_000, "A viewer connects and receives the history, newest first."),
            inject(25_000, "burst", name="first", events=250_000, span_ms=5_000).saying(
                "A quarter of a million more, all at once."
            ),
            inject(35_000, "burst", name="second", events=250_000, span_ms=5_000).saying(
                "And another quarter of a million."
            ),
            say(60_000, "A million lines are written. Keys still respond; verification follows."),
        ),
        Setup(connect_after_ms=20_000, since_ms=HOUR_MS, within_ms=10 * MINUTE_MS),
        """A million events, half of them before the viewer connects. A correct system shows all
        of them in order and verifies them; its memory stays bounded, and the screen responds
        meanwhile.""",
    ),
    Scenario(
        "duplicate-timestamps",
        "10,000 events in one millisecond, in short pages and across a reconnection.",
        fixed(
            inject(0, "short_page", events=700).saying(
                "CloudWatch's pages hold 700 events at most."
            ),
            inject(2_000, "duplicate_timestamps").saying(
                "10,000 events with the same timestamp, in several streams."
            ),
            inject(4_000, "repeat_token").saying(
                "Some pages return the token of their own request."
            ),
            inject(5_000, "disconnect", down_ms=3_000).saying(
                "Network down in the middle of that millisecond: no timestamp can be a cursor."
            ),
            inject(10_000, "duplicate_timestamps", name="again").saying("And another 10,000."),
            heal(18_000, says="Healed. Events of one millisecond stand in the order of their ids."),
            say(25_000, _DONE),
        ),
        story="""A reader that resumes at the last timestamp loses or repeats events here, and so
        does one that takes the end of a page for the end of a millisecond. A correct system shows
        every event, in the order of their ids.""",
    ),
    Scenario(
        "late-events",
        "Events that arrive seconds to hours late, out of order, and flicker.",
        fixed(
            inject(0, "visibility_delay", delay_ms=4_000, jitter_ms=4_000).saying(
                "CloudWatch shows each event up to 8 s late."
            ),
            inject(5_000, "late_events", name="a-minute", jitter_ms=30_000).saying(
                "Events a minute old arrive. They are inserted above, in their places."
            ),
            inject(8_000, "out_of_order_batches").saying(
                "Batches of events arrive, the oldest last."
            ),
            inject(
                12_000,
                "late_events",
                name="two-hours",
                late_ms=2 * HOUR_MS,
                jitter_ms=20 * MINUTE_MS,
            ).saying("Events two hours old arrive: only a scan of that time can find them."),
            inject(16_000, "flap").saying("Events appear in one scan and not in the next."),
            heal(25_000, says="Healed. The next scans find the missing events and report them."),
            say(35_000, _DONE),
        ),
        Setup(since_ms=4 * HOUR_MS),
        """Events become visible after their neighbours, up to hours later. A correct system
        repeats its scans, shows what they find in its place, marks it as late, and withdraws no
        mark that was true when it was made.""",
    ),
    Scenario(
        "subscription-outage",
        "The live path reorders, skips, delays and stops; scans repair it.",
        fixed(
            inject(0, "subscription_reorder", within_ms=2_000).saying(
                "Live records arrive out of order; the lines stay in order."
            ),
            inject(4_000, "subscription_skip").saying(
                "Half of the live records are lost: scans repair this, and the viewer shows it."
            ),
            inject(12_000, "subscription_delay").saying("The remaining records arrive 5 s late."),
            heal(18_000, "subscription_delay"),
            inject(18_000, "subscription_stop", for_ms=10_000).saying(
                "The subscription stops. The viewer says so; scans alone find new events."
            ),
            heal(30_000, says="Healed. The live path is only a hint, so nothing was lost."),
            say(36_000, _DONE),
        ),
        story="""A subscription filter delivers at least once, when it can. A correct system shows
        its events at once, does not rely on them, and repairs from full scans what it leaves
        out.""",
    ),
    Scenario(
        "throttled",
        "CloudWatch throttles, fails, stalls, and returns empty and truncated pages.",
        fixed(
            inject(0, "throttle", for_ms=8_000).saying(
                "CloudWatch refuses every call. The viewer says so, and the mark stands still."
            ),
            inject(10_000, "throttle", name="trickle", rate=1, for_ms=6_000).saying(
                "Now one call a second passes."
            ),
            inject(14_000, "server_error", for_ms=8_000).saying("A third of the calls fail."),
            inject(15_000, "truncated_response", for_ms=8_000).saying("Answers end in the middle."),
            inject(16_000, "empty_page", for_ms=10_000).saying(
                "Pages are empty, but not the last."
            ),
            inject(17_000, "expire_token", every_ms=2_000).saying("Tokens expire during a scan."),
            inject(18_000, "slow_response", delay_ms=1_500, for_ms=6_000).saying(
                "Answers take seconds."
            ),
            inject(26_000, "unreachable", for_ms=6_000).saying(
                "CloudWatch does not answer. The forwarder still serves its journal."
            ),
            heal(32_000, says="Healed. The mark catches up; none came from an unfinished scan."),
            say(42_000, _DONE),
        ),
        Setup(is_live=False),
        """No mark may come from an unfinished scan, and no event may be skipped because a page
        was empty. A correct system backs off, says why its mark stands still, and catches up.""",
    ),
    Scenario(
        "expired-credentials",
        "The AWS credentials expire, and later reading the log group is denied, for 8 s each.",
        fixed(
            inject(4_000, "credentials_expired", for_ms=8_000).saying(
                "The credentials expire. The viewer says so, and which command renews them."
            ),
            say(12_500, "They are valid again: the forwarder goes on without a restart."),
            inject(18_000, "access_denied", for_ms=8_000).saying(
                "A policy denies logs:FilterLogEvents. The forwarder still serves its journal."
            ),
            say(26_500, "The permission is granted again."),
            heal(27_000, says="Healed. What was written meanwhile is shown and verified."),
            say(34_000, _DONE),
        ),
        story="""Sessions of roles and logins end while logs are watched. A correct system says what
        is refused and what helps, verifies nothing meanwhile, and catches up without a restart.""",
    ),
    Scenario(
        "masked-lines",
        "Texts change under their ids, and answers contradict themselves.",
        fixed(
            say(0, _ALL_GREEN),
            inject(14_000, "altered_text", for_ms=10_000).saying(
                "A data protection policy masks a third of the lines. They are declared altered."
            ),
            say(24_500, "The policy is removed. The gaps are repaired."),
            inject(28_000, "inconsistent_answers", alone=1, for_ms=8_000).saying(
                "Answers name wrong timestamps and streams, and refuse their own tokens."
            ),
            heal(36_000, says="Healed. Every line stands in its place, with its first text."),
            say(44_000, _DONE),
        ),
        story="""AWS masks texts when they are read, and no answer is sure to agree with the one
        before. A correct system keeps what it has, says what differs before it verifies anything
        there, and lets no single answer take a line away or move it.""",
    ),
    Scenario(
        "slow-viewer",
        "A viewer behind a slow and narrow link stops reading at times.",
        fixed(
            inject(0, "latency", latency_ms=500, jitter_ms=400).saying(
                "Everything arrives half a second late, more or less."
            ),
            inject(4_000, "bandwidth", rate_kbps=2_000).saying("The link is narrow too: 2 Mbit/s."),
            inject(6_000, "burst").saying(
                "20,000 lines at once. The forwarder holds a cursor for the viewer, no queue."
            ),
            inject(12_000, "stall_reader", for_ms=10_000).saying(
                "The viewer stops reading, and stays connected."
            ),
            heal(24_000, says="Healed. The viewer reads on at its cursor; no other was delayed."),
            say(34_000, _DONE),
        ),
        Setup(rate=100.0),
        """A viewer that can't keep up costs the forwarder no memory, since it is a cursor into
        the journal. A correct system lets it fall behind, cuts it off when it is stuck, and lets
        it resume at its cursor.""",
    ),
    Scenario(
        "forwarder-crash",
        "The forwarder is killed, loses its journal, finds an old one, and a full disk.",
        fixed(
            inject(2_000, "forwarder_crash").saying(
                "The forwarder is killed, and restarts after 2 s with its journal."
            ),
            inject(10_000, "journal_lost").saying(
                "Killed again, and its journal is lost: a new epoch begins, the viewer rebases."
            ),
            inject(18_000, "journal_rolled_back", back_ms=4_000).saying(
                "Next it will restart with a journal that is 4 s old."
            ),
            inject(28_000, "disk_full", for_ms=6_000).saying(
                "The disk is full: events that can't be stored are not sent."
            ),
            heal(36_000, says="Healed. Every line is shown once, whatever the forwarder lost."),
            say(44_000, _DONE),
        ),
        story="""CloudWatch still has what the forwarder loses. A correct system sends only events
        that it has stored, begins a new epoch where it can't be sure, and lets the viewer compare
        instead of trusting numbers.""",
    ),
    Scenario(
        "viewer-crash",
        "The viewer is killed, and the next one resumes at its saved cursor.",
        fixed(
            say(0, _ALL_GREEN),
            inject(8_000, "viewer_crash").saying(
                "The viewer is killed; the next one resumes at its cursor."
            ),
            inject(18_000, "disconnect", down_ms=5_000).saying(
                "Network down; then the viewer is killed."
            ),
            inject(20_000, "viewer_crash", name="again"),
            heal(26_000, says="Healed. Together the three viewers have shown every line."),
            say(32_000, _DONE),
        ),
        story="""A cursor is saved only after its lines are shown. A correct viewer resumes there
        after a kill: together its lives have shown every line, and the last of them verifies
        it.""",
    ),
    Scenario(
        "last-words",
        "Executions end while their last lines are still on the way.",
        fixed(
            inject(0, "visibility_delay", delay_ms=3_000).saying(
                "CloudWatch shows events 3 s late."
            ),
            inject(3_000, "last_words", every_ms=8_000).saying(
                "A job writes 200 lines and ends; some of them arrive after its end."
            ),
            inject(12_000, "disconnect", down_ms=4_000).saying(
                "Network down while the next job ends."
            ),
            heal(22_000, says="Healed. An end is announced only once its last lines are verified."),
            say(28_000, _DONE),
        ),
        Setup(executions=8),
        """The last lines of a failing job matter most, and a tail that stops at the end misses
        them. A correct system announces the end of an execution only when everything up to it is
        complete, and also shows lines that arrive later.""",
    ),
    Scenario(
        "strange-lines",
        "Blank, huge and malicious messages, and log streams that did not exist before.",
        fixed(
            inject(0, "terminal_escapes").saying(
                "Lines that would move the cursor or set the title."
            ),
            inject(3_000, "blank_messages").saying("Lines without a visible character."),
            inject(6_000, "huge_event", events=2).saying("Lines of a megabyte."),
            inject(10_000, "new_stream", streams=20).saying("20 new log streams."),
            heal(15_000, says="All lines are shown, and none of them acts on the terminal."),
            say(20_000, _DONE),
        ),
        story="""Log lines can contain anything. A correct viewer shows them, byte for byte in its
        output and harmlessly on a screen.""",
    ),
    Scenario(
        "future-clock",
        "Events from the future, and a forwarder whose clock jumps ahead and back.",
        fixed(
            inject(0, "future_events", jitter_ms=5 * MINUTE_MS).saying(
                "Jobs write events stamped ten minutes ahead. They stand last and hide nothing."
            ),
            inject(
                5_000, "future_events", name="two-hours", ahead_ms=2 * HOUR_MS - 5 * MINUTE_MS
            ).saying("Others are almost two hours ahead, the most that CloudWatch accepts."),
            inject(8_000, "clock_jump", name="ahead", for_ms=8_000).saying(
                "The forwarder's clock is a minute ahead."
            ),
            inject(
                18_000, "clock_jump", name="behind", ahead_ms=0, behind_ms=MINUTE_MS, for_ms=8_000
            ).saying("Now it is a minute behind."),
            heal(28_000, says="Healed. No cursor and no mark came from a clock alone."),
            say(36_000, _DONE),
        ),
        story="""A reader that follows the newest timestamp jumps ahead here, and misses every
        event until that time. A correct system keeps reading the present, shows future events in
        their places, and verifies nothing that is still to come.""",
    ),
    Scenario(
        "half-open",
        "Dead links without an error, and a proxy that blocks WebSockets.",
        fixed(
            inject(2_000, "blackhole", for_ms=25_000).saying(
                "The link is dead without an error: nothing arrives, nothing is refused."
            ),
            say(25_000, "The viewer has noticed: heartbeats are missing. It is not green."),
            inject(32_000, "mute_heartbeat", for_ms=15_000).saying(
                "Only the heartbeats are missing now. The viewer does not take that for idleness."
            ),
            inject(50_000, "block_upgrade", for_ms=20_000).saying(
                "A proxy passes HTTP and blocks WebSockets. A viewer that reconnects must poll."
            ),
            inject(51_000, "close", code=1012).saying(
                "The connection is closed: it must reconnect."
            ),
            heal(72_000, says="Healed."),
            say(80_000, _DONE),
        ),
        story="""A half-open connection looks like an idle log. A correct viewer notices within
        two heartbeats, says so and reconnects. Where no WebSocket passes it polls, says so, and
        loses nothing.""",
    ),
    Scenario(
        "storm",
        "A crowd reconnects at once while connections break in the middle of messages.",
        fixed(
            inject(0, "storm").saying("Fifty more viewers connect at once."),
            inject(4_000, "close", code=1012, every_ms=6_000).saying(
                "All connections are closed with 1012: proper viewers spread their reconnects."
            ),
            inject(8_000, "reset_peer", after_bytes=60_000, toxicity=0.7).saying(
                "Connections are reset in the middle of a message."
            ),
            inject(14_000, "limit_data", after_bytes=30_000, toxicity=0.7).saying(
                "Others end there in order."
            ),
            inject(18_000, "drop_frame").saying("Messages are lost: their numbers show it."),
            inject(18_000, "reorder_frame").saying("Others arrive out of order."),
            heal(26_000, says="Healed. The crowd leaves; the message numbers revealed every loss."),
            say(34_000, _DONE),
        ),
        story="""After a forwarder restarts, all its viewers reconnect in the same second. A
        correct system spreads them and scans once for all of them. Each resumes exactly at its
        cursor, even after a cut within a message.""",
    ),
    Scenario(
        "retention",
        "CloudWatch's retention deletes events before they were read: declared, with the range.",
        fixed(
            inject(
                2_000, "late_events", events=200, late_ms=2 * DAY_MS, jitter_ms=6 * HOUR_MS
            ).saying("Events two days old arrive. No viewer has requested that time yet."),
            inject(8_000, "retention_expire").saying(
                "The retention is set to one day: those events are deleted unread."
            ),
            say(12_000, "A viewer connects and requests three days, deleted events among them."),
            say(20_000, "A rule in the log declares the range as unrecoverable."),
            heal(28_000, says="Everything that CloudWatch still has is shown and verified."),
            say(30_000, _DONE),
        ),
        Setup(
            is_live=False,
            group_age_ms=30 * DAY_MS,
            connect_after_ms=12_000,
            since_ms=3 * DAY_MS,
            expects="declared",
        ),
        """Events that CloudWatch itself has deleted can't be shown. A correct system declares
        their range, keeps what it had read before, and is not green over the rest.""",
    ),
    Scenario(
        "group-recreated",
        "The log group is deleted and created again while it is watched.",
        fixed(
            say(0, _ALL_GREEN),
            inject(6_000, "group_recreated").saying(
                "The log group is recreated; its events are deleted."
            ),
            say(14_000, "Lines that were read before stay; new ones arrive."),
            say(22_000, _DONE),
        ),
        story="""A deployment may delete a log group and create it again. A correct system keeps
        the lines that it has read, verifies no more than it can, and goes on with new events.""",
    ),
)

SCENARIOS: Final[Mapping[str, Scenario]] = {one.name: one for one in (*SCRIPTED, chaos.SCENARIO)}
"""Every scenario by its name, for the control API and ``gapless scenario``."""
