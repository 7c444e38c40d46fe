"""``gapless verify``: compare what a forwarder serves with CloudWatch itself."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from common.errors import EXIT_DONE, EXIT_INCOMPLETE, GaplessError, UsageError
from common.http import read_token
from common.signals import run_until_signal
from common.text import replace_unprintable
from gapless.aws import AwsChoice
from gapless.options import (
    FILE,
    TARGET,
    TIME,
    ForwarderTarget,
    GroupTarget,
    Target,
    aws_choice,
    aws_options,
    parse_target,
)

if TYPE_CHECKING:
    from gapless.verification.verify import Verdict

_PROGRESS_S: Final = 0.2
"""How often the line of progress is written anew."""

_NOUNS: Final = {
    "missing": "missing from the forwarder",
    "surplus": "not in CloudWatch",
    "altered": "altered",
    "doubled": "served twice",
}
_WHY: Final = {
    "": "",
    "declared": "declared as lost",
    "arriving": "has just come",
    "retention": "older than the log group's retention",
    "deleted": "its log stream was deleted",
    "flapped": "returned when asked again",
}


@click.command("verify")
@click.argument("target", type=TARGET)
@click.option(
    "--since", type=TIME, metavar="1h|TIME", default="1h", show_default=True, help="From when on."
)
@click.option("--until", type=TIME, metavar="TIME", help="Through when; else through now.")
@click.option("--json", "as_json", is_flag=True, help="Print an object.")
@click.option("--token-file", type=FILE, metavar="F", help="File with the forwarder's token.")
@aws_options
def command(
    target: Target,
    *,
    since: int,
    until: int | None,
    as_json: bool,
    token_file: Path | None,
    profile: str | None,
    region: str | None,
    endpoint_url: str | None,
) -> int:
    """Read a range from CloudWatch and from TARGET, and list what is missing.

    TARGET is a log group, or the ws:// URL of a forwarder. Exit code 0: every event is there
    once, unaltered. 4: not so, and which ones are printed.
    """
    now_ms = time.time_ns() // 1_000_000
    wanted = now_ms if until is None else until
    if wanted < since:
        msg = "--until is before --since: nothing lies between"
        raise UsageError(msg)
    choice = aws_choice(profile, region, endpoint_url)
    token = read_token(token_file)
    with contextlib.ExitStack() as stack:
        if isinstance(target, GroupTarget):
            from gapless.attach import attach  # noqa: PLC0415 - only where one is needed

            own = stack.enter_context(attach(target.group, choice))
            served = parse_target(own.url)
            assert isinstance(served, ForwarderTarget)
            group: str | None = target.group
        else:
            served, group = target, None
        verdict = _verify(served, group, choice, token, (since, min(wanted, now_ms)))
    click.echo(json.dumps(as_object(verdict)) if as_json else as_text(verdict))
    is_short = until is not None and verdict.through < min(until, now_ms)
    return EXIT_DONE if verdict.clean and not is_short else EXIT_INCOMPLETE


def _verify(
    target: ForwarderTarget,
    group: str | None,
    choice: AwsChoice,
    token: str | None,
    span: tuple[int, int],
) -> Verdict:
    # boto3 and websockets are slow to import, hence imported only here.
    from forwarder.cloudwatch.reader import CloudWatch  # noqa: PLC0415
    from forwarder.config import AwsOptions  # noqa: PLC0415
    from forwarder.errors import ForwarderError  # noqa: PLC0415
    from gapless.verification.sources import group_of  # noqa: PLC0415
    from gapless.verification.verify import Verification  # noqa: PLC0415

    progress = _Progress()

    async def run() -> Verdict:
        options = AwsOptions(
            profile=choice.profile, region=choice.region, endpoint_url=choice.endpoint_url
        )
        name = group or await group_of(target, token)
        async with CloudWatch(options) as cloudwatch:
            one = Verification(target, name, cloudwatch, token=token, progress=progress.tell)
            return await one.run(*span)

    try:
        return run_until_signal(run())
    except ForwarderError as error:
        raise GaplessError(str(error), error.exit_code) from error
    finally:
        progress.clear()


class _Progress:
    """One line on stderr, written over and over; none where stderr is no terminal."""

    def __init__(self) -> None:
        self._is_shown = sys.stderr.isatty()
        self._at = 0.0

    def tell(self, text: str) -> None:
        """Show it, unless something was shown just now."""
        now = time.monotonic()
        if self._is_shown and now - self._at >= _PROGRESS_S:
            self._at = now
            sys.stderr.write(f"\r\x1b[2K{text}")
            sys.stderr.flush()

    def clear(self) -> None:
        """Leave nothing behind."""
        if self._is_shown and self._at:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()


def as_object(verdict: Verdict) -> dict[str, Any]:
    """The verdict as JSON has it; times in ms since the Unix epoch."""
    events = [
        {
            "difference": one.kind,
            "id": one.seen.id,
            "timestamp": one.seen.timestamp,
            "ingestion_time": one.seen.ingestion_time,
            "log_stream": one.seen.stream,
            "why": one.why or None,
        }
        for one in verdict.judged
    ]
    return {
        "complete": verdict.clean,
        "log_group": verdict.group,
        "since": verdict.since,
        "through": verdict.through,
        "wanted_through": verdict.wanted_through,
        "cloudwatch": verdict.cloudwatch,
        "forwarder": verdict.forwarder,
        "equal": verdict.equal,
        **verdict.counts,
        "declared": [{"from": from_, "through": through} for from_, through in verdict.declared],
        "digest_agrees": verdict.digest_agrees,
        "events": events,
    }


def as_text(verdict: Verdict) -> str:
    """A line for each event that differs, and what it comes to."""
    from common.times import iso, iso_range  # noqa: PLC0415 - only for text

    lines = []
    for one in verdict.judged:
        why = f"  ({_WHY[one.why]})" if one.why else ""
        stream = replace_unprintable(one.seen.stream)
        lines.append(f"{one.kind}  {iso(one.seen.timestamp)}  {stream}  {one.seen.id}{why}")
    hidden = sum(verdict.counts.values()) - len(verdict.judged)
    if hidden:
        lines.append(f"... and {hidden:,} more")
    lines += [
        f"declared as lost: {iso_range(from_, through)}" for from_, through in verdict.declared
    ]
    if not verdict.digest_agrees:
        lines.append("the forwarder's /v1/digest is not that of the events that it serves")
    if verdict.through < verdict.wanted_through:
        lines.append(
            f"not compared, since not proved yet: "
            f"{iso_range(verdict.through + 1, verdict.wanted_through)}"
        )
    found = [f"{count:,} {_NOUNS[kind]}" for kind, count in verdict.counts.items() if count]
    result = ", ".join(found) or "every one is there once, unaltered"
    span = iso_range(verdict.since, verdict.through)
    lines.append(f"{verdict.cloudwatch:,} events of {verdict.group} in {span}: {result}")
    return "\n".join(lines)
