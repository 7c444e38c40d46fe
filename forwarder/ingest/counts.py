"""What has come about in one log group since the process began, for the metrics."""

from __future__ import annotations

from collections import Counter

import msgspec

from forwarder.ingest.scan import ScanKind
from wire.messages import Origin


class GroupCounts(msgspec.Struct):
    """Kept by the door and by who runs scans; read by whoever wants to know."""

    events: Counter[Origin] = msgspec.field(default_factory=Counter)
    """Events taken in, by what brought them."""
    duplicates: int = 0
    """Events that were known already: scans read everything again and again."""
    late: int = 0
    """Events whose time a scan had proved before they appeared."""
    scans: Counter[tuple[ScanKind, bool]] = msgspec.field(default_factory=Counter)
    """Scans by kind, and by whether they came to their end."""
    scan_s: dict[ScanKind, float] = {}
    """Seconds that scans took, those included that broke off."""

    def scanned(self, kind: ScanKind, seconds: float, *, is_whole: bool) -> None:
        """A scan is over."""
        self.scans[kind, is_whole] += 1
        self.scan_s[kind] = self.scan_s.get(kind, 0.0) + seconds
