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
from gapless.forwarders.ingesting import IngestingProcess, ingest_arguments
from gapless.options import (
    DURATION,
    FILE,
    HOST,
    JOURNAL,
    LIFECYCLE,
    LIVE,
    PATH,
    PORT,
    SERVED_TARGET,
    SIZE,
    WholeNumber,
    aws_options,
    calls_option,
    while_held_option,
)
from wire.limits import GROUP_NAME

if TYPE_CHECKING:
    from forwarder.config import Config

_ANY_PORT_MAX: Final = 64
"""Forwarders of the same log groups with --port 0 that find a journal of their own."""


ROLES: Final = ("both", "serve", "ingest")


class OneLineFormatter(logging.Formatter):
    """Escapes unprintable characters of messages; tracebacks, of our own code, stay as they are."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        """Return the line of a record."""
        record.message = escape_unprintable(record.message)
        return super().formatMessage(record)


@click.command("forward")
@click.argument("groups", type=SERVED_TARGET, nargs=-1, metavar="[TARGET]...")
@click.option(
    "--groups-file",
    type=FILE,
    metavar="F",
    help="File with further TARGETs, one a line (# begins a comment); read again when it changes.",
)
@click.option(
    "--wait",
    is_flag=True,
    help="Wait for log groups that do not exist yet. Those that match a pattern may always come "
    "and go.",
)
@click.option(
    "--any-group",
    is_flag=True,
    help="Serve any log group of the account that a client with a token asks for, as the forwarder "
    "does that tail starts.",
)
@click.option(
    "--max-groups",
    "groups_max",
    type=WholeNumber(1, 10_000),
    default=500,
    show_default=True,
    help="Log groups served at the same time; each costs calls, three open files and some memory.",
)
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
@click.option(
    "--journal",
    type=JOURNAL,
    metavar="PATH|postgresql://…",
    help="Journal: a file; for several groups a folder. With patterns, --groups-file or "
    "--any-group a folder with a file for each group; one unused for longer than --retain is "
    "deleted. Or the URL of a PostgreSQL database that several forwarders share (the password "
    "comes from PGPASSFILE or PGPASSWORD).",
)
@click.option(
    "--role",
    type=click.Choice(ROLES),
    help="With a shared journal: serve viewers, ingest from CloudWatch, or both, in two processes."
    "  [default: both]",
)
@click.option(
    "--views",
    type=PATH,
    metavar="DIR",
    help="With a shared journal: folder of the local copies, which may be deleted at any time.  "
    "[default: in the state directory]",
)
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
    type=WholeNumber(1, 100_000),
    default=1_000,
    show_default=True,
    help="Viewers at the same time; more are asked to retry later.",
)
@click.option(
    "--max-per-address",
    type=WholeNumber(1, 100_000),
    help="Connections from one address, which may also make a fifth as many HTTP requests a "
    "second; raise it behind a proxy.  [default: 256, unlimited on loopback]",
)
@calls_option
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

    A TARGET is a log group, a pattern of names ('/ecs/*'; * and ? stand for any characters), or an
    ARN, also of a log group in an account that is linked to yours (cross-account observability).
    Log groups that match a pattern join and leave as they are created and deleted. Ends with
    SIGTERM or Ctrl+C.
    """
    if not (groups or options["groups_file"] or options["any_group"]):
        msg = "give a TARGET, --groups-file or --any-group: gapless forward '/ecs/*'"
        raise UsageError(msg)
    groups = tuple(dict.fromkeys(groups))
    if while_held is not None:
        end_when_released(while_held)
    prepare_credentials(choice, is_background=while_held is not None)
    _check_access(options["host"], options["token_file"], no_token=no_token)
    offered = None if no_token or options["token_file"] is not None else OfferedToken()
    logging.basicConfig(level=logging.WARNING)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(OneLineFormatter("%(asctime)s %(levelname)s %(message)s"))

    with contextlib.ExitStack() as stack:
        role, url = _check_shared(options)
        journal, lock = _take_journal(groups, choice, options, role)
        stack.enter_context(lock)
        if url is None:
            return _serve(_config(groups, choice, {**options, "journal": journal}), lock, offered)
        options["views"] = journal
        child = None
        if role == "both":
            arguments = ingest_arguments(groups, choice, url, options)
            child = stack.enter_context(IngestingProcess(arguments))
        shared = {"replicated": url, "role": "ingest" if role == "ingest" else "serve"}
        config = _config(groups, choice, {**options, "journal": journal, **shared})
        return _serve(config, lock, offered, child)


