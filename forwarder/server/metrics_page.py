"""Writes METRICS.md from the table: ``python -m forwarder.server.metrics_page > METRICS.md``."""

from __future__ import annotations

import sys
from typing import Final

from forwarder.server.metrics import METRICS, PROCESS_METRICS

_HEAD: Final = """\
# Metrics

`GET /metrics` answers in Prometheus' text format; a token sees its own log groups. Import
`forwarder/server/grafana.json` into Grafana for a dashboard of them. This page is generated:
`python -m forwarder.server.metrics_page > METRICS.md`.

| metric | kind | labels | what it says |
|---|---|---|---|
"""


def page() -> str:
    """The whole page."""
    rows = [
        *((one.name, one.kind, ("group", *one.labels), one.help) for one in METRICS),
        *((one.name, one.kind, one.labels, one.help) for one in PROCESS_METRICS),
    ]
    lines = [
        f"| `{name}` | {kind} | {', '.join(f'`{label}`' for label in labels) or '-'} | {text} |\n"
        for name, kind, labels, text in rows
    ]
    return _HEAD + "".join(lines)


if __name__ == "__main__":
    sys.stdout.write(page())
