"""``gapless executions``: list the executions of a log group."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlsplit

import click

from common.errors import GaplessError
from common.http import request
from common.signals import run_until_signal
from common.text import NOTHING, replace_unprintable, table
from common.times import format_local
from common.tokens import find_offered_token, read_token
from gapless.options import (
    TARGET,
    ForwarderTarget,
    GroupTarget,
    Target,
    aws_options,
    token_file_option,
)
from gapless.terminal import say

if TYPE_CHECKING:
    from forwarder.cloudwatch.catalogue import StreamInfo
    from forwarder.cloudwatch.reader import CloudWatch
from gapless.aws import AwsChoice, prepare_credentials, read_cloudwatch


@click.command("executions")
@click.argument("target", type=TARGET)
@click.option("--json", "as_json", is_flag=True, help="Print an array of objects.")
@token_file_option
@aws_options
def command(target: Target, *, as_json: bool, token_file: Path | None, choice: AwsChoice) -> None:
    """List the executions of TARGET: a log group, or the ws:// URL of a forwarder."""
    token = read_token(token_file)
    if isinstance(target, GroupTarget):
        prepare_credentials(choice)
        executions = _of_group(target.group, choice)
    else:
        executions = _ask(target, _group_of(target), token or find_offered_token(target.url))
    if as_json:
        click.echo(json.dumps(executions))
        return
    if not executions:
        say("no executions yet")
        return
    click.echo(_table(executions))


def _of_group(group: str, choice: AwsChoice) -> list[dict[str, Any]]:
    """List the group's log streams, with details from its own forwarder if one is running.

    An execution that no forwarder has seen has status UNKNOWN and no count; its times are those
    of DescribeLogStreams, which lag by up to an hour.
    """
    from gapless.attach import journal_of, running_forwarder  # noqa: PLC0415 - only where one is needed

    found = {str(one["stream"]): one for one in _of_streams(group, choice)}
    ready = running_forwarder(journal_of(group, choice))
    if ready:
        url = str(ready["websocket"])
        for one in _ask(ForwarderTarget(url), group, find_offered_token(url)):
            found[str(one.get("stream"))] = one
    return list(found.values())


def _of_streams(group: str, choice: AwsChoice) -> list[dict[str, Any]]:
    from forwarder.cloudwatch.catalogue import describe_log_streams  # noqa: PLC0415 - slow to import

    async def read(cloudwatch: CloudWatch) -> list[StreamInfo]:
        async with contextlib.aclosing(describe_log_streams(cloudwatch, group)) as pages:
            return [one async for page in pages for one in page]

    return [
        {
            "execution": one.name.rpartition("/")[2],
            "stream": one.name,
            "status": "UNKNOWN",
            "first": one.first,
            "last": one.last,
            "count": None,
        }
        for one in run_until_signal(read_cloudwatch(choice, read))
    ]


def _ask(target: ForwarderTarget, group: str | None, token: str | None) -> list[dict[str, Any]]:
    query = f"?group={quote(group, safe='')}" if group else ""
    url = f"{target.http_url}/v1/executions{query}"
    answer = request(url, token=token)
    rows = answer.get("executions") if isinstance(answer, dict) else answer
    if not isinstance(rows, list) or not all(isinstance(one, dict) for one in rows):
        msg = f"{url} answers without a list of executions: is it a forwarder?"
        raise GaplessError(msg)
    return rows


def _group_of(target: ForwarderTarget) -> str | None:
    return next(iter(parse_qs(urlsplit(target.url).query).get("group", [])), None)


def _table(executions: list[dict[str, Any]]) -> str:
    newest_first = sorted(executions, key=lambda one: one.get("last") or 0, reverse=True)
    rows = [
        (
            replace_unprintable(str(one.get("execution"))),
            str(one.get("status")),
            format_local(one.get("first")),
            format_local(one.get("last")),
            NOTHING if one.get("count") is None else str(one["count"]),
            replace_unprintable(str(one.get("stream"))),
        )
        for one in newest_first
    ]
    titles = ("EXECUTION", "STATUS", "FIRST EVENT", "LAST EVENT", "EVENTS", "LOG STREAM")
    return table(titles, rows, frozenset({4}))
