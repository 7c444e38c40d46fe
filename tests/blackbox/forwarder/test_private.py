"""Forwarders on loopback serve their own user alone: another uid gets 401, and asks nothing."""

from __future__ import annotations

import http.client
import json
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from tests.support.forwarder.scripted_cloudwatch import (
    Asked,
    Reply,
    ScriptedCloudWatch,
    page,
    scripted_cloudwatch,
)
from tests.support.network.kept_port import kept_port
from tests.support.processes.gapless_processes import (
    WAIT_S,
    GaplessProcess,
    clean_environment,
    forwarder,
    wait_until,
)
from tests.support.processes.log_writer import now_ms

GROUP: Final = "/jobs/private"
NOBODY: Final = 65534
DAY_MS: Final = 86_400_000

pytestmark = pytest.mark.timeout(600)

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

UMASK_0: Final = "import os, sys; os.umask(0); from gapless.cli import main; sys.exit(main())"

AS_OTHER: Final = """
import http.client, json, os, sys
"all is imported before the files become unreadable".encode("idna")
os.setgroups([])
os.setgid(int(sys.argv[1]))
os.setuid(int(sys.argv[1]))
port, found = int(sys.argv[2]), {}
upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
           "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
for path, headers in [*((path, {}) for path in sys.argv[4:]), ("/v1/tail?since=0", upgrade)]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path, headers=headers)
    found[path] = connection.getresponse().status
try:
    open(sys.argv[3]).read()
    found["token"] = "read"
except OSError as error:
    found["token"] = type(error).__name__
print(json.dumps(found))
"""
"""Becomes another user for good, asks a forwarder for everything, and reads its token file."""

PATHS: Final = (
    *("/v1/logs?since=0", "/v1/executions", "/v1/groups", "/v1/viewers", "/metrics"),
    "/v1/digest?from=0&through=1&epoch=a&seq=0",
    *("/v1/logs?group=/other", "/v1/groups?group=/other", "/v1/groups?match=*", "/v1/forwarder"),
)


def answer(started_ms: int, asked: Asked) -> Reply:
    """One line of three days before the test's start, and one of a minute before."""
    events = [(1, started_ms - 3 * DAY_MS, "s"), (2, started_ms - 60_000, "s")]
    match asked["operation"]:
        case "FilterLogEvents":
            first, last = asked.get("startTime", 0), asked.get("endTime", now_ms())
            return page([one for one in events if first <= one[1] <= last])
        case "DescribeLogGroups":
            group = {"logGroupName": GROUP, "creationTime": started_ms - 30 * DAY_MS}
            return Reply(body=json.dumps({"logGroups": [group]}).encode())
        case _:
            return Reply(body=b'{"logStreams":[],"subscriptionFilters":[]}')


@pytest.fixture
def cloudwatch() -> Iterator[ScriptedCloudWatch]:
    # The time at which the test starts: modules are imported long before, when a run has many.
    with scripted_cloudwatch(partial(answer, now_ms())) as scripted:
        yield scripted


@pytest.fixture
def state() -> Iterator[Path]:
    """A directory into which every user may look, as a careless administrator makes it."""
    with tempfile.TemporaryDirectory(prefix="gapless-shared-") as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


def as_other_user(port: int, token_file: str) -> dict[str, Any]:
    """What another user gets from a forwarder, by path; ``token``: of its token file."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", AS_OTHER, str(NOBODY), str(port), token_file, *PATHS],
        env={},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def own_command(state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command of the forwarder's own user, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "gapless", *arguments],
        env=clean_environment(state),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )


def port_of(ready: dict[str, Any]) -> int:
    port: int | None = urlsplit(ready["websocket"]).port
    assert port is not None
    return port


def earliest_asked(cloudwatch: ScriptedCloudWatch, since: int) -> int:
    """The earliest time read from CloudWatch after ``since`` requests, once two more polls came."""
    wanted = len(reads(cloudwatch, 0)) + 3
    # Reads alone count: a forwarder that starts makes several other requests before its first.
    wait_until(lambda: len(reads(cloudwatch, 0)) >= wanted, "further polls")
    earliest: int = min(one.get("startTime", 0) for one in reads(cloudwatch, since))
    return earliest


def reads(cloudwatch: ScriptedCloudWatch, since: int) -> list[Asked]:
    """The requests for log events after the first ``since`` requests of any kind."""
    return [one for one in cloudwatch.asked[since:] if one["operation"] == "FilterLogEvents"]


def check_modes(state: Path) -> None:
    """Everything in the state directory is its owner's alone."""
    root = state / "xdg_state_home"
    found = [root, *root.rglob("*")]
    assert len(found) >= 4, "the root, our directory, tokens, and a token"
    modes = {str(one): stat.S_IMODE(one.stat().st_mode) for one in found if one.is_dir()}
    assert set(modes.values()) == {0o700}, modes
    tokens = list((root / "gapless" / "tokens").iterdir())
    assert {stat.S_IMODE(one.stat().st_mode) for one in tokens} == {0o600}


