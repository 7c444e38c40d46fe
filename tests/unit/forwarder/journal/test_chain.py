from __future__ import annotations

from forwarder.journal.chain import EPOCHS_MAX, Chain, new_epoch
from tests.support.log_events import epochs


def test_every_epoch_is_another() -> None:
    assert len({new_epoch() for _ in range(1_000)}) == 1_000


def test_a_cursor_of_an_epoch_is_good_up_to_the_begin_of_the_next() -> None:
    made = epochs()
    chain = Chain(make=lambda: next(made)).anew().begun(101).begun(101).begun(201)
    assert chain.epoch == "epoch-4"
    assert chain.is_resumable("epoch-1", 0, 250)
    assert chain.is_resumable("epoch-1", 100, 250)
    assert not chain.is_resumable("epoch-1", 101, 250)
    assert chain.is_resumable("epoch-2", 100, 250)
    assert not chain.is_resumable("epoch-2", 101, 250)
    assert chain.is_resumable("epoch-3", 200, 250)
    assert not chain.is_resumable("epoch-3", 201, 250)


def test_a_cursor_of_the_present_epoch_is_good_up_to_the_head() -> None:
    chain = Chain(make=lambda: "now").anew()
    assert chain.is_resumable("now", 7, 7)
    assert not chain.is_resumable("now", 8, 7)
    assert not chain.is_resumable("other", 0, 7)


def test_the_oldest_epochs_are_forgotten_beyond_the_bound() -> None:
    made = epochs()
    chain = Chain(make=lambda: next(made)).anew()
    for _ in range(EPOCHS_MAX):
        chain = chain.begun(1)
    assert len(chain.links) == EPOCHS_MAX
    assert not chain.is_resumable("epoch-1", 0, 0)
    assert chain.is_resumable("epoch-2", 0, 0)
