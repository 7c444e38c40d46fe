"""``gapless groups``: list the log groups of one or several accounts and Regions."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import click
import msgspec

from common.signals import run_until_signal
from common.text import NOTHING, format_size, replace_unprintable, table
from common.times import format_local
from gapless.aws import AwsChoice, prepare_credentials, read_each, region_of
from gapless.options import GROUPS, GroupPattern, several_aws_options
from gapless.terminal import say

if TYPE_CHECKING:
    from forwarder.cloudwatch.catalogue import GroupInfo
    from forwarder.cloudwatch.reader import CloudWatch


@click.command("groups")
@click.argument("pattern", type=GROUPS, required=False)
@click.option("--json", "as_json", is_flag=True, help="Print an array of objects.")
@several_aws_options
def command(pattern: GroupPattern | None, *, as_json: bool, choices: tuple[AwsChoice, ...]) -> None:
    """List the log groups whose names contain PATTERN (or match it, where it has * or ?).

    PATTERN may also be the ARN of a log group, of a linked account too.
    """
    if pattern is not None and not isinstance(pattern, str):
        choices = (msgspec.structs.replace(choices[0], region=pattern.region),)

    async def read(cloudwatch: CloudWatch, choice: AwsChoice) -> tuple[list[dict[str, Any]], str]:
        found = await _read(cloudwatch, choice, pattern)
        if found or as_json:
            return found, ""
        from forwarder.cloudwatch.missing import explain_no_match  # noqa: PLC0415 - slow to import

        text = pattern if pattern is None or isinstance(pattern, str) else pattern.identifier
        return found, await explain_no_match(cloudwatch, text)

    for one in choices:
        prepare_credentials(one)
    answers = run_until_signal(read_each(choices, read))
    found = [one for rows, _ in answers for one in rows]
    if as_json:
        click.echo(json.dumps(found))
    elif found:
        click.echo(_table(found, choices))
    else:
        for _, no_match in answers:
            say(no_match)


async def _read(
    cloudwatch: CloudWatch, choice: AwsChoice, pattern: GroupPattern | None
) -> list[dict[str, Any]]:
    """Return the log groups of one account and Region; for an ARN, also of a linked account."""
    if pattern is None or isinstance(pattern, str):
        from forwarder.cloudwatch.catalogue import (  # noqa: PLC0415 - slow to import
            describe_log_groups,
        )

        return [_row(one, choice) for one in await describe_log_groups(cloudwatch, pattern)]
    from gapless.targets.reading import look_up  # noqa: PLC0415 - likewise

    found = await look_up(cloudwatch, pattern)
    return [_row(one, choice, linked=is_linked) for one, is_linked in found]


def _row(group: GroupInfo, choice: AwsChoice, *, linked: bool = False) -> dict[str, Any]:
    return {
        **msgspec.to_builtins(group),
        "account": group.arn.split(":")[4] if group.arn else None,
        "region": region_of(choice, os.environ),
        "profile": choice.profile,
        "linked": linked,
    }


def _table(groups: list[dict[str, Any]], choices: tuple[AwsChoice, ...]) -> str:
    is_several = len(choices) > 1
    rows = [
        (
            replace_unprintable(one["name"]),
            format_local(one["created"]),
            format_size(one["stored_bytes"]),
            f"{one['retention_days']} days" if one["retention_days"] else NOTHING,
            *(_place(one) if is_several else ()),
        )
        for one in groups
    ]
    titles = ["LOG GROUP", "CREATED", "STORED", "RETENTION"]
    titles += ["ACCOUNT", "REGION"] if is_several else []
    return table(titles, rows, frozenset({2, 3}))


def _place(group: dict[str, Any]) -> tuple[str, str]:
    account = group["account"] or group["profile"] or NOTHING
    return account, group["region"] or NOTHING
