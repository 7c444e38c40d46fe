"""``python -m tests.conformance URL``: checks any forwarder against PROTOCOL.md."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from common.errors import EXIT_DONE, EXIT_FAILURE, CannotConnectError, GaplessError, UsageError
from common.http import read_token
from common.signals import run_until_signal
from gapless.options import DURATION, FILE, TARGET, TEXT, TIME, ForwarderTarget, Target
from gapless.terminal import say

if TYPE_CHECKING:
    from tests.conformance.rules import Verdict


@click.command("python -m tests.conformance")
@click.argument("target", type=TARGET, metavar="URL")
@click.argument("rules", type=TEXT, nargs=-1, metavar="[RULE]...")
@click.option("--group", type=TEXT, metavar="G", help="The log group, where several are served.")
@click.option(
    "--since",
    type=TIME,
    metavar="1h|TIME",
    default="1h",
    show_default=True,
    help="How much of the log is used; 100,000 events at most.",
)
@click.option(
    "--patience",
    type=DURATION,
    metavar="60s",
    default="60s",
    show_default=True,
    help="How long to wait for what the page sets no time for.",
)
@click.option("--token-file", type=FILE, metavar="F", help="File with the forwarder's token.")
@click.option("--json", "as_json", is_flag=True, help="Print an object.")
def command(
    target: Target,
    rules: tuple[str, ...],
    *,
    group: str | None,
    since: int,
    patience: int,
    token_file: Path | None,
    as_json: bool,
) -> int:
    """Hold the forwarder at URL (ws:// or wss://) to PROTOCOL.md, rule by rule.

    It only looks on: no log event is written. A rule that nothing gave occasion for is "not
    shown". RULE is one of the table's, or a number of the page's in brackets; all of them
    unless given. Exit code 0: nothing failed. 1: something did.
    """
    if not isinstance(target, ForwarderTarget):
        msg = f"{target.group!r} is no ws:// URL: give a forwarder's, as gapless forward prints it"
        raise UsageError(msg)
    # websockets is slow to import, hence imported only here.
    from tests.conformance.rules import as_object, as_text, selected  # noqa: PLC0415

    try:
        wanted = selected(rules)
    except KeyError as error:
        msg = f"there is no rule {error.args[0]!r}: python -m tests.conformance URL lists them all"
        raise UsageError(msg) from error
    token = read_token(token_file)
    verdicts = _run(target.url, wanted, group, (since, patience), token)
    text = json.dumps(as_object(target.url, verdicts)) if as_json else as_text(verdicts)
    click.echo(text)
    has_failed = any(one.state == "FAILED" for one in verdicts)
    return EXIT_FAILURE if has_failed else EXIT_DONE


def _run(
    url: str,
    wanted: frozenset[str],
    group: str | None,
    since_and_patience: tuple[int, int],
    token: str | None,
) -> list[Verdict]:
    from tests.conformance.chapters import ALL  # noqa: PLC0415 - as above
    from tests.conformance.observer import EVENTS_MAX, TooManyError  # noqa: PLC0415 - as above
    from tests.conformance.rules import Ledger  # noqa: PLC0415 - as above
    from tests.conformance.suite import Suite, UnreachableError, group_in  # noqa: PLC0415 - as above

    since, patience = since_and_patience
    ledger = Ledger()
    suite = Suite(
        url,
        ledger,
        since=since,
        group=group or group_in(url),
        token=token,
        patience_s=patience / 1000,
    )
    try:
        run_until_signal(suite.run(ALL, wanted))
    except UnreachableError as error:
        if any(one.state == "FAILED" for one in ledger.verdicts(wanted)):
            # What broke the rules may be why nothing more can be had: that is the finding.
            return ledger.verdicts(wanted)
        msg = f"{url}: {error}"
        raise CannotConnectError(msg) from error
    except TooManyError as error:
        msg = f"there are more than {EVENTS_MAX:,} events: give a later --since"
        raise GaplessError(msg, UsageError.exit_code) from error
    return ledger.verdicts(wanted)


def main() -> int:
    """Run the command; the exit code. An error is one line on stderr."""
    try:
        return int(command.main(standalone_mode=False) or EXIT_DONE)
    except click.ClickException as error:
        say(error.format_message())
        return error.exit_code
    except GaplessError as error:
        say(str(error))
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
