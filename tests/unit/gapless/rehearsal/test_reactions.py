from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest

from gapless.rehearsal.course import (
    STOPPED,
    Course,
    FaultLane,
    Gap,
    Second,
    Span,
    StateChange,
    Stretch,
    Verified,
    ViewerCourse,
    behind_ms,
    fault_lanes,
    joined_courses,
    make_course,
    read_viewer_course,
    stretches,
)
from gapless.rehearsal.reactions import (
    complete_ms,
    reactions,
    unmet,
    verified_again_ms,
    verified_first_ms,
)
from simulator.scenarios.base import CONNECTION_STATES, Expectations
from tests.support import rehearsals
from wire.record import TargetState


def course(lane: FaultLane, **fields: Any) -> Course:  # noqa: ANN401 - any field of a course
    return Course(**{"ends_ms": 60_000, "faults": [lane], "healed_ms": lane.ended_ms, **fields})


def test_a_cut_is_detected_reconnected_and_verified() -> None:
    [one] = reactions(rehearsals.course())
    assert (one.name, one.type, one.began_ms, one.ended_ms) == (
        "cable",
        "disconnect",
        8_000,
        18_000,
    )
    assert (one.detected_ms, one.sign) == (100, "reconnecting")
    assert one.was_cut
    assert one.reconnected_ms == 1_900
    assert one.verified_ms == 2_500
    assert (one.recovered, one.repaired, one.late, one.lag_ms) == (232, 2, 3, 12_000)
    assert one.states == ["reconnecting", "polling", "live"]


@pytest.mark.parametrize(
    ("verified_ms", "ended_ms", "ends_ms"), [(9, 8, 10), (12, 8, 12), (9, 15, 15)]
)
def test_a_course_ends_when_the_viewer_was_asked_or_with_the_last_thing_known(
    verified_ms: int, ended_ms: int, ends_ms: int
) -> None:
    viewer = ViewerCourse(verified=[Verified(verified_ms, 5)])
    lane = FaultLane("cable", "disconnect", spans=[Span(1, ended_ms)])
    assert make_course(viewer, [lane], [], 0, 10).ends_ms == ends_ms


def test_a_fault_that_affected_nothing_has_no_sign() -> None:
    upstream = [StateChange(5_400, "throttled")]
    for affected, sign in ((None, "CloudWatch throttled"), (1, "CloudWatch throttled"), (0, "")):
        lane = FaultLane("x", "repeat_token", spans=[Span(5_200, 7_000)], affected=affected)
        [one] = reactions(course(lane, upstream=upstream))
        assert (one.sign, one.affected, one.counts) == (sign, affected, "calls")


def test_turns_of_a_fault_are_added_up() -> None:
    entries: list[dict[str, Any]] = []
    for at_ms, affected in ((1_000, 2), (2_000, 3)):
        began = {"at_ms": at_ms, "event": "began", "name": "a", "type": "close"}
        entries += [began, began | {"event": "ended", "affected": affected}]
    assert [one.affected for one in fault_lanes({"entries": entries}, 0)] == [5]
    assert [one.affected for one in fault_lanes({"entries": entries[:1]}, 0)] == [None]


def test_lost_ranges_are_gaps_of_a_course() -> None:
    record = b'{"type":"lost","from":1005,"through":1009,"target":0,"reason":"gone"}\n'
    assert read_viewer_course(record, 1_000).gaps == [Gap(5, 9, "lost", "gone")]


def test_a_cut_that_comes_after_a_fault_counts_from_the_end_of_the_fault() -> None:
    # As when missed heartbeats are noticed later: a picture has the mark where the viewer is back.
    lane = FaultLane("mute", "mute_heartbeat", spans=[Span(5_000, 6_000)])
    states = [
        StateChange(0, "live"),
        StateChange(7_500, "reconnecting"),
        StateChange(9_700, "live"),
    ]
    [one] = reactions(course(lane, states=states))
    assert one.was_cut
    assert one.reconnected_ms == 3_700


def test_a_connection_that_is_never_back() -> None:
    lane = FaultLane("cable", "disconnect", spans=[Span(5_000, 6_000)])
    states = [StateChange(0, "live"), StateChange(5_010, "reconnecting")]
    [one] = reactions(course(lane, states=states, verified=[Verified(100, 50)]))
    assert one.was_cut
    assert (one.reconnected_ms, one.verified_ms) == (None, None)
    found = unmet(Expectations(0, 3_000, 5_000), course(lane, states=states), [one], {})
    assert found == [
        "cable: reconnected never, 3 s expected",
        "cable: verified never, 5 s expected",
    ]


def test_a_fault_that_shows_nothing_is_not_detected() -> None:
    lane = FaultLane("twice", "duplicate_frame", spans=[Span(5_000, 6_000)])
    seconds = [Second(5_000, lines=20, late=4, repaired=4, lag_ms=20)]
    [one] = reactions(course(lane, states=[StateChange(0, "live")], seconds=seconds))
    assert (one.detected_ms, one.sign, one.was_cut) == (None, "", False)


