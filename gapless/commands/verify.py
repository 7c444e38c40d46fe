"""``gapless verify``: compare what a forwarder serves with CloudWatch itself."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from common.errors import EXIT_DONE, EXIT_INCOMPLETE
from common.ranges import Range
from common.signals import run_until_signal
from common.text import replace_unprintable
from common.tokens import find_offered_token, read_token
from gapless.aws import AwsChoice, prepare_credentials, read_cloudwatch
from gapless.options import (
    TARGET,
    TIME,
    check_times,
    filter_pattern_option,
    several_aws_options,
    token_file_option,
)
from gapless.targets.grammar import ForwarderTarget, Target, parse_target
from gapless.terminal import StatusLine, say

if TYPE_CHECKING:
    from forwarder.cloudwatch.reader import CloudWatch
    from gapless.verification.verifier import VerificationResult

_PROGRESS_S: Final = 0.2
"""Shortest time between two updates of the progress line."""

_LINES_S: Final = 10.0
"""Shortest time between two lines of progress where there is no terminal, and before the first."""

_NOUNS: Final = {
    "missing": "missing from the forwarder",
    "surplus": "not in CloudWatch",
    "altered": "altered",
    "doubled": "served twice",
}
_REASONS: Final = {
    "": "",
    "declared": "declared as lost",
    "arriving": "just ingested",
    "retention": "older than the log group's retention",
    "deleted": "its log stream was deleted",
    "flapped": "returned when asked again",
}


@click.command("verify")
@click.argument("target", type=TARGET)
@click.option(
    "--since",
    type=TIME,
    metavar="1h|TIME",
    default="1h",
    show_default=True,
    help="Start of the range.",
)
@click.option("--until", type=TIME, metavar="TIME", help="End of the range; default: now.")
@filter_pattern_option
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@token_file_option
@several_aws_options
def command(
    target: Target,
    *,
    since: int,
    until: int | None,
    filter_pattern: str,
    as_json: bool,
    token_file: Path | None,
    choices: tuple[AwsChoice, ...],
) -> int:
    """Read a range from CloudWatch and from TARGET, and list the differences.

    TARGET is a log group, a pattern of them, an ARN, or the ws:// URL of a forwarder. Exit code
    0: every event is there exactly once, unaltered. 4: some are not; they are listed. With
    --filter-pattern, the matching events are compared.
    """
    from gapless.targets.reading import find_groups  # noqa: PLC0415 - not needed for --help

    now_ms = time.time_ns() // 1_000_000
    check_times(since, until, now_ms)
    through = min(now_ms if until is None else until, now_ms)
    if isinstance(target, ForwarderTarget):
        token = read_token(token_file) or find_offered_token(target.url)
        prepare_credentials(choices[0])
        results = [_verify(target, None, filter_pattern, choices[0], token, (since, through))]
    else:
        results = [
            _verify_group(one.identifier, filter_pattern, one.choice, (since, through))
            for one in find_groups((target,), choices)
        ]
    objects = [as_object(one) for one in results]
    with suppress(BrokenPipeError):  # whatever `| head` reads, the exit code is of everything
        if as_json:
            click.echo(json.dumps(objects if len(objects) > 1 else objects[0]))
        else:
            click.echo("\n".join(as_text(one) for one in results))
    is_short = until is not None and any(one.through < min(until, now_ms) for one in results)
    is_clean = all(one.clean for one in results)
    return EXIT_DONE if is_clean and not is_short else EXIT_INCOMPLETE


def _verify_group(group: str, pattern: str, choice: AwsChoice, span: Range) -> VerificationResult:
    """Verify a log group with the background forwarder."""
    from gapless.forwarders.attach import attach  # noqa: PLC0415 - only where one is needed

    with attach(choice) as own:
        own.serve(group, pattern)
        served = parse_target(own.url)
        assert isinstance(served, ForwarderTarget)
        return _verify(served, group, pattern, choice, find_offered_token(served.url), span)


def _verify(
    target: ForwarderTarget,
    group: str | None,
    pattern: str,
    choice: AwsChoice,
    token: str | None,
    span: Range,
) -> VerificationResult:
    # botocore and websockets are slow to import, hence imported only here.
    from gapless.verification.sources import find_served_group, named_pattern  # noqa: PLC0415
    from gapless.verification.verifier import Verification  # noqa: PLC0415

    async def run(
        progress: Callable[[str], None], say: Callable[[str], None]
    ) -> VerificationResult:
        name = group or await find_served_group(target, token)

        async def verify(cloudwatch: CloudWatch) -> VerificationResult:
            one = Verification(
                target,
                name,
                cloudwatch,
                token=token,
                progress=progress,
                say=say,
                pattern=pattern or named_pattern(target),
            )
            return await one.run(*span)

        return await read_cloudwatch(choice, verify)

    with StatusLine() as status:

        def say_above(text: str) -> None:
            status.clear()
            say(text)

        at_s = time.monotonic()
        shown = at_most_every(_PROGRESS_S, status.show, shown_s=at_s - _PROGRESS_S)
        said = at_most_every(_LINES_S, say, shown_s=at_s)
        return run_until_signal(run(shown if status.is_terminal else said, say_above))


def at_most_every(
    every_s: float,
    show: Callable[[str], None],
    *,
    shown_s: float,
    timer: Callable[[], float] = time.monotonic,
) -> Callable[[str], None]:
    """Return ``show`` limited to one call in ``every_s``; calls between are dropped.

    ``shown_s`` is when the last call was, by ``timer``.
    """

    def limited(text: str) -> None:
        nonlocal shown_s
        if timer() - shown_s >= every_s:
            shown_s = timer()
            show(text)

    return limited


def as_object(result: VerificationResult) -> dict[str, Any]:
    """Return the result as a JSON object; times in ms since the Unix epoch."""
    events = [
        {
            "difference": one.kind,
            "id": one.event.id,
            "timestamp": one.event.timestamp,
            "ingestion_time": one.event.ingestion_time,
            "log_stream": one.event.stream,
            "why": one.reason or None,
        }
        for one in result.differences
    ]
    return {
        "complete": result.clean,
        "log_group": result.group,
        "pattern": result.pattern or None,
        "since": result.since,
        "through": result.through,
        "wanted_through": result.wanted_through,
        "unverified": result.unverified or None,
        "cloudwatch": result.cloudwatch,
        "forwarder": result.forwarder,
        "equal": result.equal,
        **result.counts,
        "declared": [{"from": from_, "through": through} for from_, through in result.declared],
        "digest_agrees": result.digest_agrees,
        "events": events,
    }


def as_text(result: VerificationResult) -> str:
    """Format a line for each difference, and a summary."""
    from common.times import iso, iso_range  # noqa: PLC0415 - only for text

    lines = []
    for one in result.differences:
        reason = f"  ({_REASONS[one.reason]})" if one.reason else ""
        stream = replace_unprintable(one.event.stream)
        lines.append(f"{one.kind}  {iso(one.event.timestamp)}  {stream}  {one.event.id}{reason}")
    hidden = sum(result.counts.values()) - len(result.differences)
    if hidden:
        lines.append(f"... and {hidden:,} more")
    lines += [
        f"declared as lost: {iso_range(from_, through)}" for from_, through in result.declared
    ]
    if not result.digest_agrees:
        lines.append("the forwarder's /v1/digest does not match the events that it serves")
    if result.through < result.wanted_through:
        lines.append(
            f"not compared, because not verified yet: "
            f"{iso_range(result.through + 1, result.wanted_through)}"
            + (f": {replace_unprintable(result.unverified)}" if result.unverified else "")
        )
    found = [f"{count:,} {_NOUNS[kind]}" for kind, count in result.counts.items() if count]
    summary = ", ".join(found) or "every one is there once, unaltered"
    span = iso_range(result.since, result.through)
    matching = f" matching {replace_unprintable(result.pattern)}" if result.pattern else ""
    lines.append(f"{result.cloudwatch:,} events of {result.group}{matching} in {span}: {summary}")
    return "\n".join(lines)
