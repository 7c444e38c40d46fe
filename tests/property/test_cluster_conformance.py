"""The owner's journal and a follower's view behave like the in-memory journal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import settings
from hypothesis.stateful import initialize, rule

from forwarder.cluster import entries, view
from forwarder.cluster import status as statuses
from forwarder.cluster.log import Lease
from forwarder.cluster.replicated import ReplicatedJournal
from forwarder.cluster.status import Report
from forwarder.cluster.view import View
from forwarder.journal.contract import Journal
from tests.property.test_journal_conformance import Journals, _everything_small  # noqa: F401
from tests.support.cluster.memory_log import MemoryEngine
from tests.support.forwarder.log_events import GROUP

TTL_MS = 10_000


@pytest.fixture(autouse=True, scope="module")
def _many_small_entries() -> Iterator[None]:
    """Cut batches into entries, and read these in several steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(entries, "ENTRY_BYTES_MAX", 400)
        patch.setattr(view, "READ_ENTRIES", 3)
        # The model has rows only.
        patch.setattr(View, "log_bytes", 0)
        yield


class Owned(Journals):
    """Applies the same operations to the model and to a journal over a log in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.file.close()
        self.engine = MemoryEngine(lambda: 0)
        self.log = self.engine.log(GROUP)
        self.view = self.open_view("owner")
        self.lease: Lease | None = None
        self.take_over(lambda: self.model.epoch)

    def teardown(self) -> None:
        self.view.close()
        self.directory.cleanup()

    def open_view(self, name: str) -> View:
        return View(Path(self.directory.name, f"{name}.view"), GROUP, boot="boot")

    def take_over(self, make_epoch: Callable[[], str]) -> None:
        """Take over the journal: this begins an epoch."""
        if self.lease is not None:
            self.log.release(self.lease)
        self.lease = self.log.acquire(TTL_MS)
        assert self.lease is not None
        self.owner = ReplicatedJournal.take_over(
            self.log,
            self.lease,
            self.view,
            timer=lambda: 0,
            random=lambda: 1,
            make_epoch=make_epoch,
        )
        # From now on, as the model's.
        self.owner._make_epoch = self.make
        self.show()

    def show(self) -> None:
        """Make ``journal`` the object under test."""
        self.journal = cast("Any", self.owner)

    @initialize()
    def beside_another_group(self) -> None:
        """Nothing: each view has a file of its own."""

    @rule()
    def reopen(self) -> None:
        self.owner.renew(Report())
        self.view.close()
        self.view = self.open_view("owner")
        self.take_over(self.make)
        self.model.begin_epoch()

    @rule()
    def lose_the_file(self) -> None:
        """Another machine takes over, which has to read the whole log."""
        self.owner.renew(Report())
        self.view.rebuild()
        self.take_over(self.make)
        self.model.begin_epoch()

    @rule()
    def trim(self) -> None:
        """Remove bodies and entries that nobody needs from the log."""
        assert self.owner is not None
        while self.owner.trim(2):
            pass


class Follower:
    """Writes to the owner's journal, and reads from a follower's view that catches up first."""

    WRITES = frozenset(
        {"append", "begin_epoch", "begin_chain", "cover", "mark_lost", "put_ended", "put_gap"}
        | {"restore", "retire"}
    )

    def __init__(self, owned: Owned, own: View) -> None:
        self._owned = owned
        self.view = own

    def __getattr__(self, name: str) -> object:
        if name in self.WRITES:
            return getattr(self._owned.owner, name)
        self.sync()
        return getattr(self.view.journal, name)

    def sync(self) -> None:
        log = self._owned.log
        self._owned.owner.renew(Report())
        self.view.catch_up(log)
        stored = log.status()
        status = statuses.decode(stored.content)
        assert self.view.is_valid(status, stored.at)
        self.view.adopt(status)


class Followed(Owned):
    """Reads from the view of another server."""

    def __init__(self) -> None:
        self.follower: Follower | None = None
        super().__init__()

    def show(self) -> None:
        if self.follower is None:
            self.follower = Follower(self, self.open_view("follower"))
        self.journal = cast("Any", self.follower)

    def teardown(self) -> None:
        assert self.follower is not None
        self.follower.view.close()
        super().teardown()

    @rule()
    def bootstrap(self) -> None:
        """A new server reads the whole log, of which some bodies are gone."""
        assert self.follower is not None
        self.follower.view.rebuild()


def is_a_journal(owner: ReplicatedJournal) -> Journal:
    """Let mypy compare the interfaces."""
    return owner


Owned.TestCase.settings = settings(max_examples=40, stateful_step_count=50)
Followed.TestCase.settings = settings(max_examples=40, stateful_step_count=50)
TestOwned = Owned.TestCase
TestFollowed = Followed.TestCase
