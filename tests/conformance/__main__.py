"""``python -m tests.conformance URL``: checks any forwarder against PROTOCOL.md."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from common.errors import EXIT_DONE, EXIT_FAILURE, CannotConnectError, GaplessError, UsageError
from common.signals import run_until_signal
from common.tokens import read_token
from gapless.options import DURATION, FILE, TARGET, TEXT, TIME
from gapless.targets.grammar import ForwarderTarget, Target, describe_target
from gapless.terminal import say

if TYPE_CHECKING:
    from tests.conformance.rules import Verdict


@click.command("python -m tests.conformance")
@click.argument("target", type=TARGET, metavar="URL")
@click.argument("rules", type=TEXT, nargs=-1, metavar="[RULE]...")
@click.option("--group", type=TEXT, metavar="G", help="Log group, if several are served.")
@click.option(
    "--since",
    type=TIME,
    metavar="1h|TIME",
    default="1h",
    show_default=True,
    help="Start of the range to check; 100,000 events at most.",
)
@click.option(
    "--patience",
    type=DURATION,
    metavar="60s",
    default="60s",
    show_default=True,
    help="Timeout for replies without a deadline in PROTOCOL.md.",
)
@click.option("--token-file", type=FILE, metavar="F", help="File with the access token.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as one JSON object.")
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
    """Check the forwarder at URL (ws:// or wss://) against PROTOCOL.md, rule by rule.

    No log events are written. A rule that the log group's content cannot exercise is "not shown".
    RULE is an id from the printed table, or a rule number of PROTOCOL.md, such as [13]; the
    default is all rules. Exit code 0: no rule failed; 1: at least one failed.
    """
    if not isinstance(target, ForwarderTarget):
        given = describe_target(target)
        msg = f"{given} is not a ws:// URL: give the one that gapless forward prints"
        raise UsageError(msg)
    # Imported late: websockets would slow down --help.
    from tests.conformance.rules import as_object, as_text, selected  # noqa: PLC0415

    try:
        wanted = selected(rules)
    except KeyError as error:
        msg = f"unknown rule {error.args[0]!r}: python -m tests.conformance URL lists all rules"
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
            # A forwarder that breaks a rule may also stop answering: report the broken rule.
            return ledger.verdicts(wanted)
        msg = f"{url}: {error}"
        raise CannotConnectError(msg) from error
    except TooManyError as error:
        msg = f"the range has more than {EVENTS_MAX:,} events: give a later --since"
        raise GaplessError(msg, UsageError.exit_code) from error
    return ledger.verdicts(wanted)


def main() -> int:
    """Run the command and return its exit code; an error is one line on stderr."""
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