@needs_root
def test_another_user_gets_nothing_from_forward_and_asks_nothing_of_cloudwatch(
    cloudwatch: ScriptedCloudWatch, state: Path
) -> None:
    program = ("-c", UMASK_0)
    with forwarder(GROUP, cloudwatch.url, state, is_open=False, program=program) as process:
        ready = process.ready()
        earliest_asked(cloudwatch, 0)
        before = len(cloudwatch.asked)
        found = as_other_user(port_of(ready), ready["token_file"])
        assert found.pop("token") == "PermissionError"
        assert found == dict.fromkeys((*PATHS, "/v1/tail?since=0"), 401)
        assert earliest_asked(cloudwatch, before) > now_ms() - DAY_MS
        # The same requests with the token do reach CloudWatch.
        done = own_command(
            state, "tail", ready["websocket"], "--since", "4d", "--no-follow", "--output", "raw"
        )
        assert (done.returncode, done.stdout) == (0, "m1\nm2\n")
        assert earliest_asked(cloudwatch, before) <= now_ms() - 3 * DAY_MS
        check_modes(state)


@needs_root
def test_another_user_gets_nothing_from_the_forwarder_that_tail_starts(
    cloudwatch: ScriptedCloudWatch, state: Path
) -> None:
    aws = ("--endpoint-url", cloudwatch.url, "--region", "us-east-1")
    with GaplessProcess(
        *("tail", GROUP, "--output", "raw", *aws), state=state, program=("-c", UMASK_0)
    ) as process:
        assert process.out.wait_for(1, "lines") == ["m2"]
        (lock,) = (state / "xdg_state_home" / "gapless" / "accounts").glob("*/journals.lock")
        ready = json.loads(lock.read_text())
        before = len(cloudwatch.asked)
        found = as_other_user(port_of(ready), ready["token_file"])
        assert found.pop("token") == "PermissionError"
        assert set(found.values()) == {401}
        assert earliest_asked(cloudwatch, before) > now_ms() - DAY_MS
        # Any log group is served to the user alone: nothing was started or listed for the other.
        assert {one.get("logGroupName", GROUP) for one in cloudwatch.asked} == {GROUP}
        check_modes(state)
        # A second command of the same user attaches to it.
        done = own_command(state, "tail", GROUP, "--no-follow", "--output", "raw", *aws)
        assert (done.returncode, done.stdout) == (0, "m2\n")


def test_the_same_user_s_commands_find_the_token(
    cloudwatch: ScriptedCloudWatch, state: Path
) -> None:
    aws = ("--endpoint-url", cloudwatch.url, "--region", "us-east-1")
    with forwarder(GROUP, cloudwatch.url, state, is_open=False) as process:
        ready = process.ready()
        for url in (ready["websocket"], f"ws://localhost:{port_of(ready)}"):
            done = own_command(state, "tail", url, "--no-follow", "--output", "raw")
            assert (done.returncode, done.stdout) == (0, "m2\n"), done.stderr
        done = own_command(state, "verify", ready["websocket"], "--since", "10m", *aws)
        assert done.returncode == 0, done.stderr
        done = own_command(state, "executions", ready["websocket"], "--json")
        assert [one["stream"] for one in json.loads(done.stdout)] == ["s"]
        elsewhere = state / "elsewhere"
        done = own_command(elsewhere, "tail", ready["websocket"], "--no-follow")
        assert done.returncode != 0
        assert "token" in done.stderr
        assert done.stderr.count("\n") == 1
        token = ("--token-file", ready["token_file"])
        done = own_command(elsewhere, "tail", ready["websocket"], "--no-follow", *token)
        assert done.returncode == 0
        Path(ready["token_file"]).chmod(0o644)
        for options in (token, ()):
            done = own_command(state, "tail", ready["websocket"], "--no-follow", *options)
            assert done.returncode != 0
            assert f"chmod 600 {ready['token_file']}" in done.stderr
            assert done.stderr.count("\n") == 1


@needs_root
def test_without_a_token_every_user_of_the_machine_may_read(
    cloudwatch: ScriptedCloudWatch, state: Path
) -> None:
    with forwarder(GROUP, cloudwatch.url, state, "--no-token") as process:
        ready = process.ready()
        assert "token_file" not in ready
        found = as_other_user(port_of(ready), "/none")
        assert found["/v1/logs?since=0"] == 200
        assert found["/v1/tail?since=0"] == 101


def test_a_viewer_follows_its_forwarder_through_kill_and_restart(
    cloudwatch: ScriptedCloudWatch, state: Path
) -> None:
    with (
        kept_port() as port,
        forwarder(GROUP, cloudwatch.url, state, is_open=False, port=port) as first,
    ):
        ready = first.ready()
        old = Path(ready["token_file"]).read_text()
        with GaplessProcess(
            *("tail", ready["websocket"], "--output", "raw", "--since", "1d"), state=state
        ) as viewer:
            assert viewer.out.wait_for(1, "lines") == ["m2"]
            first.kill()
            with forwarder(GROUP, cloudwatch.url, state, is_open=False, port=port) as second:
                assert Path(second.ready()["token_file"]).read_text() != old
                done = own_command(state, "executions", ready["websocket"])
                assert done.returncode == 0, done.stderr
                wait_until(lambda: viewers(state, port) == 1, "the viewer's return")
            assert viewer.popen.poll() is None


def viewers(state: Path, port: int) -> int:
    """The number of connected viewers."""

    token = (state / "xdg_state_home" / "gapless" / "tokens" / f"127.0.0.1-{port}").read_text()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/v1/viewers", headers={"Authorization": f"Bearer {token.strip()}"})
    return len(json.loads(connection.getresponse().read()))
