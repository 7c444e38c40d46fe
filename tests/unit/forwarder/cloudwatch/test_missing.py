"""Messages that a log group does not exist: where, and similar names."""

from __future__ import annotations

import json

import pytest

from forwarder.cloudwatch import missing, reader
from forwarder.cloudwatch.missing import (
    NAMES_MAX,
    PAGES_MAX,
    close_names,
    explain_missing,
    explain_no_match,
)
from forwarder.cloudwatch.reader import CloudWatch
from forwarder.errors import GroupNotFoundError
from tests.support.forwarder.scripted_cloudwatch import (
    Asked,
    Reply,
    ScriptedCloudWatch,
    refusal,
)
from tests.support.processes.gapless_processes import WAIT_S
from tests.support.processes.sts_stand_in import sts_stand_in

ERROR = GroupNotFoundError("there is no log group", group="/aws/lambda/orders")


pytestmark = pytest.mark.usefixtures("credentials")


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    # After these the message comes without names, or without the account.
    monkeypatch.setattr(missing, "EXPLAIN_WITHIN_S", WAIT_S)
    monkeypatch.setattr(reader, "ACCOUNT_WITHIN_S", WAIT_S)


def listing(*names: str, account: str = "", token: str = "") -> Reply:
    groups = [{"logGroupName": name} for name in names]
    if account:
        for one in groups:
            one["arn"] = f"arn:aws:logs:us-east-1:{account}:log-group:{one['logGroupName']}:*"
    return Reply(body=json.dumps({"logGroups": groups, "nextToken": token or None}).encode())


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("/aws/lambda/order", ["/aws/lambda/orders"]),
        ("/AWS/Lambda/Orders", ["/aws/lambda/orders"]),
        ("orders", ["/aws/lambda/orders"]),
        ("/ecs/orders", ["/aws/lambda/orders"]),
        ("/aws/*/ordr*", ["/aws/lambda/orders"]),
        ("nothing-like-it", []),
        ("", []),
    ],
)
def test_similar_names_are_found_by_the_whole_or_the_last_part(name: str, found: list[str]) -> None:
    assert close_names(name, ["/aws/lambda/orders", "/x/billing-service", "/y/q"]) == found


def test_only_a_few_names_are_offered() -> None:
    assert len(close_names("/jobs/nightly", [f"/jobs/nightly-{n}" for n in range(20)])) == NAMES_MAX


async def test_the_message_names_region_account_and_similar_names(
    scripted: ScriptedCloudWatch, cloudwatch: CloudWatch
) -> None:
    scripted.script(listing("/aws/lambda/order", account="210987654321"))
    error = await explain_missing(cloudwatch, ERROR)
    assert str(error) == (
        "there is no log group '/aws/lambda/orders' in us-east-1 (account 210987654321): "
        "did you mean '/aws/lambda/order'? `gapless groups` lists the log groups"
    )
    assert [asked.get("logGroupNamePrefix") for asked in scripted.asked] == ["/aws/lambda"]


async def test_the_search_goes_on_in_other_folders_and_ends(
    scripted: ScriptedCloudWatch, cloudwatch: CloudWatch
) -> None:
    def reply(asked: Asked) -> Reply:
        if "logGroupNamePrefix" in asked:
            return listing()
        number = int(asked.get("nextToken") or 0) + 1
        return listing(f"/q/{number}", account="1", token=str(number))

    scripted.default = reply
    text = await explain_no_match(cloudwatch, "/aws/lambda/*")
    assert len(scripted.asked) == PAGES_MAX + 1
    assert text == (
        "no log group in us-east-1 (account 1) matches '/aws/lambda/*': "
        "check --region and --profile"
    )


async def test_denied_calls_do_not_replace_the_message(
    scripted: ScriptedCloudWatch, cloudwatch: CloudWatch
) -> None:
    scripted.default = lambda _: refusal("AccessDeniedException")
    error = await explain_missing(cloudwatch, ERROR)
    assert str(error).startswith(
        "there is no log group '/aws/lambda/orders' in us-east-1: check --region and --profile; "
    )


async def test_sts_names_the_account_where_no_log_group_does(
    cloudwatch: CloudWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sts_stand_in("") as sts:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
        text = await explain_no_match(cloudwatch, None)
    assert text == (
        "there are no log groups in us-east-1 (account 123456789012): check --region and --profile"
    )
    assert "account 123456789012" in (await cloudwatch.find_place()).text, "asked once"
