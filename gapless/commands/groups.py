"""``gapless groups``: list the log groups of the account."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from common.signals import run_until_signal
from common.text import NOTHING, format_size, replace_unprintable, table
from common.times import format_local
from gapless.aws import AwsChoice, prepare_credentials, read_cloudwatch
from gapless.options import TEXT, aws_options
from gapless.terminal import say

if TYPE_CHECKING:
    from forwarder.cloudwatch.catalogue import GroupInfo
    from forwarder.cloudwatch.reader import CloudWatch


@click.command("groups")
@click.argument("pattern", type=TEXT, required=False)
@click.option("--json", "as_json", is_flag=True, help="Print an array of objects.")
@aws_options
def command(pattern: str | None, *, as_json: bool, choice: AwsChoice) -> None:
    """List the log groups whose names contain PATTERN (or match it, where it has * or ?)."""
    from forwarder.cloudwatch.catalogue import describe_log_groups  # noqa: PLC0415 - slow to import
    from forwarder.cloudwatch.missing import explain_no_match  # noqa: PLC0415 - likewise

    async def read(cloudwatch: CloudWatch) -> tuple[list[GroupInfo], str]:
        found = await describe_log_groups(cloudwatch, pattern)
        is_explained = not found and not as_json
        return found, await explain_no_match(cloudwatch, pattern) if is_explained else ""

    prepare_credentials(choice)
    groups, no_match = run_until_signal(read_cloudwatch(choice, read))
    if as_json:
        click.echo(msgspec.json.encode(groups))
    elif groups:
        click.echo(_table(groups))
    else:
        say(no_match)


def _table(groups: list[GroupInfo]) -> str:
    rows = [
        (
            replace_unprintable(one.name),
            format_local(one.created),
            format_size(one.stored_bytes),
            f"{one.retention_days} days" if one.retention_days else NOTHING,
        )
        for one in groups
    ]
    return table(("LOG GROUP", "CREATED", "STORED", "RETENTION"), rows, frozenset({2, 3}))
