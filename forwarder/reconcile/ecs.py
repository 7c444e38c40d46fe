"""Asks ECS which executions are over (``--lifecycle ecs:CLUSTER``). A shell; ``tasks`` decides.

ECS has threads, a client and a call budget of its own, so that whatever it does slows no scan.
While it can't be asked nothing is decided: an execution that ended is told of once it can.

What ECS says of tasks, and after which to ask next. Pure: no clock, no network.

With the awslogs driver a log stream is named prefix/container/task-id (Amazon ECS Developer
Guide, "Send Amazon ECS logs to CloudWatch"), so an execution is a task.
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
from forwarder.cloudwatch.client import AwsClient, make_client, sibling_endpoint, translate
from forwarder.cloudwatch.rate_limit import Priority, Turns
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
"""Calls of one round; who is not asked after in this one is in the next."""

_TASK_ID: Final = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
"""Present ids have 32 hex digits, those of the format until 2018 are UUIDs."""

_STOPPED_BY_SOMEBODY: Final = "UserInitiated"
_NEVER_STARTED: Final = "TaskFailedToStart"

Essential = Callable[[str], Collection[str] | None]
"""The names of a task definition's essential containers by its ARN; None: nobody can tell."""


class Told(msgspec.Struct, frozen=True):
    """What one DescribeTasks reply says of the tasks that were asked after."""

    over: Mapping[str, ExecutionStatus]
    missing: tuple[str, ...]
    """ECS knows nothing of these."""


def is_task_id(execution: str) -> bool:
    """Whether an execution can be a task; one bad id would have the whole call refused."""
    return _TASK_ID.fullmatch(execution) is not None


class Round:
    """Goes round the undecided tasks, so that each is asked after in its turn."""

    def __init__(self) -> None:
        """Nobody has been asked after."""
        self._asked: dict[str, int] = {}
        self._number = 0

    def next(self, undecided: Sequence[str]) -> list[list[str]]:
        """The batches of the next round: who waits longest first, then as given.

        Args:
            undecided: every task of which it is not known that it is over.

        """
        self._number += 1
        asked = self._asked
        tasks = sorted(undecided, key=lambda task: asked.get(task, 0))[: TASKS_MAX * CALLS_MAX]
        self._asked = {task: asked[task] for task in undecided if task in asked}
        self._asked |= dict.fromkeys(tasks, self._number)
        return [tasks[at : at + TASKS_MAX] for at in range(0, len(tasks), TASKS_MAX)]


def read(asked: Sequence[str], reply: Mapping[str, Any], essential: Essential) -> Told:
    """Read a reply: who is over and how, and of whom ECS knows nothing.

    A task is over once its ``lastStatus`` is STOPPED. A failure other than MISSING leaves it
    undecided.
    """
    over: dict[str, ExecutionStatus] = {}
    known: set[str] = set()
    for task in reply.get("tasks") or ():
        task_id = _id_of(task.get("taskArn"))
        known.add(task_id)
        if task.get("lastStatus") == "STOPPED":
            over[task_id] = status_of(task, essential)
    for failure in reply.get("failures") or ():
        if failure.get("reason") != "MISSING":
            known.add(_id_of(failure.get("arn")))
    return Told(over, tuple(task for task in asked if task not in known))


def status_of(task: Mapping[str, Any], essential: Essential) -> ExecutionStatus:
    """How a stopped task ended, from ``stopCode`` and its containers' exit codes.

    Stopped by a user: STOPPED. An essential container with an exit code other than 0, or none
    that could be started: FAILED. All of the essential ones 0: SUCCEEDED. Else, where ECS lost
    an exit code: UNKNOWN.
    """
    code = task.get("stopCode")
    if code == _STOPPED_BY_SOMEBODY:
        return "STOPPED"
    exits = {str(one.get("name")): one.get("exitCode") for one in task.get("containers") or ()}
    if len(set(exits.values())) > 1:
        # They differ, so it matters which of them count.
        names = essential(str(task.get("taskDefinitionArn")))
        exits = {name: exit_code for name, exit_code in exits.items() if _counts(name, names)}
    codes = set(exits.values())
    if code == _NEVER_STARTED or any(codes - {0, None}):
        return "FAILED"
    return "SUCCEEDED" if codes == {0} else "UNKNOWN"


def essential_of(definition: Mapping[str, Any]) -> frozenset[str]:
    """The essential containers of a task definition; a container is, unless it says otherwise."""
    return frozenset(
        str(one.get("name"))
        for one in definition.get("containerDefinitions") or ()
        if one.get("essential", True)
    )


def _counts(name: str, essential: Collection[str] | None) -> bool:
    return essential is None or name in essential


def _id_of(arn: object) -> str:
    return str(arn).rpartition("/")[2]


_LOG: Final = logging.getLogger("gapless.forwarder")

ROUND_S: Final = 3.0
"""Between two rounds of DescribeTasks: what an end is late by at most, beside its draining."""
RETRY_FIRST_MS: Final = 1_000
RETRY_MAX_MS: Final = 60_000
DEFINITIONS_MAX: Final = 1_000
"""Task definitions of which the essential containers are remembered."""

MISSING_TIMES: Final = 3
"""Rounds in a row in which ECS knows nothing of a task before its silence has to do: it knows of
one that has just begun only a moment later."""

NOBODY: Final = "0" * 32
"""An id that no task has: asked after at the start, to see that the cluster can be asked."""


class TaskIdError(RequestRejectedError):
    """ECS refuses a call because of one of the ids that it asks after."""


