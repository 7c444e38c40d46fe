"""What ECS says of tasks, and after which to ask next. Pure: no clock, no network.

With the awslogs driver a log stream is named prefix/container/task-id (Amazon ECS Developer
Guide, "Send Amazon ECS logs to CloudWatch"), so an execution is a task.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

import msgspec

from wire.messages import ExecutionStatus

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
