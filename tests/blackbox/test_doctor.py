"""``gapless doctor`` as a process: each cause of trouble is named, with its remedy."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from email.utils import formatdate
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
import pytest

from tests.support.forwarder.refusals import GROUP, REFUSALS
from tests.support.forwarder.scripted_cloudwatch import (
    Asked,
    Reply,
    page,
    refusal,
    scripted_cloudwatch,
)
from tests.support.network.middlebox import Middlebox
from tests.support.processes.gapless_processes import GaplessProcess, forwarder
from tests.support.processes.sts_stand_in import ACCOUNT, sts_stand_in

pytestmark = pytest.mark.timeout(600)

STREAM: Final = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/lines"
GROUP_ARN: Final = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:{GROUP}:*"
LIMITED: Final = (
    "import resource\n"
    "resource.setrlimit(resource.RLIMIT_FSIZE, (8_192, resource.RLIM_INFINITY))\n"
    "from gapless.cli import main\n"
    "main()"
)
"""Runs gapless with files of 8 KiB at most, which fails like a write to a full disk."""
LOOPBACK_ALONE: Final = (
    "import socket\n"
    "look_up = socket.getaddrinfo\n"
    "def look_up_here(host, *arguments, **options):\n"
    "    if host not in ('127.0.0.1', '::1', 'localhost'):\n"
    "        raise socket.gaierror(socket.EAI_NONAME, 'Name or service not known')\n"
    "    return look_up(host, *arguments, **options)\n"
    "socket.getaddrinfo = look_up_here\n"
    "from gapless.cli import main\n"
    "main()"
)
"""Runs gapless where no host name exists, and asks no name server."""

ANSWERS: Final[Mapping[str, Any]] = {
    "DescribeLogGroups": {"logGroups": [{"logGroupName": GROUP, "creationTime": 1}]},
    "DescribeLogStreams": {"logStreams": []},
    "DescribeSubscriptionFilters": {
        "subscriptionFilters": [{"filterName": "f", "destinationArn": STREAM}]
    },
    "ListShards": {"Shards": [{"ShardId": "shardId-000000000000"}]},
    "GetShardIterator": {"ShardIterator": "AAAA"},
    "GetRecords": {"Records": [], "NextShardIterator": "AAAB"},
    "DescribeTasks": {"tasks": [], "failures": []},
    "DescribeTaskDefinition": {"taskDefinition": {}},
}
PERMISSIONS: Final = {
    "logs:DescribeLogGroups": ("fail", "*"),
    "logs:DescribeLogStreams": ("fail", GROUP_ARN),
    "logs:FilterLogEvents": ("fail", GROUP_ARN),
    "logs:DescribeSubscriptionFilters": ("warn", GROUP_ARN),
    "kinesis:ListShards": ("warn", STREAM),
    "kinesis:GetShardIterator": ("warn", STREAM),
    "kinesis:GetRecords": ("warn", STREAM),
    "ecs:DescribeTasks": ("warn", "*"),
    "ecs:DescribeTaskDefinition": ("warn", "*"),
}


def answer(asked: Asked) -> Reply:
    operation = asked["operation"]
    if operation == "FilterLogEvents":
        return page([])
    return Reply(body=json.dumps(ANSWERS[operation]).encode())


Diagnose = Callable[..., tuple[int, dict[str, dict[str, str]]]]


@pytest.fixture
def diagnose(tmp_path: Path) -> Iterator[Diagnose]:
    """Run doctor; return its exit code, and its findings by what was checked."""
    with sts_stand_in("") as sts:

        def run(
            *arguments: str, reply: Callable[[Asked], Reply] = answer, **options: Sequence[str]
        ) -> tuple[int, dict[str, dict[str, str]]]:
            environment = {
                "AWS_ENDPOINT_URL_STS": sts.url,
                "GAPLESS_LIFECYCLE": "ecs:main",
                "LANG": "C.UTF-8",
            }
            with scripted_cloudwatch(reply) as cloudwatch:
                if not arguments:
                    arguments = (GROUP, "--endpoint-url", cloudwatch.url)
                with GaplessProcess(
                    "doctor",
                    "--json",
                    *arguments,
                    state=tmp_path,
                    environment=environment,
                    **options,
                ) as process:
                    lines = process.out.wait_end()
                    code = process.popen.wait(60)
            return code, {one["check"]: one for one in json.loads(lines[-1])}

        yield run


def test_where_all_is_well_every_line_is_ok(diagnose: Diagnose) -> None:
    code, found = diagnose()
    assert [one for one in found.values() if one["state"] != "ok" or one["remedy"]] == []
    assert code == 0
    assert found.keys() == {
        *("credentials", "Region", "account", "log group", "clock", "quota"),
        *("journal", "terminal", "loopback", "port"),
        *PERMISSIONS,
    }
    assert found["credentials"]["what"] == f"arn:aws:iam::{ACCOUNT}:user/ada"
    assert found["account"]["what"] == ACCOUNT


@pytest.mark.parametrize("action", PERMISSIONS)
def test_a_missing_permission_is_named_with_the_policy_line(
    action: str, diagnose: Diagnose
) -> None:
    state, resource = PERMISSIONS[action]

    def reply(asked: Asked) -> Reply:
        if asked["operation"] == action.partition(":")[2]:
            return refusal("AccessDeniedException", f"not authorized to perform: {action}")
        return answer(asked)

    code, found = diagnose(reply=reply)
    one = found.pop(action)
    assert (one["state"], code) == (state, 1 if state == "fail" else 0)
    assert one["what"].startswith("AWS denies it")
    line = json.dumps({"Effect": "Allow", "Action": action, "Resource": resource})
    assert one["remedy"] == f"add to the policy of arn:aws:iam::{ACCOUNT}:user/ada {line}"
    assert {other["state"] for other in found.values()} == {"ok"}


@pytest.mark.parametrize(
    ("cause", "check", "what", "remedy"),
    [
        ("expired", "credentials", "AWS credentials expired", "give --profile"),
        ("clock", "clock", "this machine's clock is wrong", "timedatectl set-ntp true"),
        ("deleted", "log group", "there is no log group", "check --region and --profile"),
        ("gone", "Region", "can't reach CloudWatch Logs", "check the network"),
    ],
)
def test_a_refusal_of_every_call_is_named_once(
    cause: str, check: str, what: str, remedy: str, diagnose: Diagnose
) -> None:
    code, found = diagnose(reply=lambda _: REFUSALS[cause].reply)
    assert code == 1
    assert [name for name, one in found.items() if one["state"] == "fail"] == [check]
    assert what in found[check]["what"]
    assert remedy in found[check]["remedy"]


@pytest.mark.parametrize(("ahead_s", "side"), [(900, "ahead of"), (-900, "behind")])
def test_a_wrong_clock_is_named_before_aws_refuses_it(
    ahead_s: int, side: str, diagnose: Diagnose
) -> None:
    date = formatdate(time.time() - ahead_s, usegmt=True)
    code, found = diagnose(reply=lambda asked: msgspec.structs.replace(answer(asked), date=date))
    assert code == 1
    assert found["clock"]["state"] == "fail"
    assert f"s {side} CloudWatch's" in found["clock"]["what"]
    assert "timedatectl set-ntp true" in found["clock"]["remedy"]


def test_throttling_is_a_matter_of_the_quota(diagnose: Diagnose) -> None:
    code, found = diagnose(reply=lambda _: REFUSALS["throttled"].reply)
    assert code == 0
    assert found["quota"]["state"] == "warn"
    assert "AWS throttles calls" in found["quota"]["what"]
    assert "--calls-per-second" in found["quota"]["remedy"]


def test_a_region_that_does_not_exist_is_named(diagnose: Diagnose) -> None:
    code, found = diagnose("--region", "xx-nowhere-1", program=("-c", LOOPBACK_ALONE))
    assert code == 1
    assert found["Region"]["state"] == "fail"
    assert "logs.xx-nowhere-1.amazonaws.com" in found["Region"]["what"]
    assert "check --region" in found["Region"]["remedy"]


def test_an_occupied_port_is_named(diagnose: Diagnose) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with scripted_cloudwatch(answer) as cloudwatch:
            code, found = diagnose("--endpoint-url", cloudwatch.url, "--port", str(port))
    assert code == 1
    assert found["port"]["what"] == f"port {port} of 127.0.0.1 is in use"
    assert "another --port" in found["port"]["remedy"]


def test_a_full_disk_is_named(diagnose: Diagnose, tmp_path: Path) -> None:
    code, found = diagnose(program=("-c", LIMITED))
    assert code == 1
    assert found["journal"]["state"] == "fail"
    assert str(tmp_path) in found["journal"]["what"]
    assert "make room" in found["journal"]["remedy"]


@pytest.mark.parametrize("place", ["/dev/null", "/proc/journals"])
def test_an_impossible_place_for_journals_is_named(diagnose: Diagnose, place: str) -> None:
    _, found = diagnose("ws://127.0.0.1:1/v1/tail", "--journal", place)
    assert found["journal"]["state"] == "fail"
    assert found["journal"]["what"].startswith(f"there can be no journals in {place} (")
    assert "folder" in found["journal"]["remedy"]


def test_blocked_websockets_are_named(diagnose: Diagnose, tmp_path: Path) -> None:
    with (
        scripted_cloudwatch(answer) as cloudwatch,
        forwarder(GROUP, cloudwatch.url, tmp_path) as process,
    ):
        ready = process.ready()
        with Middlebox(urlsplit(ready["http"]).port or 0) as box:
            code, blocked = diagnose(f"ws://127.0.0.1:{box.port}/v1/tail")
        free_code, free = diagnose(ready["websocket"])
    assert code == 1
    assert "are blocked (" in blocked["WebSocket"]["what"]
    assert "Upgrade" in blocked["WebSocket"]["remedy"]
    assert (free_code, free["WebSocket"]["state"]) == (0, "ok")
    assert free["forwarder"]["what"] == "every log group is served completely"


def test_lines_of_text_have_state_check_cause_and_remedy(tmp_path: Path) -> None:
    url = "ws://127.0.0.1:1/v1/tail"
    utf8 = {"LANG": "C.UTF-8"}
    with GaplessProcess("doctor", url, state=tmp_path, environment=utf8) as process:
        lines = process.out.wait_end()
        assert process.popen.wait(60) == 1
    assert lines[0].startswith("fail  WebSocket  can't reach ws://127.0.0.1:1/v1/tail (")
    assert "): check the address, whether the forwarder runs" in lines[0]
    assert [line[:4].strip() for line in lines] == ["fail", "ok", "ok", "ok", "ok"]
