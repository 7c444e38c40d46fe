from __future__ import annotations

import pytest

from forwarder.config import (
    ADDRESS_SOCKETS_MAX,
    ADDRESSES_MAX,
    GUESSES_BURST,
    REFUSED_SOCKETS,
    REQUESTS_PER_SOCKET_BURST,
    REQUESTS_PER_SOCKET_S,
    SPARE_SOCKETS,
    Limits,
)
from forwarder.server.admission import Admission, GuessLimit, TokenBucket, address_of
from tui.client.polling import POLL_MS

RIGHT, WRONG = "Bearer the-right-one", "Bearer a-wrong-one"


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    bucket = TokenBucket(2.0, 3, 100.0)
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]
    assert bucket.wait_s(100.0) == pytest.approx(0.5)
    assert not bucket.take(100.4)
    assert bucket.take(100.5)
    assert [bucket.take(1_000.0) for _ in range(4)] == [True, True, True, False]


def test_a_clock_that_goes_back_gives_nothing() -> None:
    bucket = TokenBucket(1.0, 1, 100.0)
    assert bucket.take(100.0)
    assert not bucket.take(50.0)
    assert not bucket.take(100.5)
    assert bucket.take(101.0)


def come(admission: Admission, address: str, count: int) -> None:
    for _ in range(count):
        assert admission.open_socket(address)


def test_sockets_are_bounded_and_some_beyond_get_an_answer() -> None:
    admission = Admission(Limits(viewers_max=1), sockets_max=5)
    come(admission, "127.0.0.1", 5)
    assert admission.check_socket("127.0.0.1") is None
    come(admission, "127.0.0.1", 1)
    refusal = admission.check_socket("127.0.0.1")
    assert refusal is not None
    assert (refusal.status, refusal.retry_after_s) == (503, 5)
    come(admission, "127.0.0.1", REFUSED_SOCKETS - 1)
    assert not admission.open_socket("127.0.0.1")
    assert admission.refused["sockets"] == 2
    for _ in range(5 + REFUSED_SOCKETS):
        admission.close_socket("127.0.0.1")
    assert admission.sockets == 0
    assert admission.open_socket("127.0.0.1")
    assert admission.check_socket("127.0.0.1") is None


def test_without_a_process_limit_the_settings_apply() -> None:
    admission = Admission(Limits(viewers_max=3))
    come(admission, "127.0.0.1", 3 + SPARE_SOCKETS)
    assert admission.check_socket("127.0.0.1") is None
    come(admission, "127.0.0.1", 1)
    assert admission.check_socket("127.0.0.1") is not None


def test_one_address_can_not_use_all_sockets_but_loopback_may() -> None:
    admission = Admission(Limits())
    come(admission, "10.0.0.1", ADDRESS_SOCKETS_MAX)
    assert admission.check_socket("10.0.0.1") is None
    come(admission, "10.0.0.1", 1)
    refusal = admission.check_socket("10.0.0.1")
    assert refusal is not None
    assert refusal.status == 429
    assert admission.check_socket("10.0.0.2") is None
    come(admission, "127.0.0.1", ADDRESS_SOCKETS_MAX + 1)
    assert admission.check_socket("127.0.0.1") is None
    assert admission.refused == {"address": 1}


def test_requests_of_one_address_come_at_a_bounded_rate() -> None:
    admission = Admission(Limits())
    burst = ADDRESS_SOCKETS_MAX * REQUESTS_PER_SOCKET_BURST
    assert [admission.check_request("10.0.0.1", 0.0) for _ in range(burst)] == [None] * burst
    refusal = admission.check_request("10.0.0.1", 0.0)
    assert refusal is not None
    assert (refusal.status, refusal.retry_after_s) == (429, 1)
    assert "51.2 requests a second" in refusal.text
    assert admission.check_request("10.0.0.2", 0.0) is None
    assert admission.refused == {"requests": 1}
    rate = ADDRESS_SOCKETS_MAX * REQUESTS_PER_SOCKET_S
    answered = sum(admission.check_request("10.0.0.1", at / 100) is None for at in range(1_001))
    assert answered == int(10 * rate)


def test_requests_over_loopback_are_bounded_only_where_connections_are() -> None:
    admission = Admission(Limits())
    assert [admission.check_request("127.0.0.1", 0.0) for _ in range(10_000)] == [None] * 10_000
    admission = Admission(Limits(address_sockets_max=10))
    found = [admission.check_request("127.0.0.1", 0.0) for _ in range(30)]
    assert [one is None for one in found] == [True] * 20 + [False] * 10
    assert found[-1] is not None
    assert found[-1].retry_after_s == 1


def test_a_viewer_that_polls_is_far_from_the_bound() -> None:
    admission = Admission(Limits())
    # A hundred of them behind one address, five questions each in every round.
    for at_ms in range(0, 10 * POLL_MS, POLL_MS // 100):
        for _ in range(5):
            assert admission.check_request("10.0.0.1", at_ms / 1000) is None


def test_remembered_addresses_are_bounded() -> None:
    admission = Admission(Limits())
    for number in range(ADDRESSES_MAX + 10):
        admission.check_request(f"address {number}", 0.0)
    assert len(admission._requests) == ADDRESSES_MAX


def test_a_configured_limit_applies_to_loopback_too() -> None:
    admission = Admission(Limits(address_sockets_max=1))
    come(admission, "127.0.0.1", 2)
    assert admission.check_socket("127.0.0.1") is not None


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("::1", "::1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("no address", "no address"),
        ("", ""),
    ],
)
def test_whose_connections_count_together(host: str, address: str) -> None:
    assert address_of(host) == address


def guess(guesses: GuessLimit, address: str, count: int, now_s: float = 0.0) -> None:
    for _ in range(count):
        assert guesses.check(address, WRONG, now_s) is None
        guesses.record_wrong(address, now_s)


def test_after_some_wrong_tokens_none_is_checked_for_a_while() -> None:
    guesses = GuessLimit()
    guess(guesses, "10.0.0.1", GUESSES_BURST)
    for authorization in (WRONG, RIGHT):
        refusal = guesses.check("10.0.0.1", authorization, 0.0)
        assert refusal is not None
        assert (refusal.status, refusal.retry_after_s) == (429, 10)
        assert "one" not in refusal.text
    assert guesses.check("10.0.0.2", RIGHT, 0.0) is None
    assert guesses.check("10.0.0.1", None, 0.0) is None
    guess(guesses, "10.0.0.1", 1, now_s=10.0)
    assert guesses.check("10.0.0.1", RIGHT, 10.0) is not None


def test_an_accepted_token_is_exempt_from_a_neighbours_limit() -> None:
    guesses = GuessLimit()
    guesses.record_accepted("10.0.0.1", RIGHT)
    guess(guesses, "10.0.0.1", GUESSES_BURST)
    assert guesses.check("10.0.0.1", RIGHT, 0.0) is None
    assert guesses.check("10.0.0.1", WRONG, 0.0) is not None
    guesses.forget_accepted()
    assert guesses.check("10.0.0.1", RIGHT, 0.0) is not None


def test_remembered_tokens_are_bounded() -> None:
    guesses = GuessLimit()
    for number in range(ADDRESSES_MAX + 100):
        guesses.record_wrong(f"address {number}", 0.0)
        guesses.record_accepted(f"address {number}", RIGHT)
    assert len(guesses._wrong) == len(guesses._accepted) == ADDRESSES_MAX
    assert "address 99" not in guesses._wrong
