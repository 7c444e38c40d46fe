"""Polls ECS for the executions that have ended (``--lifecycle ecs:CLUSTER``).

With the awslogs driver a log stream is named prefix/container/task-id (Amazon ECS Developer Guide,
"Send Amazon ECS logs to CloudWatch"), so that an execution is a task. ECS has its own client and
rate limit and slows down no scan. While it can't be reached, executions stay undecided.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec
from botocore.exceptions import ClientError

from common.concurrency import Backoff
from forwarder.cloudwatch.client import (
    AwsClient,
    check_in_time,
    make_client,
    sibling_endpoint,
    translate,
)
from forwarder.cloudwatch.rate_limit import DESCRIBE_RATE, CallQueue
from forwarder.cloudwatch.remedies import AwsPlace
from forwarder.config import AwsOptions
from forwarder.errors import (
    CloudWatchError,
    ConfigError,
    RequestRejectedError,
    ThrottledError,
    UnreachableError,
)
from forwarder.ingest.log_group import LogGroup
from wire.messages import ExecutionStatus

if TYPE_CHECKING:
    from botocore.client import BaseClient


TASKS_MAX: Final = 100
"""Tasks of one DescribeTasks call (Amazon ECS API reference)."""

CALLS_MAX: Final = 20
"""Calls of one round; tasks beyond them wait for the next round."""

_TASK_ID: Final = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
"""Task ids have 32 hex digits; those of the format until 2018 are UUIDs."""

_STOPPED_BY_USER: Final = "UserInitiated"
_NEVER_STARTED: Final = "TaskFailedToStart"

Essential = Callable[[str], Collection[str] | None]
"""Returns the names of a task definition's essential containers by its ARN; None: unknown."""


class TaskReport(msgspec.Struct, frozen=True):
    """Result of one DescribeTasks call."""

    ended: Mapping[str, ExecutionStatus]
    missing: tuple[str, ...]
    """Tasks that ECS does not know."""


def is_task_id(execution: str) -> bool:
    """Whether an execution can be a task; ECS rejects a whole call for one malformed id."""
    return _TASK_ID.fullmatch(execution) is not None


class TaskRounds:
    """Batches the undecided tasks for DescribeTasks, least recently polled first."""

    def __init__(self) -> None:
        self._asked: dict[str, int] = {}
        self._number = 0

    def next_batches(self, undecided: Sequence[str]) -> list[list[str]]:
        """The batches of the next round; equally old tasks keep the given order."""
        self._number += 1
        asked = self._asked
        tasks = sorted(undecided, key=lambda task: asked.get(task, 0))[: TASKS_MAX * CALLS_MAX]
        self._asked = {task: asked[task] for task in undecided if task in asked}
        self._asked |= dict.fromkeys(tasks, self._number)
        return [tasks[at : at + TASKS_MAX] for at in range(0, len(tasks), TASKS_MAX)]


def read_tasks(asked: Sequence[str], reply: Mapping[str, Any], essential: Essential) -> TaskReport:
    """Read a DescribeTasks reply: the tasks that ended, and those that ECS does not know.

    A task has ended once its ``lastStatus`` is STOPPED. A failure other than MISSING leaves it
    undecided.
    """
    ended: dict[str, ExecutionStatus] = {}
    known: set[str] = set()
    for task in reply.get("tasks") or ():
        task_id = _id_of(task.get("taskArn"))
        known.add(task_id)
        if task.get("lastStatus") == "STOPPED":
            ended[task_id] = status_of(task, essential)
    for failure in reply.get("failures") or ():
        if failure.get("reason") != "MISSING":
            known.add(_id_of(failure.get("arn")))
    return TaskReport(ended, tuple(task for task in asked if task not in known))


