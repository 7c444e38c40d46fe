"""``gapless purge``: delete the journals that no forwarder uses."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

import click

from common.errors import EXIT_DONE, UsageError
from common.text import format_size
from gapless.options import DURATION
from gapless.terminal import say

if TYPE_CHECKING:
    from gapless.forwarders.journals import KeptJournal


@click.command("purge")
@click.option(
    "--older-than",
    type=DURATION,
    metavar="24h",
    help="Only journals that were not used for this long.  [default: all that are not in use]",
)
@click.option("--yes", is_flag=True, help="Delete without asking.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as an object.")
def command(*, older_than: int | None, yes: bool, as_json: bool) -> int:
    """Delete the journals in the state directory that no forwarder uses.

    The logs themselves stay in CloudWatch: a journal that is deleted is read again when its log
    group is watched, as far as CloudWatch still has it. Saved cursors of its viewers start over.
    """
    from gapless.forwarders.journals import all_journals  # noqa: PLC0415 - imports SQLite and the forwarder

    age_s = (older_than or 0) / 1000
    now_s = time.time()
    found = [one for one in all_journals() if now_s - one.last_used_s >= age_s and not one.is_used]
    if found and not yes:
        _confirm(found)
    freed = [size for one in found if (size := one.delete(age_s)) is not None]
    kept = len(all_journals())
    if as_json:
        click.echo(json.dumps({"deleted": len(freed), "freed_bytes": sum(freed), "kept": kept}))
    else:
        noun = "journal" if len(freed) == 1 else "journals"
        freed_text = f", {format_size(sum(freed))} freed" if freed else ""
        say(f"{len(freed)} {noun} deleted{freed_text}; {kept} kept")
    return EXIT_DONE


def _confirm(found: list[KeptJournal]) -> None:
    """Ask whether to delete.

    Raises:
        UsageError: nobody can be asked.
        click.Abort: the user does not want to.
    """
    what = f"{len(found)} journal{'s' if len(found) > 1 else ''}"
    size = format_size(sum(one.size for one in found))
    if sys.stdin is None or not sys.stdin.isatty():
        msg = f"{what} ({size}) would be deleted: give --yes, as nobody can be asked here"
        raise UsageError(msg)
    click.confirm(f"Delete {what} ({size})?", abort=True, err=True)
