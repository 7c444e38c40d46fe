"""Executions whose end ECS reports."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from itertools import chain
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from forwarder.cloudwatch import client as client_module
from forwarder.config import AwsOptions
from forwarder.errors import (
    AccessDeniedError,
    CloudWatchError,
    ConfigError,
    CredentialsError,
    ThrottledError,
)
from forwarder.ingest.executions import Lifecycle
from forwarder.ingest.log_group import LogGroup
from forwarder.reconcile.ecs import (
    CALLS_MAX,
    MISSING_TIMES,
    TASKS_MAX,
    EcsWatcher,
    Essential,
    TaskReport,
    TaskRounds,
    essential_of,
    is_task_id,
    read_tasks,
    status_of,
)
from tests.support.forwarder.log_events import NOW_MS, event
from tests.support.forwarder.memory_journal import MemoryJournal
from tests.support.processes.gapless_processes import WAIT_S

A, B, BAD = "a" * 32, "b" * 32, "c" * 32
STREAMS = {A: f"app/main/{A}", B: f"app/main/{B}", BAD: f"app/main/{BAD}"}


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "DescribeTasks")


BAD_ID = refusal("InvalidParameterException")


class Client:
    """ECS, as a test says it is."""

    class meta:  # noqa: N801 - botocore's name
        endpoint_url = "http://ecs"

    def __init__(self) -> None:
        self.tasks: list[dict[str, Any]] = []
        self.error: Exception | None = None
        self.definition_error: Exception | None = None
        self.asked: list[list[str]] = []
        self.closed = False
        self.hold: threading.Event | None = None
        """What calls wait for."""

    def describe_tasks(self, *, cluster: str, tasks: list[str]) -> dict[str, Any]:
        assert cluster == "jobs"
        if self.hold is not None:
            self.hold.wait(240)
        self.asked.append(tasks)
        if self.error is not None:
            raise self.error
        if BAD in tasks:
            raise BAD_ID
        return {"tasks": [one for one in self.tasks if one["taskArn"][-32:] in tasks]}

    def describe_task_definition(self, *, taskDefinition: str) -> dict[str, Any]:  # noqa: N803 - botocore's
        assert taskDefinition == "arn:job:1"
        if self.definition_error is not None:
            raise self.definition_error
        names = [{"name": "main"}, {"name": "sidecar", "essential": False}]
        return {"taskDefinition": {"containerDefinitions": names}}

    def close(self) -> None:
        self.closed = True


def stopped(task: str, *exits: int) -> dict[str, Any]:
    names = ("main", "sidecar")
    return {
        "taskArn": f"arn:task/jobs/{task}",
        "taskDefinitionArn": "arn:job:1",
        "lastStatus": "STOPPED",
        "containers": [
            {"name": name, "exitCode": code} for name, code in zip(names, exits, strict=False)
        ],
    }


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    one = Client()
    monkeypatch.setattr(EcsWatcher, "_make_client", lambda _self: one)
    return one


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    # On a busy machine the thread of a call may start later than a start waits for ECS.
    monkeypatch.setattr(client_module, "CHECK_WITHIN_S", WAIT_S)


@pytest.fixture
def group() -> LogGroup:
    journal = MemoryJournal("/ecs/job")
    one = LogGroup(journal, lifecycle=Lifecycle.external("ecs:jobs"))
    one.ingest([event(n, stream=stream) for n, stream in enumerate(STREAMS.values(), 1)], "live")
    return one


def statuses(group: LogGroup) -> dict[str, str]:
    return {one.execution: one.status for one in group.executions.summaries(NOW_MS)}


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(240):
        while not holds():  # noqa: ASYNC110 - the change is in a thread, without an event
            await asyncio.sleep(0.001)


async def opened(group: LogGroup) -> EcsWatcher:
    watcher = EcsWatcher("jobs", [group], AwsOptions())
    await watcher.open()
    return watcher


async def test_ended_tasks_are_reported_and_one_bad_id_spoils_nothing(
    client: Client, group: LogGroup
) -> None:
    client.tasks = [stopped(A, 0), stopped(B, 1) | {"lastStatus": "RUNNING"}]
    watcher = await opened(group)
    for _ in range(MISSING_TIMES):
        await watcher.poll_once()
    assert statuses(group) == {A: "SUCCEEDED", B: "RUNNING", BAD: "RUNNING"}
    assert group.executions.undecided() == [B]
    client.tasks = [stopped(B, 1)]
    await watcher.poll_once()
    assert statuses(group)[B] == "FAILED"
    await watcher.close()
    assert client.closed


async def test_a_task_that_ecs_does_not_know_yet_is_not_forgotten(
    client: Client, group: LogGroup
) -> None:
    watcher = await opened(group)
    for tasks in ([], [], [stopped(A, 0) | {"lastStatus": "RUNNING"}], [], []):
        client.tasks = list(tasks)
        await watcher.poll_once()
    assert A in group.executions.undecided()
    await watcher.poll_once()
    assert A not in group.executions.undecided()


async def test_the_definition_is_asked_for_where_it_matters(
    client: Client, group: LogGroup
) -> None:
    client.tasks = [stopped(A, 0, 1)]
    watcher = await opened(group)
    await watcher.poll_once()
    assert statuses(group)[A] == "SUCCEEDED"


async def test_without_the_definition_every_container_counts(
    client: Client, group: LogGroup
) -> None:
    client.tasks = [stopped(A, 0, 1)]
    client.definition_error = refusal("AccessDeniedException")
    watcher = await opened(group)
    await watcher.poll_once()
    assert statuses(group)[A] == "FAILED"


@pytest.mark.parametrize(
    ("code", "error", "says"),
    [
        ("ClusterNotFoundException", ConfigError, "no ECS cluster 'jobs'"),
        ("AccessDeniedException", AccessDeniedError, "AWS denies access"),
    ],
)
async def test_permanent_errors_are_reported_at_the_start(
    client: Client,
    group: LogGroup,
    code: str,
    error: type[CloudWatchError | ConfigError],
    says: str,
) -> None:
    client.error = refusal(code)
    with pytest.raises(error, match=says):
        await opened(group)


async def test_while_ecs_is_unreachable_executions_stay_open(
    client: Client, group: LogGroup, caplog: pytest.LogCaptureFixture
) -> None:
    client.error = EndpointConnectionError(endpoint_url="http://ecs")
    watcher = await opened(group)
    assert "can't reach ECS at http://ecs" in caplog.text
    client.error = refusal("ThrottlingException")
    with pytest.raises(ThrottledError, match="ECS throttles calls"):
        await watcher.poll_once()
    assert group.executions.undecided()
    assert set(statuses(group).values()) == {"RUNNING"}


async def test_a_start_waits_for_ecs_only_so_long(
    client: Client,
    group: LogGroup,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(client_module, "CHECK_WITHIN_S", 0.05)
    client.hold = threading.Event()
    await opened(group)
    assert not client.hold.is_set()
    client.hold.set()
    [line] = [one.getMessage() for one in caplog.records if "did not answer" in one.getMessage()]
    assert line.startswith("ECS (cluster jobs) did not answer within 0.05 s: check the network")


async def test_it_goes_on_after_a_failure(
    client: Client, group: LogGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forwarder.reconcile.ecs.RETRY_FIRST_MS", 1)
    watcher = EcsWatcher("jobs", [group], AwsOptions(), round_s=0.001)
    await watcher.open()
    client.error = refusal("ThrottlingException")
    running = asyncio.create_task(watcher.run())
    try:
        await until(lambda: len(client.asked) >= 3)
        client.error, client.tasks = None, [stopped(A, 0), stopped(B, 0)]
        await until(lambda: not group.executions.undecided())
    finally:
        running.cancel()
    assert statuses(group) == {A: "SUCCEEDED", B: "SUCCEEDED", BAD: "RUNNING"}


async def test_credentials_that_are_refused_are_asked_for_again(
    group: LogGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Client] = []

    def make(_self: EcsWatcher) -> Client:
        made.append(Client())
        made[-1].tasks = [stopped(A, 0)]
        return made[-1]

    monkeypatch.setattr(EcsWatcher, "_make_client", make)
    watcher = await opened(group)
    made[0].error = refusal("ExpiredTokenException")
    with pytest.raises(CredentialsError):
        await watcher.poll_once()
    await watcher.poll_once()
    assert statuses(group)[A] == "SUCCEEDED"
    assert len(made) == 2
    await watcher.close()
    assert made[1].closed


def nothing_known(_arn: str) -> None:
    """No definition can be had."""


def task(*exits: int | None, code: str = "EssentialContainerExited") -> dict[str, Any]:
    containers = [
        {"name": f"c{number}"} | ({} if exit_code is None else {"exitCode": exit_code})
        for number, exit_code in enumerate(exits)
    ]
    return {
        "taskArn": "arn:aws:ecs:us-east-1:1:task/jobs/aaaa",
        "taskDefinitionArn": "arn:job:1",
        "lastStatus": "STOPPED",
        "stopCode": code,
        "containers": containers,
    }


@pytest.mark.parametrize(
    ("stopped", "status"),
    [
        (task(0), "SUCCEEDED"),
        (task(0, 0), "SUCCEEDED"),
        (task(1), "FAILED"),
        (task(0, 137), "FAILED"),
        (task(None, 1), "FAILED"),
        (task(None), "UNKNOWN"),
        (task(0, None), "UNKNOWN"),
        (task(), "UNKNOWN"),
        (task(None, code="TaskFailedToStart"), "FAILED"),
        (task(143, code="UserInitiated"), "STOPPED"),
        (task(0, code="UserInitiated"), "STOPPED"),
        (task(137, code="SpotInterruption"), "FAILED"),
        (task(0, code="ServiceSchedulerInitiated"), "SUCCEEDED"),
        ({"lastStatus": "STOPPED"}, "UNKNOWN"),
    ],
)
def test_how_a_stopped_task_ended(stopped: dict[str, Any], status: str) -> None:
    assert status_of(stopped, nothing_known) == status


def test_only_essential_containers_count() -> None:
    definition = {
        "containerDefinitions": [
            {"name": "c0"},
            {"name": "c1", "essential": False},
            {"name": "c2", "essential": True},
        ]
    }
    known: Essential = {"arn:job:1": essential_of(definition)}.__getitem__
    assert status_of(task(0, 1, 0), known) == "SUCCEEDED"
    assert status_of(task(0, None, 0), known) == "SUCCEEDED"
    assert status_of(task(0, 0, 1), known) == "FAILED"
    assert status_of(task(0, 0, 1), nothing_known) == "FAILED"


def test_a_reply_covers_the_tasks_asked_for() -> None:
    running = task(0) | {"taskArn": "arn:task/jobs/bbbb", "lastStatus": "DEPROVISIONING"}
    reply = {
        "tasks": [task(0), running],
        "failures": [
            {"arn": "arn:task/jobs/cccc", "reason": "MISSING"},
            {"arn": "arn:task/jobs/dddd", "reason": "ACCESS"},
        ],
    }
    asked = ["aaaa", "bbbb", "cccc", "dddd", "eeee"]
    assert read_tasks(asked, reply, nothing_known) == TaskReport(
        {"aaaa": "SUCCEEDED"}, ("cccc", "eeee")
    )
    assert read_tasks(["aaaa"], {}, nothing_known) == TaskReport({}, ("aaaa",))


@pytest.mark.parametrize(
    ("execution", "is_one"),
    [
        ("0123456789abcdef0123456789abcdef", True),
        ("01234567-89ab-cdef-0123-456789abcdef", True),
        ("0123456789abcdef0123456789abcde", False),
        ("0123456789ABCDEF0123456789ABCDEF", False),
        ("aaaa", False),
        ("0123456789abcdef0123456789abcdef\n", False),
    ],
)
def test_what_can_be_the_id_of_a_task(execution: str, *, is_one: bool) -> None:
    assert is_task_id(execution) == is_one


def test_every_task_is_polled_in_turn() -> None:
    rounds = TaskRounds()
    tasks = [f"{number:032x}" for number in range(TASKS_MAX * CALLS_MAX + 150)]
    first = rounds.next_batches(tasks)
    assert [len(batch) for batch in first] == [TASKS_MAX] * CALLS_MAX
    second = rounds.next_batches(tasks)
    assert list(chain(*second))[:150] == tasks[-150:]
    assert set(chain(*first, *second)) == set(tasks)
    assert rounds.next_batches(tasks[:3]) == [tasks[:3]]
    assert rounds.next_batches([]) == []
