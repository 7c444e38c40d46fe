"""``gapless executions``: list the executions of a log group."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlsplit

import click

from common.errors import GaplessError
from common.http import request
from common.text import NOTHING, replace_unprintable, table
from common.times import format_local
from common.tokens import find_offered_token, read_token
from gapless.aws import AwsChoice
from gapless.options import TARGET, several_aws_options, token_file_option
from gapless.targets.executions import id_of_stream
from gapless.targets.grammar import ForwarderTarget, GroupTarget, PatternTarget, Target
from gapless.terminal import say

if TYPE_CHECKING:
    from forwarder.cloudwatch.catalogue import StreamInfo


@click.command("executions")
@click.argument("target", type=TARGET)
@click.option("--json", "as_json", is_flag=True, help="Print an array of objects.")
@token_file_option
@several_aws_options
def command(
    target: Target, *, as_json: bool, token_file: Path | None, choices: tuple[AwsChoice, ...]
) -> None:
    """List the executions of TARGET.

    TARGET is a log group, a pattern of them, an ARN, or the ws:// URL of a forwarder.
    """
    token = read_token(token_file)
    if isinstance(target, ForwarderTarget):
        executions = _ask(target, _group_of(target), token or find_offered_token(target.url))
    else:
        executions = _of_groups(target, choices)
    if as_json:
        click.echo(json.dumps(executions))
        return
    if not executions:
        say("no executions yet")
        return
    click.echo(_table(executions))


def _of_groups(
    target: GroupTarget | PatternTarget, choices: tuple[AwsChoice, ...]
) -> list[dict[str, Any]]:
    """List the groups' log streams, with details from background forwarders that serve them.

    An execution that no forwarder has seen has status UNKNOWN and no count; its times are those
    of DescribeLogStreams, which lag by up to an hour.
    """
    from gapless.targets.reading import read_streams  # noqa: PLC0415 - not needed for --help

    rows: list[dict[str, Any]] = []
    for group in read_streams((target,), choices):
        found = {one.name: _unseen(one) for one in group.streams}
        for one in _seen(group.found.identifier, group.found.choice):
            found[str(one.get("stream"))] = one
        rows += [one | group.found.place for one in found.values()]
    return rows


def _unseen(stream: StreamInfo) -> dict[str, Any]:
    return {
        "execution": id_of_stream(stream.name),
        "stream": stream.name,
        "status": "UNKNOWN",
        "first": stream.first,
        "last": stream.last,
        "count": None,
    }


def _seen(group: str, choice: AwsChoice) -> list[dict[str, Any]]:
    """Return what a background forwarder knows of a group's executions, if it serves the group."""
    from gapless.forwarders.attach import running_forwarder  # noqa: PLC0415 - only where one is needed

    ready = running_forwarder(choice)
    if not ready:
        return []
    url = str(ready["websocket"])
    target, token = ForwarderTarget(url), find_offered_token(url)
    # Asking for a log group that is not served would begin to serve it.
    is_served = group in request(f"{target.http_url}/v1/groups", token=token)
    return _ask(target, group, token) if is_served else []


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
    places = {(one.get("log_group"), one.get("region")) for one in executions}
    is_several = len(places) > 1
    newest_first = sorted(executions, key=lambda one: one.get("last") or 0, reverse=True)
    rows = [
        (
            replace_unprintable(str(one.get("execution"))),
            str(one.get("status")),
            format_local(one.get("first")),
            format_local(one.get("last")),
            NOTHING if one.get("count") is None else str(one["count"]),
            *(_place(one) if is_several else ()),
            replace_unprintable(str(one.get("stream"))),
        )
        for one in newest_first
    ]
    titles = ["EXECUTION", "STATUS", "FIRST EVENT", "LAST EVENT", "EVENTS"]
    titles += [*(("LOG GROUP", "REGION") if is_several else ()), "LOG STREAM"]
    return table(titles, rows, frozenset({4}))


def _place(execution: dict[str, Any]) -> tuple[str, str]:
    return str(execution.get("log_group") or NOTHING), str(execution.get("region") or NOTHING)