class EcsWatcher:
    """Tells log groups which of their executions are over, as one cluster knows it."""

    def __init__(
        self,
        cluster: str,
        groups: Sequence[LogGroup],
        aws: AwsOptions,
        *,
        round_s: float = ROUND_S,
    ) -> None:
        """Nothing is asked before ``open``.

        Args:
            cluster: its name or ARN.
            groups: those whose executions are its tasks.
            aws: account and Region; an endpoint of CloudWatch Logs alone is not used.
            round_s: seconds between two rounds.

        """
        self._cluster = cluster
        self._groups = groups
        self._aws = aws
        self._round_s = round_s
        self._where = "its endpoint"
        self._client = AwsClient(self._make_client)
        self._turns: Turns | None = None
        self._round = Round()
        self._missing: dict[str, int] = {}
        self._definitions: dict[str, frozenset[str] | None] = {}
        self._trouble: str | None = None

    async def open(self) -> None:
        """Make a client and ask once, so that a mistake is known before anybody is served.

        Raises:
            ConfigError: there is no such cluster.
            CloudWatchError: it may not be asked; what passes by itself is no reason to stop.

        """
        try:
            await self._call("describe_tasks", cluster=self._cluster, tasks=[NOBODY])
        except (ThrottledError, UnreachableError) as error:
            self._tell(error)

    async def close(self) -> None:
        """Close the connections."""
        self._client.close()

    async def run(self) -> None:
        """Ask round after round until cancelled."""
        backoff = Backoff(RETRY_FIRST_MS, RETRY_MAX_MS, random.random)
        while True:
            try:
                await self.ask_once()
            except (CloudWatchError, ConfigError) as error:
                self._tell(error)
                await asyncio.sleep(backoff.count_failure() / 1000)
            else:
                backoff.reset()
                self._trouble = None
                await asyncio.sleep(self._round_s)

    async def ask_once(self) -> None:
        """One round: ask after the undecided, and tell the log groups.

        Raises:
            CloudWatchError: ECS can't be asked; who was not asked after is undecided still.
            ConfigError: there is no such cluster any more.

        """
        undecided: dict[str, None] = {}
        for group in self._groups:
            for execution in group.executions.undecided():
                if is_task_id(execution):
                    undecided[execution] = None
                else:
                    group.executions.mark_forgotten(execution)
        self._missing = {one: many for one, many in self._missing.items() if one in undecided}
        for batch in self._round.next(list(undecided)):
            await self._ask_after(batch)

    async def _ask_after(self, batch: list[str]) -> None:
        """One call, or several where ECS refuses some of the ids."""
        try:
            reply = await self._call("describe_tasks", cluster=self._cluster, tasks=batch)
        except TaskIdError:
            if len(batch) == 1:
                self._take(batch, Told({}, tuple(batch)))
                return
            middle = len(batch) // 2
            await self._ask_after(batch[:middle])
            await self._ask_after(batch[middle:])
            return
        arns = {str(one.get("taskDefinitionArn")) for one in reply.get("tasks") or ()}
        for arn in sorted(arns - set(self._definitions)):
            await self._learn(arn, reply)
        self._take(batch, read(batch, reply, self._essential))

    def _take(self, asked: Collection[str], told: Told) -> None:
        counts = {one: self._missing.pop(one, 0) + 1 for one in asked}
        self._missing |= {one: counts[one] for one in told.missing}
        for group in self._groups:
            for execution, status in told.over.items():
                group.end_execution(execution, status)
            for execution in told.missing:
                if counts[execution] >= MISSING_TIMES:
                    group.executions.mark_forgotten(execution)

    async def _learn(self, arn: str, reply: dict[str, Any]) -> None:
        """Which containers count, where that matters: of stopped tasks with several."""
        of_it = [one for one in reply["tasks"] if one.get("taskDefinitionArn") == arn]
        is_needed = any(
            one.get("lastStatus") == "STOPPED" and len(one.get("containers") or ()) > 1
            for one in of_it
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
            _LOG.warning("%s: %s (all its containers are taken to be essential)", arn, error)
            self._definitions[arn] = None
            return
        self._definitions[arn] = essential_of(answer["taskDefinition"])

    def _essential(self, arn: str) -> Collection[str] | None:
        return self._definitions.get(arn)

    async def _call(self, operation: str, **parameters: object) -> dict[str, Any]:
        turns = self._turns = self._turns or Turns(asyncio.get_running_loop())
        client = await self._client.get(lambda make: turns.call(make, Priority.POLL))
        self._where = client.meta.endpoint_url
        try:
            answer: dict[str, Any] = await turns.call(
                lambda: getattr(client, operation)(**parameters), Priority.SCAN
            )
        except Exception as error:  # botocore raises what the shape of a strange reply leads to
            told = self._translated(error)
            self._client.failed(client, told)
            if isinstance(told, ThrottledError):
                turns.throttled()
            raise told from error
        turns.budget.succeeded()
        return answer

    def _translated(self, error: Exception) -> CloudWatchError | ConfigError:
        if isinstance(error, ClientError):
            code = error.response.get("Error", {}).get("Code")
            if code == "ClusterNotFoundException":
                how = "check the name, --profile and --region"
                return ConfigError(f"--lifecycle: there is no ECS cluster {self._cluster!r}: {how}")
            if code == "InvalidParameterException":
                return TaskIdError(f"ECS refuses a task id: {error}")
        return translate(error, where=self._where, service="ECS")

    def _tell(self, error: CloudWatchError | ConfigError) -> None:
        if self._trouble != str(error):
            _LOG.warning("%s (ends of executions wait; trying again)", error)
            self._trouble = str(error)

    def _make_client(self) -> BaseClient:
        endpoint = sibling_endpoint("ecs", self._aws.endpoint_url, os.environ)
        client: BaseClient = make_client("ecs", self._aws, endpoint_url=endpoint)
        return client
