"""``gapless forward``: serve log groups to viewers."""

from __future__ import annotations

import asyncio
import contextlib
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
from common.hosts import is_loopback
from common.locks import LockedError, LockFile, end_when_released, lock_path
from common.signals import handle_ending_signals, run_until_signal
from common.state import make_private_dir, state_dir
from common.text import escape_unprintable
from common.tokens import OfferedToken
from gapless.aws import AwsChoice, group_folder, prepare_credentials
from gapless.options import (
    DURATION,
    FILE,
    HOST,
    LIFECYCLE,
    LIVE,
    PATH,
    PORT,
    SIZE,
    TEXT,
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
    help="Source of live events: poll; a Kinesis stream (name or ARN) that a subscription filter "
    "fills; auto: that stream if the log group has such a filter, else poll. Full scans verify "
    "the events of every source.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=PORT, default=8765, show_default=True, help="0 = any free one.")
@click.option("--journal", type=PATH, help="Journal: a file; for several groups a folder.")
@click.option(
    "--retain", type=DURATION, default="24h", show_default=True, help="How long to keep messages."
)
@click.option(
    "--retain-size",
    type=SIZE,
    default="2GiB",
    show_default=True,
    help="Largest size of the journal.",
)
@click.option(
    "--lifecycle",
    type=LIFECYCLE,
    metavar="ecs:CLUSTER|pattern:RE|idle:30s",
    help="How the end of an execution is known: from ECS, by the task id at the end of the log "
    "stream's name; by a message (regular expression with groups named SUCCEEDED, FAILED, "
    "STOPPED); or by silence. As GAPLESS_LIFECYCLE it also applies to forwarders that tail starts.",
)
@click.option(
    "--allowance",
    type=DURATION,
    help="How long CloudWatch may take to show an event before it counts as late.  "
    "[default: learned, 2s to 1m]",
)
@click.option(
    "--token-file",
    type=FILE,
    metavar="F",
    help="Require a token of this file.  [default: a new token, which your own commands find]",
)
@click.option(
    "--no-token",
    is_flag=True,
    help="Require no token: every user of this machine can read the logs, with your credentials.",
)
@click.option(
    "--allow-host",
    "allow_hosts",
    type=HOST,
    multiple=True,
    metavar="NAME[:PORT]",
    help="Further name under which clients reach this forwarder, such as a reverse proxy's; "
    "requests for any other host, and from web pages of other sites, are refused.",
)
@click.option("--tls-cert", type=FILE, metavar="F", help="Certificate: serve wss:// and https://.")
@click.option("--tls-key", type=FILE, metavar="F", help="Its private key.")
@click.option(
    "--max-viewers",
    type=click.IntRange(1, 100_000),
    default=1_000,
    show_default=True,
    help="Viewers at the same time; more are asked to retry later.",
)
@click.option(
    "--max-per-address",
    type=click.IntRange(1, 100_000),
    help="Connections from one address, which may also make a fifth as many HTTP requests a "
    "second; raise it behind a proxy.  [default: 256, unlimited on loopback]",
)
@click.option("--clock-skew", type=FILE, hidden=True)
@aws_options
@while_held_option
def command(
    groups: tuple[str, ...],
    *,
    choice: AwsChoice,
    while_held: Path | None,
    no_token: bool,
    **options: Any,  # noqa: ANN401 - click has checked them
) -> int:
    """Serve log groups to viewers; a JSON line says where, once it is ready.

    Ends with SIGTERM or Ctrl+C.
    """
    if while_held is not None:
        end_when_released(while_held)
    prepare_credentials(choice, is_background=while_held is not None)
    _check_access(options["host"], options["token_file"], no_token=no_token)
    offered = None if no_token or options["token_file"] is not None else OfferedToken()
    logging.basicConfig(level=logging.WARNING)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(OneLineFormatter("%(asctime)s %(levelname)s %(message)s"))

    with contextlib.ExitStack() as stack:
        journal, lock = _take_journal(options["journal"], groups, choice, options["port"])
        stack.enter_context(lock)
        config = _config(groups, choice, {**options, "journal": journal})
        return _serve(config, lock, offered)


def _config(groups: tuple[str, ...], choice: AwsChoice, options: dict[str, Any]) -> Config:
    from forwarder.config import AwsOptions, Config, Limits  # noqa: PLC0415 - with the rest of it

    allowance_ms = options.pop("allowance")
    if allowance_ms is not None:
        options |= {"allowance_ms": allowance_ms, "allowance_max_ms": allowance_ms}
    limits = Limits(
        viewers_max=options.pop("max_viewers"), address_sockets_max=options.pop("max_per_address")
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


def _serve(config: Config, lock: LockFile, offered: OfferedToken | None) -> int:
    """Serve until a signal arrives; return the exit code."""
    from forwarder.main import Ready, run  # noqa: PLC0415 - with the rest of it

    received: list[signal.Signals] = []

    def announce(ready: Ready) -> None:
        line = msgspec.to_builtins(ready)
        if ready.token_file is None:
            del line["token_file"]
        # Attached viewers ask whether the end of an execution can be known.
        lock.write({**line, "lifecycle": config.lifecycle})
        click.echo(json.dumps(line))
        # The parent process waits for this line.
        sys.stdout.flush()

    async def main() -> None:
        stop = asyncio.Event()

        def end(number: signal.Signals) -> None:
            received.append(number)
            stop.set()

        with handle_ending_signals(end):
            await run(config, announce, stop, offered)

    run_until_signal(main())
    return EXIT_INTERRUPTED if signal.SIGINT in received[:1] else EXIT_DONE


def _check_access(host: str, token_file: Path | None, *, no_token: bool) -> None:
    """Check that other machines cannot read the logs without a token.

    Raises:
        UsageError: other machines can connect and no token is required, or the options contradict
            each other.
    """
    if no_token and token_file is not None:
        msg = "--token-file requires a token and --no-token requires none: give only one of them"
        raise UsageError(msg)
    if token_file is not None or is_loopback(host):
        return
    msg = (
        f"--host {host[:100]} can be reached from other machines: give --token-file, so that only "
        "holders of a token can read the logs, or listen on 127.0.0.1"
    )
    raise UsageError(msg)


def _take_journal(
    journal: Path | None, groups: tuple[str, ...], choice: AwsChoice, port: int
) -> tuple[Path, LockFile]:
    """Lock the journal: the one named, else one in the state directory.

    The default depends on account, Region, endpoint, groups and port, so that the same command
    continues it after a restart, and two forwarders never share one.
    """
    if journal is not None:
        with contextlib.suppress(OSError):  # taking the lock reports the problem
            make_private_dir(journal.parent)
        return journal, LockFile.take(lock_path(journal))
    folder = state_dir("forward", group_folder(choice, " ".join(groups), os.environ))
    if port:
        path = folder / f"port-{port}"
        return _journal_path(path, groups), LockFile.take(lock_path(path))
    for number in range(1, _ANY_PORT_MAX):
        path = folder / f"any-port-{number}"
        with contextlib.suppress(LockedError):
            return _journal_path(path, groups), LockFile.take(lock_path(path))
    msg = f"{_ANY_PORT_MAX} forwarders of these log groups are already running: give --journal"
    raise GaplessError(msg)


def _journal_path(path: Path, groups: tuple[str, ...]) -> Path:
    """Return a folder for several groups, a file for one."""
    return path if len(groups) > 1 else path.with_suffix(".sqlite3")
