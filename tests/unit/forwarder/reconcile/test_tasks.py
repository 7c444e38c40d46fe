from __future__ import annotations

from itertools import chain
from typing import Any

import pytest

from forwarder.reconcile.tasks import (
    CALLS_MAX,
    TASKS_MAX,
    Essential,
    Round,
    Told,
    essential_of,
    is_task_id,
    read,
    status_of,
)


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


def test_a_reply_is_of_who_was_asked_after() -> None:
    running = task(0) | {"taskArn": "arn:task/jobs/bbbb", "lastStatus": "DEPROVISIONING"}
    reply = {
        "tasks": [task(0), running],
        "failures": [
            {"arn": "arn:task/jobs/cccc", "reason": "MISSING"},
            {"arn": "arn:task/jobs/dddd", "reason": "ACCESS"},
        ],
    }
    asked = ["aaaa", "bbbb", "cccc", "dddd", "eeee"]
    assert read(asked, reply, nothing_known) == Told({"aaaa": "SUCCEEDED"}, ("cccc", "eeee"))
    assert read(["aaaa"], {}, nothing_known) == Told({}, ("aaaa",))


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


def test_everybody_is_asked_after_in_turn() -> None:
    rounds = Round()
    tasks = [f"{number:032x}" for number in range(TASKS_MAX * CALLS_MAX + 150)]
    first = rounds.next(tasks)
    assert [len(batch) for batch in first] == [TASKS_MAX] * CALLS_MAX
    second = rounds.next(tasks)
    assert list(chain(*second))[:150] == tasks[-150:]
    assert set(chain(*first, *second)) == set(tasks)
    assert rounds.next(tasks[:3]) == [tasks[:3]]
    assert rounds.next([]) == []
