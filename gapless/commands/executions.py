"""``gapless executions``: what has been running in a log group."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import click

from gapless.errors import GaplessError
from gapless.http_client import read_token, request
from gapless.options import FILE, TARGET, aws_choice, aws_options
from gapless.table import harmless, moment, table
from gapless.targets import ForwarderTarget, GroupTarget, Target


@click.command("executions")
@click.argument("target", type=TARGET)
@click.option("--json", "as_json", is_flag=True, help="Print an array of objects.")
@click.option("--token-file", type=FILE, metavar="F", help="File with the forwarder's token.")
@aws_options
def command(
    target: Target,
    *,
    as_json: bool,
    token_file: Path | None,
    profile: str | None,
    region: str | None,
    endpoint_url: str | None,
) -> None:
    """List the executions of TARGET: a log group, or the ws:// URL of a forwarder."""
    choice = aws_choice(profile, region, endpoint_url)
    token = read_token(token_file)
    with contextlib.ExitStack() as stack:
        if isinstance(target, GroupTarget):
            from gapless.attach import attach  # noqa: PLC0415 - only where one is needed

            own = stack.enter_context(attach(target.group, choice))
            executions = _ask(ForwarderTarget(own.url), target.group, token)
        else:
            executions = _ask(target, _group_of(target), token)
    if as_json:
        click.echo(json.dumps(executions))
        return
    if not executions:
        click.echo("gapless: there are no executions yet", err=True)
        return
    click.echo(_table(executions))


def _ask(target: ForwarderTarget, group: str | None, token: str | None) -> list[dict[str, Any]]:
    query = f"?group={quote(group, safe='')}" if group else ""
    url = f"{target.http_url}/v1/executions{query}"
    answer = request(url, token=token)
    rows = answer.get("executions") if isinstance(answer, dict) else answer
    if not isinstance(rows, list) or not all(isinstance(one, dict) for one in rows):
        msg = f"{url} answers with something else than executions: is it a forwarder?"
        raise GaplessError(msg)
    return rows


def _group_of(target: ForwarderTarget) -> str | None:
    return next(iter(parse_qs(urlsplit(target.url).query).get("group", [])), None)


def _table(executions: list[dict[str, Any]]) -> str:
    newest_first = sorted(executions, key=lambda one: one.get("last") or 0, reverse=True)
    rows = [
        (
            harmless(str(one.get("execution"))),
            str(one.get("status")),
            moment(one.get("first")),
            moment(one.get("last")),
            str(one.get("count")),
            harmless(str(one.get("stream"))),
        )
        for one in newest_first
    ]
    titles = ("EXECUTION", "STATUS", "FIRST EVENT", "LAST EVENT", "EVENTS", "LOG STREAM")
    return table(titles, rows, frozenset({4}))
