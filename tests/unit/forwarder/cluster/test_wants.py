from __future__ import annotations

import pytest

from forwarder.cluster.wants import HISTORY_MAX, HistoryWant, Wants, decode, encode, joined
from forwarder.errors import JournalError


def test_few_requests_are_kept_apart_and_in_order() -> None:
    given = {HistoryWant(2), HistoryWant(1, "oldest"), HistoryWant(1)}
    assert joined(given) == tuple(sorted(given))


def test_requests_beyond_the_bound_become_one_that_includes_them() -> None:
    given = {HistoryWant(at, executions=(str(at),), is_pending=False) for at in range(2_000)}
    given.add(HistoryWant(5_000))
    found = joined(given)
    assert len(found) == HISTORY_MAX
    last = found[-1]
    assert last.since == HISTORY_MAX - 1
    assert last.is_pending
    assert set(last.executions) == {str(at) for at in range(HISTORY_MAX - 1, 2_000)}


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"position":"x"}'])
def test_damaged_wants_are_an_error(data: bytes) -> None:
    with pytest.raises(JournalError, match="damaged"):
        decode(data)


def test_wants_survive() -> None:
    given = Wants(7, (HistoryWant(1, "oldest", ("half \udcff",)),))
    assert decode(encode(given)) == given
