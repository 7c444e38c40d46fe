"""``gapless doctor``: check what gapless needs, and say what to do about what does not work."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from common.errors import UsageError
from common.signals import run_until_signal
from common.tokens import find_offered_token, read_token
from gapless.aws import AwsChoice, prepare_credentials
from gapless.options import PATH, PORT, TARGET, aws_options, calls_option, token_file_option
from gapless.settings import setting_of
from gapless.targets.grammar import ForwarderTarget, PatternTarget, Target
from gapless.terminal import StatusLine

if TYPE_CHECKING:
    from gapless.doctor.findings import Finding

_COLOURS: Final = {"ok": "green", "warn": "yellow", "fail": "red"}
_ECS: Final = "ecs:"


@click.command("doctor")
@click.argument("target", type=TARGET, required=False)
@click.option(
    "--port",
    type=PORT,
    metavar="N",
    default=0,
    help="Also check that a forwarder could listen on this port.",
)
@click.option(
    "--journal",
    type=PATH,
    metavar="PATH",
    help="Folder or file of `forward --journal`; default: the state directory.",
)
@click.option("--json", "as_json", is_flag=True, help="Print an array of objects.")
@calls_option
@token_file_option
@aws_options
def command(
    target: Target | None,
    *,
    port: int,
    journal: Path | None,
    as_json: bool,
    calls_per_second: float | None,
    token_file: Path | None,
    choice: AwsChoice,
) -> int:
    """Check credentials, Region, account, permissions, clock, quota, journal and connections.

    TARGET is a log group to try, or the ws:// URL of a forwarder; then AWS is not asked. Each line
    is ok, warn or fail, what was found and what to do about it. Exit code 1: a line is fail.
    """
    # Imports botocore and websockets, which are slow.
    from gapless.doctor.findings import as_json as objects  # noqa: PLC0415
    from gapless.doctor.findings import as_lines, exit_code  # noqa: PLC0415

    if isinstance(target, PatternTarget):
        msg = "doctor tries one log group: give its name"
        raise UsageError(msg)
    if not isinstance(target, ForwarderTarget):
        _prepare(choice)
    with StatusLine() as status:
        status.show("checking …")
        findings = run_until_signal(
            _check(target, choice, port, journal, calls_per_second, token_file)
        )
    with suppress(BrokenPipeError):  # whatever `| head` reads, the exit code is of everything
        if as_json:
            click.echo(json.dumps(objects(findings)))
        else:
            for state, line in as_lines(findings):
                click.echo(f"{click.style(line[:4], fg=_COLOURS[state])}{line[4:]}")
    return exit_code(findings)


def _prepare(choice: AwsChoice) -> None:
    """Ask for an MFA code if one is needed; a failure is reported by the check of credentials."""
    from forwarder.errors import ForwarderError  # noqa: PLC0415 - not needed for --help

    try:
        prepare_credentials(choice)
    except ForwarderError:
        return


async def _check(
    target: Target | None,
    choice: AwsChoice,
    port: int,
    journal: Path | None,
    calls_per_second: float | None,
    token_file: Path | None,
) -> list[Finding]:
    """Run all probes side by side, and judge what they found."""
    from common.concurrency import in_thread  # noqa: PLC0415 - not needed for --help
    from gapless.doctor import judging, machine_probe  # noqa: PLC0415 - likewise

    far = asyncio.create_task(_check_far_end(target, choice, calls_per_second, token_file))
    kept, loopback, free = await asyncio.gather(
        in_thread(lambda: machine_probe.probe_journal(journal)),
        machine_probe.probe_loopback(),
        in_thread(lambda: machine_probe.probe_port(port)),
    )
    return [
        *await far,
        judging.judge_journal(kept),
        judging.judge_terminal(machine_probe.probe_terminal()),
        judging.judge_loopback(loopback),
        judging.judge_port(machine_probe.LOOPBACK, port, free),
    ]


async def _check_far_end(
    target: Target | None,
    choice: AwsChoice,
    calls_per_second: float | None,
    token_file: Path | None,
) -> list[Finding]:
    """Check the forwarder, or AWS."""
    if isinstance(target, ForwarderTarget):
        from gapless.doctor import judging, machine_probe  # noqa: PLC0415 - not needed for --help

        token = read_token(token_file) or find_offered_token(target.url)
        return judging.judge_forwarder(await machine_probe.probe_forwarder(target, token))
    from forwarder.config import AwsOptions  # noqa: PLC0415 - not needed for --help
    from gapless.doctor.aws_judging import judge_aws  # noqa: PLC0415 - likewise
    from gapless.doctor.aws_probe import AwsProbe  # noqa: PLC0415 - likewise

    lifecycle = setting_of("forward", "lifecycle", os.environ) or ""
    probe = AwsProbe(
        AwsOptions(
            profile=choice.profile,
            region=getattr(target, "region", None) or choice.region,
            endpoint_url=choice.endpoint_url,
        ),
        group="" if target is None else target.identifier,
        cluster=lifecycle.removeprefix(_ECS) if lifecycle.startswith(_ECS) else "",
        limit=calls_per_second,
    )
    return judge_aws(await probe.run())
