"""What a log group's scans say of its live path: is it right, and is it in time? Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from forwarder.ingest.agreement import Agreement, Unseen
from forwarder.ingest.punctuality import Punctuality
from forwarder.ingest.scan import Scan
from forwarder.records import LogEvent, Row
from wire.messages import Origin


class Witness:
    """The two comparisons of one log group, told by its door of everything that scans return.

    Without a live path neither has anything to compare, and nothing is different.
    """

    def __init__(self) -> None:
        """Nothing was heard yet."""
        self.agreement = Agreement()
        self.punctuality = Punctuality()
        self.is_relied_on = False
        """Whether polls leave it to the live path to bring what is new."""
        self.repaired_count = 0
        """Events that polls found although the live path had been given its time."""

    # What the door tells

    def returned(self, scan: Scan, events: Sequence[LogEvent]) -> None:
        """A scan has returned a page."""
        self.agreement.returned(scan, events)

    def appended(self, events: Collection[LogEvent]) -> None:
        """A scan was the first to return these."""
        self.punctuality.found((one.id, one.ingestion_time) for one in events)

    def origin(self, event: LogEvent, scan: Scan) -> Origin:
        """Of an event that a poll is the first to return.

        A poll is a live path, too; where another one is relied on, what that had its chance to
        bring is a repair.
        """
        had_chance = self.is_relied_on and self.punctuality.had_its_chance(
            event.ingestion_time, scan.begun_ms
        )
        self.repaired_count += had_chance
        return "repair" if had_chance else "live"

    def abandoned(self, scan: Scan) -> None:
        """A scan broke off."""
        self.agreement.abandoned(scan)

    def finished(self, scan: Scan, floor_ms: int) -> str | None:
        """A scan was whole; why the live path's rows must go, if it shows that they must."""
        self.agreement.finished(scan, floor_ms)
        return self.agreement.refuted

    def unseen(self, scan: Scan) -> list[Unseen]:
        """Rows that no scan has returned yet, and this one might have.

        They may not be visible yet, so they do not count against the scan [8]; it proves nothing
        of their time, though.
        """
        return self.agreement.unseen(scan)

    def adopted(self, rows: Sequence[Row], now_ms: int) -> None:
        """Rows that a scan did not return; those that a live path has brought are watched."""
        self.agreement.adopted(rows, now_ms)

    def ingested_ms(self, row: Row) -> int | None:
        """When a row had been ingested at the latest; None: not known."""
        known = row.ingestion_time
        return self.agreement.arrived_ms(row.seq) if known is None else known

    def stream_deleted(self, stream: str) -> None:
        """CloudWatch has no such log stream any more."""
        self.agreement.stream_deleted(stream)

    def clock_set(self, by_ms: int, now_ms: int, scans_begun: int) -> None:
        """The wall clock was set by so much; so many scans had begun."""
        self.agreement.clock_set(by_ms, now_ms, scans_begun)

    def began_anew(self) -> None:
        """The journal began a new chain: there are no rows any more."""
        self.agreement.forgotten()