def status_of(task: Mapping[str, Any], essential: Essential) -> ExecutionStatus:
    """Status of a stopped task, from its ``stopCode`` and its containers' exit codes.

    STOPPED if a user stopped it. FAILED if it could not start, or if an essential container has an
    exit code other than 0. SUCCEEDED if those of all essential containers are 0. UNKNOWN if ECS
    has lost an exit code.
    """
    code = task.get("stopCode")
    if code == _STOPPED_BY_USER:
        return "STOPPED"
    exits = {str(one.get("name")): one.get("exitCode") for one in task.get("containers") or ()}
    if len(set(exits.values())) > 1:
        # They differ, so that it matters which containers are essential.
        names = essential(str(task.get("taskDefinitionArn")))
        if names is not None:
            exits = {name: exit_code for name, exit_code in exits.items() if name in names}
    codes = set(exits.values())
    if code == _NEVER_STARTED or any(codes - {0, None}):
        return "FAILED"
    return "SUCCEEDED" if codes == {0} else "UNKNOWN"


def essential_of(definition: Mapping[str, Any]) -> frozenset[str]:
    """Names of a task definition's essential containers; containers are essential by default."""
    return frozenset(
        str(one.get("name"))
        for one in definition.get("containerDefinitions") or ()
        if one.get("essential", True)
    )


def _id_of(arn: object) -> str:
    return str(arn).rpartition("/")[2]


_LOG: Final = logging.getLogger("gapless.forwarder")

ROUND_S: Final = 3.0
"""Pause between two rounds of DescribeTasks; delays the end of an execution by at most this."""
RETRY_FIRST_MS: Final = 1_000
RETRY_MAX_MS: Final = 60_000
DEFINITIONS_MAX: Final = 1_000
"""Task definitions whose essential containers are cached."""

MISSING_TIMES: Final = 3
"""Rounds in a row in which ECS must not know a task before it counts as ended: a task that has just
started is missing for a moment."""

PROBE_TASK: Final = "0" * 32
"""A task id that does not exist; asked for at the start, to check access to the cluster."""


class TaskIdError(RequestRejectedError):
    """ECS rejects a call because of one of its task ids."""


