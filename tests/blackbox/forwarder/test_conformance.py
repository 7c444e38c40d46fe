"""``python -m tests.conformance``: the forwarder passes, forwarders that break a rule fail."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.chapters import ALL
from tests.conformance.rules import Ledger, selected
from tests.conformance.suite import Suite, UnreachableError
from tests.support.network.mangling_proxy import Mangler, mangled
from tests.support.processes.gapless_processes import GaplessProcess, clean_environment
from tests.support.processes.log_writer import Ledger as Written
from tests.support.processes.log_writer import now_ms
from tests.support.processes.moto_server import RawMoto, raw_moto

A, B, C = STREAMS = ("job/main/aaaa", "job/main/bbbb", "other/cccc")
LARGE, SMALL = GROUPS = ("/jobs/large", "/jobs/small")
PATIENCE_S = 60.0
ROOT = Path(__file__).parents[3]
SINCE_MS = 60 * 60_000
TOKEN = "a-token-of-sixteen-and-more"

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def moto() -> Iterator[RawMoto]:
    with raw_moto() as server:
        yield server


@pytest.fixture(scope="module")
def written(moto: RawMoto) -> Iterator[dict[str, Written]]:
    """Several frames of events, some with equal timestamps, and a failed execution."""
    ledgers = {group: Written(moto, group, STREAMS) for group in GROUPS}
    first = now_ms() - 600_000
    for group, count in ((LARGE, 900), (SMALL, 200)):
        for stream in STREAMS:
            events = [(first + i // 3 * 20, f"{i} of {stream}") for i in range(count)]
            ledgers[group].put(stream, events)
        ledgers[group].put(C, [(now_ms() - 90_000, "state=failed")])
    yield ledgers
    for one in ledgers.values():
        one.close()


@pytest.fixture(scope="module")
def ready(
    moto: RawMoto, written: dict[str, Written], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Any]]:
    state = tmp_path_factory.mktemp("state")
    arguments = (
        *("forward", *written, "--endpoint-url", moto.url, "--region", "us-east-1"),
        *("--port", "0", "--journal", str(state / "journal")),
        *("--lifecycle", "pattern:state=(?P<FAILED>failed)", "--token-file", str(token(state))),
    )
    with GaplessProcess(*arguments, state=state) as process:
        yield process.ready()


def token(folder: Path) -> Path:
    path = folder / "tokens"
    path.write_text(f"{TOKEN}\n", encoding="ascii")
    path.chmod(0o600)
    return path


class Writer:
    """Writes live events and events that are four seconds late until stopped."""

    def __init__(self, ledger: Written) -> None:
        self._ledger, self._stop = ledger, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        number = 0
        while not self._stop.wait(0.5):
            number += 1
            self._ledger.put(A, [(now_ms(), f"live {number}")])
            self._ledger.put(B, [(now_ms() - 4_000, f"late {number}")])


def conform(state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.conformance", *arguments],
        cwd=ROOT,
        env=clean_environment(state, credentials=False),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


OUT_OF_REACH = {
    *("epoch-new", "made-anew", "cursor-filter", "token-group", "scan-true", "gap-again"),
    *("altered", "lost", "retention", "bye"),
}
"""Rules that this log group and a client cannot exercise."""


def test_the_forwarder_obeys_every_rule_that_can_be_checked(
    ready: dict[str, Any], written: dict[str, Written], tmp_path: Path
) -> None:
    since = ("--since", "1h", "--token-file", str(token(tmp_path)))
    with Writer(written[LARGE]):
        done = conform(tmp_path, ready["websocket"], "--group", LARGE, "--json", *since)
    assert done.stderr == ""
    report = json.loads(done.stdout)
    states = {one["id"]: one["state"] for one in report["rules"]}
    failed = [one for one in report["rules"] if one["state"] == "FAILED"]
    assert not failed
    assert (done.returncode, report["conforms"]) == (0, True)
    assert {rule for rule, state in states.items() if state == "not shown"} <= OUT_OF_REACH
    assert all(one["why"] for one in report["rules"] if one["state"] == "not shown")


def test_rules_by_name_or_number_as_a_table(ready: dict[str, Any], tmp_path: Path) -> None:
    since = ("--since", "1h", "--token-file", str(token(tmp_path)))
    done = conform(tmp_path, ready["websocket"], "--group", SMALL, *since, "metrics", "[14]")
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.split() for line in done.stdout.splitlines() if line[:2] == "ok"]
    assert [row[1] for row in rows] == ["digest", "digest-conflict", "metrics"]
    assert done.stdout.splitlines()[-1] == "3 ok, 0 FAILED, 0 not shown"


def test_errors_before_the_first_check(ready: dict[str, Any], tmp_path: Path) -> None:
    for arguments, code, says in (
        (("ws://127.0.0.1:9",), 3, "cannot connect"),
        ((ready["websocket"], "--group", LARGE), 3, "refused: HTTP 401"),
        ((ready["websocket"], "no-such-rule"), 2, "unknown rule 'no-such-rule'"),
        (("/a/log/group",), 2, "is not a ws:// URL"),
    ):
        done = conform(tmp_path, *arguments)
        assert done.returncode == code
        assert says in done.stderr
        assert done.stderr.count("\n") == 1


# --- Forwarders that break a rule -------------------------------------------------------------


class Unnumbered(Mangler):
    """Drops the first heartbeat."""

    renumber = False
    count = 0

    def server(self, message: dict[str, Any]) -> list[Any]:
        self.count += message["type"] == "heartbeat"
        return [] if message["type"] == "heartbeat" and self.count == 1 else [message]


class WithoutWelcome(Mangler):
    def server(self, message: dict[str, Any]) -> list[Any]:
        return [] if message["type"] == "welcome" else [message]


class Binary(Mangler):
    def server(self, message: dict[str, Any]) -> list[Any]:
        return [b"heartbeat", message] if message["type"] == "heartbeat" else [message]


class WrongDigest(Mangler):
    def server(self, message: dict[str, Any]) -> list[Any]:
        return [message | {"digest": "0" * 16}] if message["type"] == "mark" else [message]


class LosesAnEvent(Mangler):
    def server(self, message: dict[str, Any]) -> list[Any]:
        if message["type"] == "events":
            message["items"] = [one for one in message["items"] if one[0] != 77]
        return [message]


class DoublesAnEvent(Mangler):
    def server(self, message: dict[str, Any]) -> list[Any]:
        if message["type"] == "events":
            message["items"] += message["items"][-1:]
        return [message]


class LargeFrames(Mangler):
    def server(self, message: dict[str, Any]) -> list[Any]:
        return [message | {"pad": "x" * (1 << 20)}] if message["type"] == "events" else [message]


class Mute(Mangler):
    def server(self, message: dict[str, Any]) -> list[Any]:
        return [] if message["type"] == "heartbeat" else [message]


class HoleInSeq(Mangler):
    """Live frames skip the first seq."""

    def server(self, message: dict[str, Any]) -> list[Any]:
        if message["type"] == "events" and message["seq"] > message["after"]:
            message["after"] += 1
        return [message]


class WrongSentSeq(Mangler):
    def server(self, message: dict[str, Any]) -> list[Any]:
        if message["type"] == "heartbeat":
            message["sent_seq"] -= 1
        return [message]


class MarkBelowSince(Mangler):
    since = 0

    def server(self, message: dict[str, Any]) -> list[Any]:
        if message["type"] == "welcome":
            self.since = message["since"]
        if message["type"] == "mark":
            message["from"] = self.since - 1
        return [message]


class MarkTooEarly(Mangler):
    """Sends a mark before the history."""

    def server(self, message: dict[str, Any]) -> list[Any]:
        if message["type"] != "welcome":
            return [message]
        mark = {"type": "mark", "seq": message["after"], "scanned_at": 1, "count": 0}
        span = {"from": message["since"], "through": message["since"] + 1, "digest": "0" * 16}
        return [message, mark | span]


class HeldShrinks(Mangler):
    count = 0

    def server(self, message: dict[str, Any]) -> list[Any]:
        if message["type"] == "backfill":
            self.count += 1
            if self.count > 1:
                message["held"] = "5:0..5:1"
        return [message]


class HeldClaimsTooMuch(Mangler):
    """Omits half of the history and claims that all is held."""

    def server(self, message: dict[str, Any]) -> list[Any]:
        if message["type"] == "events" and message["after"] == message["seq"]:
            message["items"] = message["items"][::2]
        return [message]


class DoneTooEarly(Mangler):
    def server(self, message: dict[str, Any]) -> list[Any]:
        if message["type"] == "welcome":
            return [message, {"type": "backfill", "held": "..", "done": True, "total": 0}]
        return [message]


class NeverRebased(Mangler):
    def server(self, message: dict[str, Any]) -> list[Any]:
        if message["type"] == "welcome" and message["outcome"] == "rebased":
            message["outcome"] = "resumed"
        return [message]


class NeverResumed(Mangler):
    def server(self, message: dict[str, Any]) -> list[Any]:
        if message["type"] == "welcome" and message["outcome"] == "resumed":
            message["outcome"] = "rebased"
        return [message]


class Generous(Mangler):
    """Ignores credit."""

    def query(self, path: str) -> str:
        return path.replace("credit=", "conform=")

    def client(self, frame: str | bytes) -> list[str | bytes]:
        return [] if b"credit" in (frame.encode() if isinstance(frame, str) else frame) else [frame]


class AddsUpCredit(Mangler):
    """Adds up grants instead of replacing them."""

    total = 0

    def client(self, frame: str | bytes) -> list[str | bytes]:
        message = json.loads(frame)
        if message["type"] == "credit":
            self.total += message["events"]
            message["events"] = 7 + self.total
        return [json.dumps(message)]


def without(name: str) -> type[Mangler]:
    """A forwarder that ignores a query parameter."""

    class Ignorant(Mangler):
        def query(self, path: str) -> str:
            return path.replace(f"{name}=", "conform=")

    return Ignorant


class NarrowsHeld(Mangler):
    """Shortens the client's ``held``."""

    def query(self, path: str) -> str:
        return re.sub(r"held=(\d+)%3A(\d+)\.\.[^&]*", r"held=\1%3A\2..\1%3A\g<2>9", path)


