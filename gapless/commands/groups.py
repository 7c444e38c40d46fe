"""``gapless groups``: the log groups that there are to watch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from common.errors import GaplessError
from common.signals import run_until_signal
from common.text import NOTHING, format_size, replace_unprintable, table
from common.times import format_local
from gapless.options import TEXT, aws_choice, aws_options
from gapless.settings import AwsChoice

if TYPE_CHECKING:
    from forwarder.cloudwatch.catalogue import GroupInfo


@click.command("groups")
@click.argument("pattern", type=TEXT, required=False)
@click.option("--json", "as_json", is_flag=True, help="Print an array of objects.")
@aws_options
def command(
    pattern: str | None,
    *,
    as_json: bool,
    profile: str | None,
    region: str | None,
    endpoint_url: str | None,
) -> None:
    """List the log groups whose names contain PATTERN (or match it, where it has * or ?)."""
    print_groups(aws_choice(profile, region, endpoint_url), pattern, as_json=as_json)


def print_groups(choice: AwsChoice, pattern: str | None, *, as_json: bool) -> None:
    """Ask CloudWatch Logs and print.

    Raises:
        GaplessError: it can't be asked; the text says why.

    """
    from forwarder.errors import ForwarderError  # noqa: PLC0415 - boto3 is slow to import

    try:
        groups = run_until_signal(_ask(choice, pattern))
    except ForwarderError as error:
        raise GaplessError(str(error), error.exit_code) from error
    if as_json:
        click.echo(msgspec.json.encode(groups))
        return
    if not groups:
        wanted = f" with {pattern!r} in its name" if pattern else ""
        click.echo(f"gapless: there is no log group{wanted} in this account and Region", err=True)
        return
    rows = [
        (
            replace_unprintable(one.name),
            format_local(one.created),
            format_size(one.stored_bytes),
            f"{one.retention_days} days" if one.retention_days else NOTHING,
        )
        for one in groups
    ]
    click.echo(table(("LOG GROUP", "CREATED", "STORED", "RETENTION"), rows, frozenset({2, 3})))


async def _ask(choice: AwsChoice, pattern: str | None) -> list[GroupInfo]:
    from forwarder.cloudwatch.catalogue import describe_log_groups  # noqa: PLC0415 - boto3 is slow to import
    from forwarder.cloudwatch.reader import CloudWatch  # noqa: PLC0415 - likewise
    from forwarder.config import AwsOptions  # noqa: PLC0415 - likewise

    options = AwsOptions(
        profile=choice.profile, region=choice.region, endpoint_url=choice.endpoint_url
    )
    async with CloudWatch(options) as cloudwatch:
        return await describe_log_groups(cloudwatch, pattern)
