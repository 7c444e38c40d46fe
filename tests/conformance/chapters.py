"""Every scenario, in the order in which they are run; the first fills the main connection."""

from __future__ import annotations

from typing import Final

from tests.conformance import asking, connecting, executions, over_http, streaming
from tests.conformance.suite import Scenario

ALL: Final[tuple[Scenario, ...]] = (
    *streaming.SCENARIOS,
    *connecting.SCENARIOS,
    *over_http.SCENARIOS,
    *asking.SCENARIOS,
    *executions.SCENARIOS,
)
