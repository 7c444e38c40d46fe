"""The page's "HTTP on the same port". Scenarios."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

from tests.conformance.connecting import EVENTS_MIN
from tests.conformance.holdings import Held
from tests.conformance.suite import Answer, Scenario, Suite
from wire.codec import decode_body
from wire.errors import WireError
from wire.limits import (
    LOGS_PAGE_BYTES_MAX,
    LOGS_PAGE_EVENTS_MAX,
    REQUEST_LINE_BYTES_MAX,
)
from wire.messages import LogsPage

OK: Final = 200
BAD: Final = 400
NO_TOKEN: Final = 401
NONE_SUCH: Final = 404
CONFLICT: Final = 409
TOO_LONG: Final = 414
NOT_READY: Final = 503

PAGES_MAX: Final = 2_000
NO_EPOCH: Final = "conform-no-such-epoch"

_STATUSES: Final = frozenset({"RUNNING", "SUCCEEDED", "FAILED", "STOPPED", "UNKNOWN"})


async def logs(suite: Suite) -> None:
    """All pages, small ones, against what the WebSocket sent."""
    observer, check = suite.main.observer, suite.ledger.check
    known = set(observer.holdings.events)
    limit = max(2, min(LOGS_PAGE_EVENTS_MAX, len(known) // 3))
    items: list[Held] = []
    query: dict[str, Any] = {"since": observer.since, "limit": limit}
    for _ in range(PAGES_MAX):
        page = _page(suite, await suite.get("/v1/logs", **query), limit)
        if page is None:
            return
        items += [Held.of(one) for one in page.items]
        if page.next is None:
            break
        query["next"] = page.next
    else:
        check("logs-page", holds=False, expected="next null at the end", got=f"{PAGES_MAX} pages")
        return
    keys = [one.key for one in items]
    if len(keys) > 1:
        holds = all(left < right for left, right in pairwise(keys))
        check("logs-order", holds, "each after the one before, by K", "otherwise")
    missing = known - set(keys)
    holds = not missing and len(set(keys)) == len(keys)
    got = f"{len(missing)} missing, {len(keys) - len(set(keys))} doubled"
    check("logs-whole", holds, f"{len(known)} events, each once", got)


async def after_cursor(suite: Suite) -> None:
    """Pages in seq order."""
    observer, check = suite.main.observer, suite.ledger.check
    events = sorted(observer.holdings.events.values(), key=lambda one: one.seq)
    assert observer.welcome is not None
    epoch = observer.welcome.epoch
    if len(events) >= EVENTS_MIN:
        after, until = events[len(events) // 4].seq, events[len(events) // 2].seq
        wanted = [one.seq for one in events if after < one.seq <= until][:LOGS_PAGE_EVENTS_MAX]
        answer = await suite.get(
            "/v1/logs", since=observer.since, epoch=epoch, after=after, until_seq=until
        )
        page = _page(suite, answer, LOGS_PAGE_EVENTS_MAX)
        got = [] if page is None else [one.seq for one in page.items]
        # Larger events may end a page sooner.
        holds = bool(got) and (got == wanted or (page is not None and page.next is not None))
        holds = holds and got == wanted[: len(got)]
        check("logs-seq", holds, f"seq {wanted[0]} to {wanted[-1]}", f"{got[:3]} to {got[-3:]}")
    conflicts = {
        "logs-conflict": await suite.get("/v1/logs", since=0, epoch=NO_EPOCH, after=1),
        "digest-conflict": await suite.get("/v1/digest", from_=0, through=1, epoch=NO_EPOCH, seq=1),
    }
    for rule, answer in conflicts.items():
        said = answer.fields().get("epoch")
        holds = answer.status == CONFLICT and said == epoch
        check(rule, holds, f"409 with epoch {epoch}", f"{answer.status} with epoch {said}")


async def refusals(suite: Suite) -> None:
    """What is malformed, unknown, or too long."""
    check = suite.ledger.check
    for query, status in (
        ("limit=0", BAD),
        ("since=yesterday", BAD),
        ("group=%2Fconform%2Fno-such-group", NONE_SUCH),
    ):
        answer = await suite.get_raw("/v1/logs", query)
        said = answer.fields().get("error")
        # With several groups the group is asked for first; with tokens, whether it is covered.
        allowed = {status} | ({403} if suite.token is not None else set())
        holds = answer.status in allowed and isinstance(said, str) and bool(said)
        check("logs-refusals", holds, f"{query}: {status} and an error", f"{answer.status} {said}")
    long = "x" * (REQUEST_LINE_BYTES_MAX + 100)
    answer = await suite.get("/v1/logs", conform=long)
    check("request-line", answer.status == TOO_LONG, "414", answer.status)
    if suite.token is not None:
        answer = await suite.get("/v1/logs", token=False, limit=1)
        check("http-token", answer.status == NO_TOKEN, "401", answer.status)


async def digest(suite: Suite) -> None:
    """For the present head, and for the journal as it stood before."""
    observer, check = suite.main.observer, suite.ledger.check
    assert observer.welcome is not None
    through = max((one.timestamp for one in observer.holdings.events.values()), default=0)
    if not await suite.main.until(lambda: observer.is_done, suite.patience_s):
        return
    seqs = sorted(one.seq for one in observer.holdings.events.values())
    for seq in {observer.cursor, *seqs[len(seqs) // 2 :][:1]}:
        answer = await suite.get(
            "/v1/digest",
            from_=observer.since,
            through=through,
            epoch=observer.welcome.epoch,
            seq=seq,
        )
        found = answer.fields()
        own = observer.holdings.total(observer.since, through, seq)
        got = (found.get("count"), found.get("digest"))
        check("digest", own == got, f"{own} at seq {seq}", f"{answer.status} {got}")


async def the_rest(suite: Suite) -> None:
    """Executions, groups, viewers, health, metrics."""
    check = suite.ledger.check
    answer = await suite.get("/v1/executions")
    rows = rows_of(answer, "executions")
    wanted = {"execution", "status", "first", "last", "count"}
    holds = rows is not None and all(
        wanted <= set(one) and one["status"] in _STATUSES for one in rows
    )
    check(
        "executions", holds, f"rows with {sorted(wanted)}", f"{answer.status} {answer.body[:200]!r}"
    )
    answer = await suite.get("/v1/groups")
    found = answer.json()
    names = found.get("groups") if isinstance(found, dict) else found
    told = [one if isinstance(one, str) else str(one) for one in names or ()]
    holds = answer.status == OK and bool(told)
    holds = holds and (suite.group is None or any(suite.group in one for one in told))
    check("groups", holds, f"the groups, {suite.group} among them", f"{answer.status} {told[:3]}")
    answer = await suite.get("/v1/viewers")
    rows = rows_of(answer, "viewers")
    holds = bool(rows) and any(one.get("since") == suite.main.observer.since for one in rows or ())
    check("viewers", holds, "a record of our connection", f"{answer.status} {answer.body[:200]!r}")
    answer = await suite.get_raw("/healthz", "")
    check("health", answer.status == OK, "/healthz: 200", answer.status)
    answer = await suite.get_raw("/readyz", "")
    check("health", answer.status in (OK, NOT_READY), "/readyz: 200 or 503", answer.status)
    answer = await suite.get_raw("/metrics", "")
    text = answer.body.decode("utf-8", "replace")
    holds = answer.status == OK and answer.content_type.startswith("text/plain")
    check("metrics", holds and "# TYPE " in text, "Prometheus text", f"{answer.status} {text[:80]}")


def rows_of(answer: Answer, name: str) -> list[dict[str, Any]] | None:
    """The rows of an answer: an array, or an object that has one by that name."""
    found = answer.json()
    rows = found.get(name) if isinstance(found, dict) else found
    if answer.status != OK or not isinstance(rows, list):
        return None
    return rows if all(isinstance(one, dict) for one in rows) else None


def _page(suite: Suite, answer: Answer, limit: int) -> LogsPage | None:
    """A page, if it is one and keeps to its bounds."""
    try:
        page = decode_body(answer.body, LogsPage, bytes_max=len(answer.body))
    except WireError as error:
        got = f"{answer.status}: {error}"
        suite.ledger.check("logs-page", holds=False, expected="a page of items", got=got)
        return None
    size, count = len(answer.body), len(page.items)
    holds = count <= limit and (size <= LOGS_PAGE_BYTES_MAX or count == 1)
    expected = f"at most {limit} items and 4 MiB"
    suite.ledger.check("logs-page", holds, expected, f"{count} items in {size} bytes")
    return page


SCENARIOS: Final = (
    Scenario(frozenset({"logs-order", "logs-whole", "logs-page"}), logs),
    Scenario(frozenset({"logs-seq", "logs-conflict", "digest-conflict"}), after_cursor),
    Scenario(frozenset({"logs-refusals", "request-line", "http-token"}), refusals),
    Scenario(frozenset({"digest"}), digest),
    Scenario(frozenset({"executions", "groups", "viewers", "health", "metrics"}), the_rest),
)
