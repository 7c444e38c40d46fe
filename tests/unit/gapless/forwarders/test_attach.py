from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from common.errors import CannotConnectError, GaplessError, UsageError
from common.http import HttpStatusError
from common.locks import FileHold, LockFile, hold, is_held, lock_path
from common.processes import ChildFailedError
from gapless.aws import AwsChoice
from gapless.forwarders import attach as module
from gapless.forwarders.attach import OwnForwarder, attach, journals_of

CHOICE = AwsChoice(endpoint_url="http://127.0.0.1:1")
READY = {"ready": True, "websocket": "ws://127.0.0.1:5/v1/tail"}


class FakePart:
    """A forwarder that is ready, or fails, when it is read."""

    def __init__(self, ready: Callable[[], dict[str, Any]]) -> None:
        self.ready = ready
        self.is_left = False

    def detach(self) -> None:
        self.is_left = True

    def stop(self) -> None:
        assert not self.is_left


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GAPLESS_STATE_DIR", str(tmp_path))
    return journals_of(CHOICE)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """The arguments of the forwarders that were started; each of them is ready at once."""
    arguments: list[Sequence[str]] = []

    def start(name: str, given: Sequence[str], *, log: Path) -> FakePart:
        del name, log
        arguments.append(given)
        return FakePart(lambda: READY)

    monkeypatch.setattr(module, "start_gapless", start)
    return arguments


def users(journal: Path) -> Path:
    return journal.with_name("journals.users")


def fail(code: int = 3) -> dict[str, Any]:
    msg = "there is no log group '/jobs'"
    raise ChildFailedError(msg, code)


def test_a_forwarder_is_started_with_its_journal_and_lifeline(
    journal: Path, started: list[Sequence[str]]
) -> None:
    loaded: list[bool] = []
    with attach(CHOICE, lambda: loaded.append(True)) as own:
        assert own.url == READY["websocket"]
        assert own.folder == journal.parent
        assert users(journal).exists()
    assert loaded == [True]
    text = " ".join(started[0])
    assert text.startswith("forward --any-group --port 0")
    assert f"--journal {journal}" in text
    assert f"--while-held {users(journal)}" in text
    assert text.endswith("--endpoint-url http://127.0.0.1:1")


@pytest.mark.parametrize(
    ("option", "setting", "passed"),
    [(2.5, None, "2.5"), (None, "4", "4"), (2.5, "4", "2.5"), (None, None, None)],
)
@pytest.mark.usefixtures("journal")
def test_the_call_budget_is_passed_on(
    started: list[Sequence[str]],
    monkeypatch: pytest.MonkeyPatch,
    option: float | None,
    setting: str | None,
    passed: str | None,
) -> None:
    if setting is not None:
        monkeypatch.setenv("GAPLESS_FORWARD_CALLS_PER_SECOND", setting)
    with attach(CHOICE, calls_per_second=option):
        arguments = list(started[0])
    given = dict(pairwise(arguments))
    assert given.get("--calls-per-second") == passed


def test_a_running_forwarder_is_attached_to(journal: Path, started: list[Sequence[str]]) -> None:
    with LockFile.take(lock_path(journal)) as lock:
        lock.write(READY)
        with attach(CHOICE) as own:
            assert own.url == READY["websocket"]
        assert users(journal).exists()
    assert started == []


def test_a_forwarder_that_another_command_starts_is_waited_for(
    journal: Path, started: list[Sequence[str]]
) -> None:
    with LockFile.take(lock_path(journal)) as lock:
        ready = threading.Timer(0.1, lock.write, (READY,))
        ready.start()
        with attach(CHOICE) as own:
            assert own.url == READY["websocket"]
        ready.join()
    assert started == []


def test_a_forwarder_that_never_becomes_ready(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "READY_WITHIN_S", 0.1)
    with (
        LockFile.take(lock_path(journal)),
        pytest.raises(GaplessError, match=r"is not ready: see .*forwarder\.log"),
    ):
        attach(CHOICE)