@pytest.mark.parametrize(
    ("kind", "fields", "sign"),
    [
        ("throttle", {"upstream": [StateChange(5_400, "throttled")]}, "CloudWatch throttled"),
        ("owner_crash", {"upstream": [StateChange(5_400, "delayed")]}, "CloudWatch delayed"),
        ("late_events", {"seconds": [Second(5_000, 9, late=2)]}, "late lines"),
        ("subscription_skip", {"seconds": [Second(6_000, 9, repaired=2)]}, "repaired lines"),
        ("forwarder_crash", {"states": [StateChange(5_300, "reconnecting")]}, "reconnecting"),
        ("viewer_crash", {"states": [StateChange(5_300, STOPPED)]}, STOPPED),
    ],
)
def test_the_first_sign_depends_on_the_fault(kind: str, fields: dict[str, Any], sign: str) -> None:
    lane = FaultLane("x", kind, spans=[Span(5_200, 7_000)])
    [one] = reactions(course(lane, **fields))
    assert one.sign == sign
    assert one.detected_ms is not None
    assert 0 <= one.detected_ms <= 800


def test_verified_at_first_and_for_good() -> None:
    verified = [
        Verified(1_000, 900),
        Verified(5_000, 4_900),
        Verified(6_000, None),
        Verified(9_000, 8_000),
    ]
    one = Course(verified=verified, ends_ms=10_000)
    assert verified_first_ms(one, 4_800) == 5_000
    assert verified_again_ms(one, 4_800) == 9_000
    assert verified_first_ms(one, 4_950) == 9_000
    assert verified_first_ms(one, 8_001) is None
    assert verified_again_ms(one, 8_001) is None
    ahead = Course(verified=[Verified(1_000, 3_000), Verified(4_000, 3_500)])
    assert verified_first_ms(ahead, 2_000) == 2_000


def test_the_view_is_complete_once_the_last_late_line_has_come() -> None:
    lane = FaultLane("x", "late_events", spans=[Span(1_000, 1_000)])
    verified = [Verified(2_000, 1_500)]
    assert complete_ms(course(lane, verified=verified)) == 2_000
    late = [Second(9_000, 1, repaired=1), Second(11_000, 4)]
    assert complete_ms(course(lane, verified=verified, seconds=late)) == 10_000
    assert complete_ms(course(lane, seconds=late)) is None


def test_expectations_that_are_met_and_not() -> None:
    happened = rehearsals.course()
    found = reactions(happened)
    met = Expectations(0, 2_000, 3_000, 232, ("DEGRADED", "RECONNECTING", "THROTTLED"))
    assert unmet(met, happened, found, {"lost": 0}) == []
    not_met = Expectations(1, 1_800, 2_400, 233, ("FAILED", "UNREACHABLE"))
    assert unmet(not_met, happened, found, {"lost": 2}) == [
        "2 lines lost, 1 allowed",
        "cable: reconnected after 1.9 s, 1.8 s expected",
        "cable: verified after 2.5 s, 2.4 s expected",
        "232 lines recovered, 233 expected",
        "state FAILED was not seen",
        "state UNREACHABLE was not seen",
    ]


def test_states_have_the_viewers_names() -> None:
    assert set(CONNECTION_STATES.values()) == set(get_args(TargetState)) - {"quiet"}


def test_turns_of_a_fault_are_spans() -> None:
    began = {"event": "began", "name": "x", "type": "close"}
    ended = {**began, "event": "ended"}
    times = [(began, 5), (ended, 5), (began, 9)]
    lanes = fault_lanes({"entries": [{**one, "at_ms": 100 + at} for one, at in times]}, 100)
    assert lanes == [FaultLane("x", "close", spans=[Span(5, 5), Span(9)])]
    assert lanes[0].ended_ms is None


def test_a_fault_that_takes_over_a_name_has_a_lane_of_its_own() -> None:
    entries: list[dict[str, object]] = []
    for at_ms, kind, attributes in ((0, "latency", 5), (10, "latency", 9), (20, "bandwidth", 9)):
        common = {"at_ms": at_ms, "name": "x", "type": kind}
        request = {"type": kind, "attributes": {"n": attributes}}
        entries.append({**common, "event": "requested", "request": request})
        entries.append({**common, "event": "began"})
        entries.append({**common, "event": "ended", "at_ms": at_ms + 10})
    assert fault_lanes({"entries": entries}, 0) == [
        FaultLane("x", "latency", {"n": 5}, None, [Span(0, 10)]),
        FaultLane("x", "latency", {"n": 9}, None, [Span(10, 20)]),
        FaultLane("x", "bandwidth", {"n": 9}, None, [Span(20, 30)]),
    ]


def test_nothing_allowed_to_be_lost_is_left_to_the_verdict() -> None:
    assert unmet(Expectations(), Course(), [], {"lost": 2}) == []


def test_killed_viewers_leave_a_stretch_in_which_none_runs() -> None:
    first = ViewerCourse(states=[StateChange(-5, "live")], seconds=[Second(0, 4)])
    second = ViewerCourse(states=[StateChange(40, "live")], seconds=[Second(1, 5)])
    joined = joined_courses([first, second], [(-9, 20), (30, None)])
    assert [(one.at_ms, one.state) for one in joined.states] == [
        (-5, "live"),
        (20, STOPPED),
        (40, "live"),
    ]
    assert [one.lines for one in joined.seconds] == [4, 5]
    assert stretches(joined.states, 60, "none") == [
        Stretch(0, 20, "live"),
        Stretch(20, 40, STOPPED, "killed"),
        Stretch(40, 60, "live"),
    ]
    assert behind_ms(Course(verified=joined.verified), 25) is None


def test_how_far_the_verified_time_is_behind() -> None:
    one = Course(verified=[Verified(10, 4), Verified(20, 18), Verified(30, None)])
    assert [behind_ms(one, at_ms) for at_ms in (5, 10, 19, 20, 29, 35)] == [
        *(None, 6, 15, 2, 11, None)
    ]
    assert msgspec.to_builtins(one)["verified"][1] == {"at_ms": 20, "through_ms": 18}
