"""``gapless groups``: list the log groups of one or several accounts and Regions."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

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


LAST_EVENTS_MAX: Final = 200
"""Log groups whose last event is read: AWS allows 25 such calls a second."""

LAST_EVENTS_AT_ONCE: Final = 5
"""Such calls at a time, so that they take no more than a part of that."""


@click.command("groups")
@click.argument("pattern", type=GROUPS, required=False)
@click.option("--json", "as_json", is_flag=True, help="Print an array of objects.")
@click.option(
    "--last-event",
    "with_last",
    is_flag=True,
    help=f"Read the time of the last event, too: a call for each of the first {LAST_EVENTS_MAX}.",
)
@several_aws_options
def command(
    pattern: GroupPattern | None,
    *,
    as_json: bool,
    with_last: bool,
    choices: tuple[AwsChoice, ...],
) -> None:
    """List the log groups whose names contain PATTERN (or match it, where it has * or ?).

    PATTERN may also be the ARN of a log group, of a linked account too.
    """
    if pattern is not None and not isinstance(pattern, str):
        choices = (msgspec.structs.replace(choices[0], region=pattern.region),)

    async def read(cloudwatch: CloudWatch, choice: AwsChoice) -> tuple[list[dict[str, Any]], str]:
        found = await _read(cloudwatch, choice, pattern)
        if with_last:
            await _add_last_events(cloudwatch, found)
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
    for no_match in (one for _, one in answers if one):
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


async def _add_last_events(cloudwatch: CloudWatch, rows: list[dict[str, Any]]) -> None:
    """Add the time of the last event to the rows, as far as it can be read."""
    from forwarder.cloudwatch.catalogue import last_event_ms  # noqa: PLC0415 - slow to import
    from forwarder.errors import CloudWatchError  # noqa: PLC0415 - likewise

    turns = asyncio.Semaphore(LAST_EVENTS_AT_ONCE)

    async def add(row: dict[str, Any]) -> None:
        row["last_event"] = None
        with suppress(CloudWatchError):  # such as a missing permission: the list is worth showing
            async with turns:
                row["last_event"] = await last_event_ms(cloudwatch, row["name"])

    own = [row for row in rows if not row["linked"]]
    await asyncio.gather(*map(add, own[:LAST_EVENTS_MAX]))


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
    has_last = any("last_event" in one for one in groups)
    rows = [
        (
            replace_unprintable(one["name"]),
            format_local(one["created"]),
            format_size(one["stored_bytes"]),
            f"{one['retention_days']} days" if one["retention_days"] else NOTHING,
            *((format_local(one.get("last_event")),) if has_last else ()),
            *(_place(one) if is_several else ()),
        )
        for one in groups
    ]
    titles = ["LOG GROUP", "CREATED", "STORED", "RETENTION"]
    titles += ["LAST EVENT"] if has_last else []
    titles += ["ACCOUNT", "REGION"] if is_several else []
    return table(titles, rows, frozenset({2, 3}))


def _place(group: dict[str, Any]) -> tuple[str, str]:
    account = group["account"] or group["profile"] or NOTHING
    return account, group["region"] or NOTHING