class Patient(Mangler):
    """Ignores malformed messages."""

    def client(self, frame: str | bytes) -> list[str | bytes]:
        try:
            return [frame] if json.loads(frame)["type"] in ("verify", "repair") else []
        except (ValueError, TypeError, KeyError):
            return []


class NoRepair(Mangler):
    """Answers a repair without resending events."""

    def client(self, frame: str | bytes) -> list[str | bytes]:
        return [str(frame).replace('"repair"', '"verify"')]


class WrongEnd(Mangler):
    def server(self, message: dict[str, Any]) -> list[Any]:
        return [message | {"status": "SUCCEEDED"}] if message["type"] == "end" else [message]


class Polite(Mangler):
    """Refuses with status 403 only."""

    def refusal(self, status: int, body: bytes) -> tuple[int, bytes]:
        del status
        return 403, body


class PagesLoseAnEvent(Mangler):
    def http(self, path: str, status: int, body: bytes) -> tuple[int, bytes]:
        del path
        page = json.loads(body)
        page["items"] = page["items"][1:]
        return status, json.dumps(page).encode()


class PagesBackwards(Mangler):
    def http(self, path: str, status: int, body: bytes) -> tuple[int, bytes]:
        del path
        page = json.loads(body)
        page["items"].reverse()
        return status, json.dumps(page).encode()


