"""``gapless forward``: serve log groups to viewers."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from common.errors import EXIT_DONE, EXIT_INTERRUPTED, GaplessError, UsageError
from common.locks import LockedError, LockFile, end_when_released, lock_path
from common.signals import handle_ending_signals, run_until_signal
from common.state import state_dir
from common.text import escape_unprintable
from gapless.aws import AwsChoice, group_folder
from gapless.options import (
    DURATION,
    FILE,
    LIFECYCLE,
    LIVE,
    PATH,
    PORT,
    SIZE,
    TEXT,
    aws_choice,
    aws_options,
    while_held_option,
)

if TYPE_CHECKING:
    from forwarder.config import Config

_ANY_PORT_MAX: Final = 64
"""Forwarders of the same log groups with --port 0 that find a journal of their own."""


class OneLineFormatter(logging.Formatter):
    """Escapes unprintable characters of messages; tracebacks, of our own code, stay as they are."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        """Return the line of a record."""
        record.message = escape_unprintable(record.message)
        return super().formatMessage(record)


@click.command("forward")
@click.argument("groups", type=TEXT, nargs=-1, required=True, metavar="GROUP...")
@click.option(
    "--live",
    type=LIVE,
    metavar="auto|poll|kinesis:STREAM",
    default="auto",
    show_default=True,
    help="Where live events come from: from polls; from a Kinesis stream (name or ARN) that a "
    "subscription filter fills; auto: from that stream where the log group has such a filter, "
    "else from polls. Whatever they come from, only whole scans prove anything.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=PORT, default=8765, show_default=True, help="0 = any free one.")
@click.option(
    "--journal", type=PATH, help="Where to keep the journal: a file; a folder for several groups."
)
@click.option(
    "--retain", type=DURATION, default="24h", show_default=True, help="How long to keep messages."
)
@click.option(
    "--retain-size",
    type=SIZE,
    default="2GiB",
    show_default=True,
    help="How large the journal may become.",
)
@click.option(
    "--lifecycle",
    type=LIFECYCLE,
    metavar="ecs:CLUSTER|pattern:RE|idle:30s",
    help="How an execution's end is known: from ECS, whose task id ends the log stream's name; by "
    "a message (with groups named SUCCEEDED, FAILED, STOPPED); or by silence. Set as "
    "GAPLESS_LIFECYCLE it holds for the forwarders that tail starts, too.",
)
@click.option(
    "--allowance",
    type=DURATION,
    help="How late CloudWatch may show an event without its being late news.  "
    "[default: learned, 2s to 1m]",
)
@click.option("--token-file", type=FILE, metavar="F", help="Ask viewers for the token in a file.")
@click.option("--tls-cert", type=FILE, metavar="F", help="Certificate: serve wss:// and https://.")
@click.option("--tls-key", type=FILE, metavar="F", help="Its private key.")
@click.option(
    "--max-viewers",
    type=click.IntRange(1, 100_000),
    default=1_000,
    show_default=True,
    help="Viewers at once; the next ones are told to come back.",
)
@click.option(
    "--max-per-address",
    type=click.IntRange(1, 100_000),
    help="Connections from one address, which may make a fifth as many plain HTTP requests a "
    "second; raise it for a proxy in front.  [default: 256, and no bound on loopback]",
)
@click.option("--clock-skew", type=FILE, hidden=True)
@aws_options
@while_held_option
def command(
    groups: tuple[str, ...],
    *,
    profile: str | None,
    region: str | None,
    endpoint_url: str | None,
    while_held: Path | None,
    **options: Any,  # noqa: ANN401 - click has checked them
) -> int:
    """Serve log groups to viewers; one JSON line says where, once it is ready.

    Ends with SIGTERM or Ctrl+C.
    """
    if while_held is not None:
        end_when_released(while_held)
    choice = aws_choice(profile, region, endpoint_url)
    _check_host(options["host"], options["token_file"])
    logging.basicConfig(level=logging.WARNING)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(OneLineFormatter("%(asctime)s %(levelname)s %(message)s"))

    with contextlib.ExitStack() as stack:
        journal, lock = _take_journal(options["journal"], groups, choice, options["port"])
        stack.enter_context(lock)
        config = _config(groups, choice, {**options, "journal": journal})
        return _serve(config, lock)


def _config(groups: tuple[str, ...], choice: AwsChoice, options: dict[str, Any]) -> Config:
    from forwarder.config import AwsOptions, Config, Limits  # noqa: PLC0415 - with the rest of it

    allowance_ms = options.pop("allowance")
    if allowance_ms is not None:
        options |= {"allowance_ms": allowance_ms, "allowance_max_ms": allowance_ms}
    limits = Limits(
        viewers_max=options.pop("max_viewers"),
        address_sockets_max=options.pop("max_per_address"),
    )
    return Config(
        groups=groups,
        aws=AwsOptions(
            profile=choice.profile, region=choice.region, endpoint_url=choice.endpoint_url
        ),
        retain_ms=options.pop("retain"),
        retain_bytes=options.pop("retain_size"),
        limits=limits,
        **options,
    )


def _serve(config: Config, lock: LockFile) -> int:
    """Serve until a signal ends it; the exit code."""
    from forwarder.main import Ready, run  # noqa: PLC0415 - with the rest of it

    received: list[signal.Signals] = []

    def announce(ready: Ready) -> None:
        line = msgspec.to_builtins(ready)
        # Whoever attaches wants to know whether an end will ever be told.
        lock.write({**line, "lifecycle": config.lifecycle})
        click.echo(json.dumps(line))
        # Whoever started us reads one line; nobody need read more.
        sys.stdout.flush()

    async def main() -> None:
        stop = asyncio.Event()

        def end(number: signal.Signals) -> None:
            received.append(number)
            stop.set()

        with handle_ending_signals(end):
            await run(config, announce, stop)

    run_until_signal(main())
    return EXIT_INTERRUPTED if signal.SIGINT in received[:1] else EXIT_DONE


def _check_host(host: str, token_file: Path | None) -> None:
    """Logs are not for everybody who can reach the machine.

    Raises:
        UsageError: others than this machine can connect, and no token is asked for.

    """
    if token_file is not None or is_loopback(host):
        return
    msg = (
        f"--host {host[:100]} can be reached from other machines: give --token-file, so that only "
        "who has the token can read the logs, or listen on 127.0.0.1"
    )
    raise UsageError(msg)


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to that address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _take_journal(
    journal: Path | None, groups: tuple[str, ...], choice: AwsChoice, port: int
) -> tuple[Path, LockFile]:
    """The journal and its lock: the one named, else one in the state directory.

    The default belongs to account, Region, endpoint, groups and port, so that the same command
    goes on with it after a restart and two forwarders never share one.
    """
    if journal is not None:
        with contextlib.suppress(OSError):  # taking the lock says better what is wrong
            journal.parent.mkdir(parents=True, exist_ok=True)
        return journal, LockFile.take(lock_path(journal))
    folder = state_dir("forward", group_folder(choice, " ".join(groups), os.environ))
    if port:
        path = folder / f"port-{port}"
        return _inside(path, groups), LockFile.take(lock_path(path))
    for number in range(1, _ANY_PORT_MAX):
        path = folder / f"any-port-{number}"
        with contextlib.suppress(LockedError):
            return _inside(path, groups), LockFile.take(lock_path(path))
    msg = f"{_ANY_PORT_MAX} forwarders of these log groups run already: give --journal"
    raise GaplessError(msg)


def _inside(path: Path, groups: tuple[str, ...]) -> Path:
    """A folder for several groups, a file for one."""
    return path if len(groups) > 1 else path.with_suffix(".sqlite3")
