from __future__ import annotations

from pathlib import Path

from forwarder.server.metrics import METRICS, PROCESS_METRICS
from forwarder.server.metrics_page import page

ROOT = Path(__file__).parents[4]


def test_the_page_is_the_one_of_the_code() -> None:
    text = (ROOT / "METRICS.md").read_text(encoding="utf-8")
    assert text == page(), "renew it: python -m forwarder.server.metrics_page > METRICS.md"


def test_every_metric_has_a_row() -> None:
    rows = [line for line in page().splitlines() if line.startswith("| `gapless_")]
    assert len(rows) == len(METRICS) + len(PROCESS_METRICS)
    assert all(row.count("|") == 5 for row in rows)