class NoConflict(Mangler):
    def http(self, path: str, status: int, body: bytes) -> tuple[int, bytes]:
        del path
        return (200 if status == 409 else status), body


class UnknownState(Mangler):
    """Declares a state of CloudWatch that the protocol does not have."""

    def http(self, path: str, status: int, body: bytes) -> tuple[int, bytes]:
        del path
        return status, json.dumps(json.loads(body) | {"upstream": {"state": "fine"}}).encode()


class DigestOfNow(Mangler):
    """Returns the digest of another journal."""

    def http(self, path: str, status: int, body: bytes) -> tuple[int, bytes]:
        del path
        return status, json.dumps(json.loads(body) | {"count": 1}).encode()


BROKEN: list[tuple[Callable[[], Mangler], str]] = [
    (Unnumbered, "n-dense"),
    (WithoutWelcome, "welcome"),
    (Binary, "shape"),
    (WrongDigest, "mark-true"),
    (LosesAnEvent, "mark-true"),
    (DoublesAnEvent, "once"),
    (LargeFrames, "frame-size"),
    (Mute, "heartbeat"),
    (HoleInSeq, "seq-cover"),
    (WrongSentSeq, "sent-seq"),
    (MarkBelowSince, "mark-range"),
    (MarkTooEarly, "mark-range"),
    (HeldShrinks, "backfill"),
    (HeldClaimsTooMuch, "mark-true"),
    (DoneTooEarly, "done"),
    (NeverRebased, "rebased"),
    (NeverResumed, "resumed"),
    (Generous, "credit"),
    (AddsUpCredit, "credit-cumulative"),
    (without("prefix"), "filters"),
    (without("pattern"), "pattern"),
    (without("base"), "base"),
    (without("since"), "fresh"),
    (without("history"), "history"),
    (NarrowsHeld, "held"),
    (Patient, "bad-message"),
    (NoRepair, "repair"),
    (WrongEnd, "end"),
    (Polite, "malformed"),
    (PagesLoseAnEvent, "logs-whole"),
    (PagesBackwards, "logs-order"),
    (NoConflict, "logs-conflict"),
    (UnknownState, "declared"),
    (DigestOfNow, "digest"),
]