def _config(groups: tuple[str, ...], choice: AwsChoice, options: dict[str, Any]) -> Config:
    from forwarder.config import AwsOptions, Config, Limits  # noqa: PLC0415 - with the rest of it

    options = {name: value for name, value in options.items() if name != "views"}
    if options["role"] is None:
        del options["role"]
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


def _check_shared(options: dict[str, Any]) -> tuple[str, str | None]:
    """Return the role, and the URL of a shared journal; None where the journal is local.

    Raises:
        UsageError: the options contradict each other.
    """
    journal: Path | str | None = options["journal"]
    if isinstance(journal, str):
        return options["role"] or "both", journal
    for name in ("role", "views"):
        if options[name] is not None:
            msg = f"--{name} needs a shared journal: give --journal postgresql://USER@HOST/DATABASE"
            raise UsageError(msg)
    return "both", None


def _serve(
    config: Config,
    lock: LockFile,
    offered: OfferedToken | None,
    child: IngestingProcess | None = None,
) -> int:
    """Serve until a signal arrives; return the exit code."""
    from forwarder.main import Ready, run  # noqa: PLC0415 - with the rest of it

    received: list[signal.Signals] = []

    def announce(ready: Ready) -> None:
        line = msgspec.to_builtins(ready)
        if ready.token_file is None:
            del line["token_file"]
        # Attached viewers ask whether the end of an execution can be known.
        about = {
            "lifecycle": config.lifecycle,
            "targets": [*config.groups, *(["*"] if config.any_group else [])],
            "profile": config.aws.profile,
            "region": config.aws.region,
            "endpoint_url": config.aws.endpoint_url,
        }
        lock.write({**line, **about})
        click.echo(json.dumps(line))
        # The parent process waits for this line.
        sys.stdout.flush()

    async def main() -> None:
        stop = asyncio.Event()

        def end(number: signal.Signals) -> None:
            received.append(number)
            if child is not None:
                # First of all: the others take over while the viewers here are sent away.
                child.begin_stop()
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
    groups: tuple[str, ...], choice: AwsChoice, options: dict[str, Any], role: str
) -> tuple[Path, LockFile]:
    """Lock the journal, or a role's folder of views: the one named, else in the state directory.

    The default depends on account, Region, endpoint, targets and port, so that the same command
    continues it after a restart, and two forwarders never share one.
    """
    is_shared = isinstance(options["journal"], str)
    journal: Path | None = options["views"] if is_shared else options["journal"]
    end = f"-{role}" if is_shared else ""
    if journal is not None:
        if is_shared:
            return journal, LockFile.take(lock_path(_made(journal) / role))
        with contextlib.suppress(OSError):  # taking the lock reports the problem
            make_private_dir(journal.parent)
        return journal, LockFile.take(lock_path(journal))
    named = list(groups)
    if options["groups_file"] is not None:
        named.append(f"file {options['groups_file']}")
    if options["any_group"]:
        named.append("any group")
    is_file = (
        not is_shared
        and len(named) == len(groups) == 1
        and GROUP_NAME.fullmatch(groups[0]) is not None
    )
    suffix = ".sqlite3" if is_file else ""
    folder = state_dir("forward", group_folder(choice, " ".join(named), os.environ))
    port: int = options["port"]
    if port:
        path = folder / f"port-{port}{end}"
        return path.with_suffix(suffix), LockFile.take(lock_path(path))
    for number in range(1, _ANY_PORT_MAX):
        path = folder / f"any-port-{number}{end}"
        with contextlib.suppress(LockedError):
            return path.with_suffix(suffix), LockFile.take(lock_path(path))
    msg = f"{_ANY_PORT_MAX} forwarders of these log groups are already running: give --journal"
    raise GaplessError(msg)


def _made(folder: Path) -> Path:
    """Make a folder of views if needed; locking a file in it reports the problem."""
    with contextlib.suppress(OSError):
        make_private_dir(folder)
    return folder
