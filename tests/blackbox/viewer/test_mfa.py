"""Profiles whose role needs an MFA code: asked for in the foreground, shared with the AWS CLI."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.forwarder.scripted_cloudwatch import (
    Asked,
    Reply,
    ScriptedCloudWatch,
    page,
    refusal,
    scripted_cloudwatch,
)
from tests.support.processes.gapless_processes import WAIT_S, GaplessProcess, wait_until
from tests.support.processes.sts_stand_in import StsStandIn, sts_stand_in
from tests.support.pseudo_terminal import TerminalProcess

pytestmark = pytest.mark.timeout(600)

GROUP = "/jobs/nightly"
DEVICE = "arn:aws:iam::123456789012:mfa/ada"
PROMPT = f"Enter MFA code for {DEVICE}: "
CODE, NEXT_CODE = "424242", "654321"
CONFIG = f"""
[profile keys]
region = us-east-1
[profile ops]
region = us-east-1
role_arn = arn:aws:iam::123456789012:role/Ops
source_profile = keys
mfa_serial = {DEVICE}
"""
CREDENTIALS = """
[keys]
aws_access_key_id = USERKEY
aws_secret_access_key = secret
"""


class Account:
    """Stand-ins for CloudWatch and STS, and the settings of a user with an MFA device."""

    def __init__(self, folder: Path, logs: ScriptedCloudWatch, sts: StsStandIn) -> None:
        self.folder, self.logs, self.sts = folder, logs, sts
        self.refused: set[str] = set()
        (folder / "config").write_text(CONFIG)
        (folder / "credentials").write_text(CREDENTIALS)
        logs.default = self.reply

    def reply(self, asked: Asked) -> Reply:
        if self.logs.caller.access_key in self.refused:
            return refusal("ExpiredTokenException", "The security token is expired")
        if asked["operation"] == "FilterLogEvents":
            return page([])
        return Reply(body=b'{"logGroups":[{"logGroupName":"/jobs/nightly","creationTime":1}]}')

    @property
    def environment(self) -> dict[str, str]:
        return {
            # Empty variables count as unset.
            "AWS_ACCESS_KEY_ID": "",
            "AWS_SECRET_ACCESS_KEY": "",
            "AWS_CONFIG_FILE": str(self.folder / "config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(self.folder / "credentials"),
            "AWS_ENDPOINT_URL_STS": self.sts.url,
            "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS": self.logs.url,
        }

    @property
    def cached(self) -> list[Path]:
        return sorted((self.folder / "home/.aws/cli/cache").glob("*.json"))

    def on_terminal(self, *arguments: str) -> TerminalProcess:
        return TerminalProcess(
            *arguments, "--profile", "ops", state=self.folder, environment=self.environment
        )

    def without_terminal(self, *arguments: str) -> GaplessProcess:
        return GaplessProcess(
            *arguments, "--profile", "ops", state=self.folder, environment=self.environment
        )

    def enter(self, code: str) -> int:
        """Enter a code into ``gapless groups``; returns the exit code."""
        with self.on_terminal("groups") as groups:
            groups.wait_for(PROMPT)
            groups.press(f"{code}\n")
            return groups.popen.wait(WAIT_S)


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    with scripted_cloudwatch() as logs, sts_stand_in(CODE) as sts:
        yield Account(tmp_path, logs, sts)


def test_the_code_is_asked_for_before_the_screen_and_the_forwarder_finds_the_role(
    account: Account,
) -> None:
    with account.on_terminal("tail", GROUP) as tail:
        tail.wait_for(PROMPT)
        assert "\x1b[?1049h" not in tail.written, "no screen yet"
        assert account.logs.asked == []
        tail.press(f"{CODE}\n")
        tail.wait_for("\x1b[?1049h")
        wait_until(lambda: len(account.logs.asked) > 2, "polls")
        assert set(account.logs.access_keys) == {"ROLEKEY1"}
    assert account.sts.codes == [CODE]
    assert CODE not in tail.written, "not echoed"
    [entry] = account.cached
    assert entry.stat().st_mode & 0o777 == 0o600


def test_a_role_in_the_cache_of_the_cli_needs_no_code(account: Account) -> None:
    assert account.enter(CODE) == 0
    with account.without_terminal("groups") as groups:
        assert groups.popen.wait(WAIT_S) == 0
        assert GROUP in "\n".join(groups.out.wait_end())
    assert account.sts.codes == [CODE]


def test_a_damaged_cache_is_replaced(account: Account) -> None:
    assert account.enter(CODE) == 0
    entry = json.loads(account.cached[0].read_text())["Credentials"]
    damages: list[dict[str, object]] = [{"AccessKeyId": 1}, {"Expiration": "yesterday"}]
    for number, damage in enumerate(damages, 2):
        account.cached[0].write_text(json.dumps({"Credentials": {**entry, **damage}}))
        assert account.enter(CODE) == 0
        assert f"ROLEKEY{number}" in account.cached[0].read_text()
    (entry,) = account.cached
    entry.unlink()
    os.mkfifo(entry)
    with account.on_terminal("groups") as groups:
        groups.wait_for(PROMPT)
        groups.press(f"{CODE}\n")
        groups.wait_for("it is not a regular file")
        groups.popen.wait(WAIT_S)


@pytest.mark.parametrize(
    ("entered", "text"),
    [
        ("000000\n", "gapless: AWS rejects the MFA code: "),
        ("12\n", "gapless: that is no MFA code: "),
        ("\x04", "\ngapless: no MFA code was entered: "),
    ],
)
def test_a_wrong_code_is_one_line(account: Account, entered: str, text: str) -> None:
    with account.on_terminal("tail", GROUP) as tail:
        tail.wait_for(PROMPT)
        tail.press(entered)
        assert tail.popen.wait(WAIT_S) == 3
        tail.wait_for(text)
        assert "Traceback" not in tail.written
    assert account.cached == []


@pytest.mark.parametrize("command", ["tail", "forward", "groups", "executions", "verify"])
def test_without_a_terminal_one_line_says_where_to_enter_the_code(
    account: Account, command: str
) -> None:
    target = () if command == "groups" else (GROUP,)
    with account.without_terminal(command, *target) as process:
        assert process.popen.wait(WAIT_S) == 3
        [line] = process.err.wait_end()
        assert "run `gapless groups --profile ops` on a terminal" in line
        assert DEVICE in line
    assert account.logs.asked == []


def test_a_forwarder_reports_expired_credentials_and_takes_up_renewed_ones(
    account: Account,
) -> None:
    assert account.enter(CODE) == 0
    account.sts.code = NEXT_CODE
    with account.without_terminal("tail", GROUP, "--output", "text") as tail:
        wait_until(lambda: "ROLEKEY1" in account.logs.access_keys[2:], "polls")
        [entry] = account.cached
        stored = json.loads(entry.read_text())
        stored["Credentials"]["Expiration"] = "2020-01-01T00:00:00UTC"
        entry.write_text(json.dumps(stored))
        account.refused.add("ROLEKEY1")
        wait_until(
            lambda: any("`gapless groups --profile ops`" in line for line in tail.err.so_far()),
            "the command that helps",
        )
        assert account.enter(NEXT_CODE) == 0
        before = len(account.logs.access_keys)
        wait_until(
            lambda: any("can be read again" in line for line in tail.err.so_far()), "the all-clear"
        )
        wait_until(lambda: "ROLEKEY2" in account.logs.access_keys[before:], "polls as the new role")
    assert account.sts.codes == [CODE, NEXT_CODE]
