"""What the page says of executions: everything they have, and their end. Scenarios."""

from __future__ import annotations

from typing import Any, Final

from tests.conformance.over_http import rows_of
from tests.conformance.suite import Scenario, Suite
from wire.query import Filter, TailQuery

_OVER: Final = frozenset({"SUCCEEDED", "FAILED", "STOPPED"})

EVENTS_MAX: Final = 50_000
"""An execution with more events is left alone."""


async def end(suite: Suite) -> None:
    """Of an execution that is over: all that it has, then its end, on each of two connections."""
    rows = rows_of(await suite.get("/v1/executions"), "executions") or []
    usable = [one for one in rows if 0 < (one.get("count") or 0) <= EVENTS_MAX]
    over = [one for one in usable if one.get("status") in _OVER]
    if not usable:
        return
    if not over:
        suite.ledger.not_shown("end", "no execution is over: has the forwarder a lifecycle?")
        await _everything(suite, usable[0], wait_end=False)
        return
    for _ in range(2):
        await _everything(suite, over[0], wait_end=True)


async def _everything(suite: Suite, row: dict[str, Any], *, wait_end: bool) -> None:
    check, name = suite.ledger.check, str(row["execution"])
    connection = await suite.open(TailQuery(filter=Filter(executions=(name,))))
    observer = connection.observer
    done = await connection.until(lambda: observer.is_done, suite.patience_s)
    count = len(observer.holdings.events)
    holds = done and count >= int(row["count"])
    expected = f"the {row['count']} events of {name}, and done"
    check("since-execution", holds, expected, f"{count}, done: {done}")
    if wait_end:
        came = await connection.until(lambda: bool(observer.ends), suite.patience_s)
        got = "none"
        if came:
            got = f"{observer.ends[-1].execution} {observer.ends[-1].status}"
            came = (observer.ends[-1].execution, observer.ends[-1].status) == (name, row["status"])
        expected = f"the end of {name} as {row['status']}"
        check("end", came, expected, got)
        if not suite.ledger.has_failed("end"):
            check("end-again", came, expected, got)
    await suite.drop(connection)


SCENARIOS: Final = (Scenario(frozenset({"end", "end-again", "since-execution"}), end),)