def test_a_forwarder_that_fails_reports_its_error_and_leaves_nothing(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "start_gapless", lambda *_, **__: FakePart(fail))
    with pytest.raises(ChildFailedError, match="there is no log group") as caught:
        attach(CHOICE)
    assert caught.value.exit_code == 3
    assert not users(journal).exists()


def test_the_slower_of_two_that_start_one_attaches_to_the_other_s(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locks: list[LockFile] = []

    def lose() -> dict[str, Any]:
        locks.append(LockFile.take(lock_path(journal)))
        locks[0].write(READY)
        return fail(1)

    monkeypatch.setattr(module, "start_gapless", lambda *_, **__: FakePart(lose))
    with attach(CHOICE) as own:
        assert own.url == READY["websocket"]
    locks[0].release()


def test_a_dead_forwarder_is_restarted_on_its_port(
    journal: Path, started: list[Sequence[str]]
) -> None:
    own = OwnForwarder(CHOICE, journal)
    lock = LockFile.take(lock_path(journal))
    lock.write(READY)
    own.open()
    own.keep_running()
    assert started == []
    lock.release()
    tries = threading.Event()
    for _ in range(2_400):
        if started:
            break
        tries.wait(0.1)
    assert "--port 5" in " ".join(started[0])
    own.close()


def test_close_while_the_lifeline_is_taken_leaves_no_hold(
    journal: Path, started: list[Sequence[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = OwnForwarder(CHOICE, journal)

    def hold_at_the_end(path: Path) -> FileHold:
        held = hold(path)
        own.close()
        return held

    monkeypatch.setattr(module, "hold", hold_at_the_end)
    with pytest.raises(GaplessError):
        own.open()
    assert started == []
    assert not is_held(users(journal))
    assert not users(journal).exists()


def test_close_while_a_forwarder_gets_ready_detaches_it(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = OwnForwarder(CHOICE, journal)

    def ready_at_the_end() -> dict[str, Any]:
        own.close()
        return READY

    part = FakePart(ready_at_the_end)
    monkeypatch.setattr(module, "start_gapless", lambda *_, **__: part)
    own.open()
    assert part.is_left
    assert not is_held(users(journal))


def test_a_notice_says_that_no_end_can_be_known(journal: Path) -> None:
    own = OwnForwarder(CHOICE, journal)
    assert "/jobs cannot tell when an execution ends" in own.endless_notice("/jobs")
    assert "GAPLESS_LIFECYCLE" in own.endless_notice("/jobs")
    lock = LockFile.take(lock_path(journal))
    lock.write(READY | {"lifecycle": "idle:30s"})
    assert own.endless_notice("/jobs") == ""
    assert "silence ends no execution" in own.endless_notice("/jobs", "ERROR")
    lock.write(READY | {"lifecycle": "pattern:over"})
    assert "only a last line that matches" in own.endless_notice("/jobs", "ERROR")
    lock.write(READY | {"lifecycle": "ecs:cluster-of-jobs"})
    assert own.endless_notice("/jobs", "ERROR") == ""
    lock.release()


@pytest.mark.parametrize(("status", "kind"), [(400, UsageError), (404, CannotConnectError)])
def test_a_refused_filter_pattern_is_a_usage_error(
    journal: Path, monkeypatch: pytest.MonkeyPatch, status: int, kind: type[GaplessError]
) -> None:
    asked: list[str] = []

    def refuse(url: str, **_: object) -> None:
        asked.append(url)
        raise HttpStatusError(url, status, "AWS refuses it: quote terms")

    monkeypatch.setattr(module, "request", refuse)
    own = OwnForwarder(CHOICE, journal)
    own.ready = READY | {"http": "http://127.0.0.1:5"}
    with pytest.raises(kind, match="quote terms"):
        own.serve("/jobs", "{ $.a = 1 }")
    assert asked[0].endswith("/v1/groups?group=%2Fjobs&pattern=%7B+%24.a+%3D+1+%7D")