IN_VAIN_S = 10.0
"""Timeout for replies that broken forwarders never send."""

IN_VAIN = (WithoutWelcome, Mute, Patient)


async def judged(url: str, *rules: str, patience_s: float = PATIENCE_S) -> dict[str, str]:
    """Run the scenarios of some rules; returns the rules' states."""
    ledger = Ledger()
    suite = Suite(
        url,
        ledger,
        since=now_ms() - SINCE_MS,
        group=SMALL,
        token=TOKEN,
        patience_s=patience_s,
    )
    wanted = selected(rules)
    try:
        await suite.run(ALL, wanted)
    except UnreachableError:
        # The broken rule may prevent the whole run.
        assert any(map(ledger.has_failed, rules))
    return {one.rule.id: one.state for one in ledger.verdicts(wanted)}


@pytest.fixture(scope="module")
def states(ready: dict[str, Any]) -> list[dict[str, str]]:
    """States of the rules for each broken forwarder; runs are parallel, as they mostly wait."""

    async def judge(make: Callable[[], Mangler], rule: str) -> dict[str, str]:
        patience_s = IN_VAIN_S if make in IN_VAIN else PATIENCE_S
        async with at_once, mangled(ready, make) as url:
            return await judged(url, rule, patience_s=patience_s)

    async def judge_all() -> list[dict[str, str]]:
        return await asyncio.gather(*(judge(make, rule) for make, rule in BROKEN))

    at_once = asyncio.Semaphore(8)
    return asyncio.run(judge_all())


@pytest.mark.parametrize("number", range(len(BROKEN)), ids=lambda at: f"{BROKEN[at][1]}-{at}")
def test_a_broken_rule_is_reported(states: list[dict[str, str]], number: int) -> None:
    assert states[number] == {BROKEN[number][1]: "FAILED"}


async def test_a_proxy_that_changes_nothing(ready: dict[str, Any]) -> None:
    async with mangled(ready, Mangler) as url:
        rules = {rule for _, rule in BROKEN}
        assert await judged(url, *rules) == dict.fromkeys(rules, "ok")