class EcsWatcher:
    """Reports to log groups which of their executions have ended, according to one ECS cluster."""

    def __init__(
        self, cluster: str, groups: Sequence[LogGroup], aws: AwsOptions, *, round_s: float = ROUND_S
    ) -> None:
        """Make no call before ``open``.

        Args:
            cluster: its name or ARN.
            groups: the log groups whose executions are the cluster's tasks.
            aws: account and Region; an endpoint of CloudWatch Logs alone is not used.
            round_s: seconds between two rounds.
        """
        self._cluster = cluster
        self._groups = groups
        self._aws = aws
        self._round_s = round_s
        self._client = AwsClient(self._make_client)
        self._queue = CallQueue(DESCRIBE_RATE)
        self._rounds = TaskRounds()
        self._missing: dict[str, int] = {}
        self._definitions: dict[str, frozenset[str] | None] = {}
        self._warned: str | None = None

    async def open(self) -> None:
        """Make one call, so that a mistake is reported before connections are accepted.

        Raises:
            ConfigError: the cluster does not exist.
            CloudWatchError: access is denied; transient errors are only logged.
        """
        try:
            probe = self._call("describe_tasks", cluster=self._cluster, tasks=[PROBE_TASK])
            await check_in_time(probe, f"ECS (cluster {self._cluster})")
        except (ThrottledError, UnreachableError) as error:
            self._warn(error)

    async def close(self) -> None:
        """Close the connections."""
        self._client.close()
        self._queue.close()

    async def run(self) -> None:
        """Poll round after round until cancelled."""
        backoff = Backoff(RETRY_FIRST_MS, RETRY_MAX_MS, random.random)
        while True:
            try:
                await self.poll_once()
            except (CloudWatchError, ConfigError) as error:
                self._warn(error)
                await asyncio.sleep(backoff.count_failure() / 1000)
            else:
                backoff.reset()
                self._warned = None
                await asyncio.sleep(self._round_s)

    async def poll_once(self) -> None:
        """Poll the undecided executions once and report those that ended.

        Raises:
            CloudWatchError: ECS can't be reached; the remaining executions stay undecided.
            ConfigError: the cluster does not exist any more.
        """
        undecided: dict[str, None] = {}
        for group in self._groups:
            for execution in group.executions.undecided():
                if is_task_id(execution):
                    undecided[execution] = None
                else:
                    group.executions.mark_forgotten(execution)
        self._missing = {task: count for task, count in self._missing.items() if task in undecided}
        for batch in self._rounds.next_batches(list(undecided)):
            await self._poll_batch(batch)

    async def _poll_batch(self, batch: list[str]) -> None:
        """Make one call, or several if ECS rejects some of the ids."""
        try:
            reply = await self._call("describe_tasks", cluster=self._cluster, tasks=batch)
        except TaskIdError:
            if len(batch) == 1:
                self._report(batch, TaskReport({}, tuple(batch)))
                return
            middle = len(batch) // 2
            await self._poll_batch(batch[:middle])
            await self._poll_batch(batch[middle:])
            return
        arns = {str(one.get("taskDefinitionArn")) for one in reply.get("tasks") or ()}
        for arn in sorted(arns - set(self._definitions)):
            await self._load_definition(arn, reply)
        self._report(batch, read_tasks(batch, reply, self._definitions.get))

    def _report(self, asked: Collection[str], report: TaskReport) -> None:
        counts = {task: self._missing.pop(task, 0) + 1 for task in asked}
        self._missing |= {task: counts[task] for task in report.missing}
        for group in self._groups:
            for execution, status in report.ended.items():
                group.end_execution(execution, status)
            for execution in report.missing:
                if counts[execution] >= MISSING_TIMES:
                    group.executions.mark_forgotten(execution)

    async def _load_definition(self, arn: str, reply: dict[str, Any]) -> None:
        """Look up the essential containers, if a stopped task with several containers needs it."""
        tasks = [one for one in reply["tasks"] if one.get("taskDefinitionArn") == arn]
        is_needed = any(
            one.get("lastStatus") == "STOPPED" and len(one.get("containers") or ()) > 1
            for one in tasks
        )
        if not is_needed:
            return
        if len(self._definitions) >= DEFINITIONS_MAX:
            self._definitions.clear()
        try:
            answer = await self._call("describe_task_definition", taskDefinition=arn)
        except (ThrottledError, UnreachableError):
            raise
        except (CloudWatchError, ConfigError) as error:
            _LOG.warning("%s: %s (all its containers count as essential)", arn, error)
            self._definitions[arn] = None
            return
        self._definitions[arn] = essential_of(answer["taskDefinition"])

    async def _call(self, operation: str, **parameters: object) -> dict[str, Any]:
        def call(client: BaseClient) -> dict[str, Any]:
            answer: dict[str, Any] = getattr(client, operation)(**parameters)
            return answer

        return await self._client.call(call, translate=self._translate, queue=self._queue)

    def _translate(self, error: Exception, client: BaseClient) -> CloudWatchError | ConfigError:
        if isinstance(error, ClientError):
            code = error.response.get("Error", {}).get("Code")
            if code == "ClusterNotFoundException":
                hint = "check the name, --profile and --region"
                msg = f"--lifecycle: there is no ECS cluster {self._cluster!r}: {hint}"
                return ConfigError(msg)
            if code == "InvalidParameterException":
                return TaskIdError(f"ECS rejects a task id: {error}")
        place = AwsPlace(self._aws.region or "", self._aws.profile or "")
        return translate(error, where=client.meta.endpoint_url, service="ECS", place=place)

    def _warn(self, error: CloudWatchError | ConfigError) -> None:
        if self._warned != str(error):
            _LOG.warning("%s (executions stay open meanwhile; retrying)", error)
            self._warned = str(error)

    def _make_client(self) -> BaseClient:
        endpoint = sibling_endpoint("ecs", self._aws.endpoint_url, os.environ)
        client: BaseClient = make_client("ecs", self._aws, endpoint_url=endpoint)
        return client
