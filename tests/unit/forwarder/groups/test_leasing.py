"""Which log groups a forwarder takes, and when it hands one over."""

from __future__ import annotations

from forwarder.groups.leasing import REBALANCE_S, REST_S, Shares, share_of
from forwarder.records import FeedKey

ONE = FeedKey("/one")


def test_shares_are_even_and_leave_nothing_out() -> None:
    assert [share_of(groups, 3) for groups in (0, 1, 3, 4, 7)] == [0, 1, 1, 2, 3]
    assert share_of(5, 0) == 5


def test_a_group_within_the_share_is_taken_at_once() -> None:
    assert Shares().may_take(ONE, owned=1, share=2, now_s=0.0)


def test_a_group_beyond_the_share_is_left_to_others_for_a_while() -> None:
    shares = Shares()
    assert not shares.may_take(ONE, owned=2, share=2, now_s=10.0)
    assert not shares.may_take(ONE, owned=2, share=2, now_s=10.0 + REST_S - 0.1)
    assert shares.may_take(ONE, owned=2, share=2, now_s=10.0 + REST_S)


def test_the_pause_begins_again_when_somebody_owned_it() -> None:
    shares = Shares()
    shares.may_take(ONE, owned=2, share=2, now_s=0.0)
    shares.note_owned(ONE)
    assert not shares.may_take(ONE, owned=2, share=2, now_s=REST_S)


def test_a_lasting_surplus_is_handed_over_one_by_one() -> None:
    shares = Shares()
    assert not shares.has_surplus(owned=4, share=2, now_s=0.0)
    assert not shares.has_surplus(owned=4, share=2, now_s=REBALANCE_S - 0.1)
    assert shares.has_surplus(owned=4, share=2, now_s=REBALANCE_S)
    assert not shares.has_surplus(owned=3, share=2, now_s=REBALANCE_S + 1)


def test_a_surplus_that_has_passed_is_forgotten() -> None:
    shares = Shares()
    shares.has_surplus(owned=3, share=2, now_s=0.0)
    shares.has_surplus(owned=2, share=2, now_s=1.0)
    assert not shares.has_surplus(owned=3, share=2, now_s=REBALANCE_S)
