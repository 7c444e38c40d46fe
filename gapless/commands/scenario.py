"""``gapless scenario``: what can go wrong, rehearsed with the real programs, and judged."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from click.shell_completion import CompletionItem

from common.errors import EXIT_DONE, EXIT_FAILURE, GaplessError, UsageError
from common.locks import hold
from common.state import state_dir
from gapless.options import FILE, TEXT

if TYPE_CHECKING:
    from gapless.rehearsal.outcome import Outcome
    from simulator.scenarios.base import Scenario

ALL: Final = "all"
SEEDS_MAX: Final = 10_000
JOBS_MAX: Final = 64
_WAKE_S: Final = 0.5
"""How often the main thread looks up: a signal's handler runs in it alone."""


def complete_name(
    context: click.Context, parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    """The scenarios whose names begin like that."""
    del context, parameter
    known = [(one.name, one.doc) for one in _known().values()]
    return [
        CompletionItem(name, help=doc)
        for name, doc in [*known, (ALL, "Every scenario.")]
        if name.startswith(begun)
    ]


def _known() -> dict[str, Scenario]:
    from simulator.scenarios.scripted import SCENARIOS  # noqa: PLC0415 - not needed for --help

    return dict(SCENARIOS)


@click.group("scenario")
def command() -> None:
    """Rehearse what can go wrong, with the real programs, and have it judged."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="With stories and setups, for programs.")
def list_command(*, as_json: bool) -> None:
    """List the scenarios there are."""
    known = _known().values()
    if as_json:
        click.echo(json.dumps([one.describe() for one in known], indent=1))
        return
    for one in known:
        click.echo(f"{one.name:<20}  {one.doc}")


@command.command("run")
@click.argument(
    "names", type=TEXT, nargs=-1, required=True, metavar="NAME...|all", shell_complete=complete_name
)
@click.option(
    "--seed", type=click.IntRange(0, 2**31), default=1, show_default=True, help="Replays a run."
)
@click.option(
    "--seeds",
    type=click.IntRange(1, SEEDS_MAX),
    default=1,
    show_default=True,
    metavar="N",
    help="So many seeds, from --seed on.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, JOBS_MAX),
    default=1,
    show_default=True,
    metavar="N",
    help="So many runs side by side.",
)
@click.option(
    "--speed",
    type=click.FloatRange(1, 100),
    default=1.0,
    show_default=True,
    metavar="X",
    help="So many times as fast.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per run.")
@click.option(
    "--report", type=FILE, metavar="FILE", help="Write what a ticket needs: Markdown, or .json."
)
def run_command(
    *,
    names: tuple[str, ...],
    seed: int,
    seeds: int,
    jobs: int,
    speed: float,
    as_json: bool,
    report: Path | None,
) -> int:
    """Run scenarios; exit 0 only if every verdict is clean.

    Each run has a simulator, a forwarder and a viewer of its own. It is judged while faults are
    on, and again once all is healed.
    """
    _check_report(report)
    chosen = _chosen(names)
    from gapless.rehearsal import outcome as told  # noqa: PLC0415 - only once it is clear what

    outcomes: list[Outcome] = []
    asked = [(one, number) for one in chosen for number in range(seed, seed + seeds)]
    show = _Progress(len(asked))
    try:
        for outcome in _outcomes(asked, speed, jobs):
            outcomes.append(outcome)
            show.clear()
            click.echo(json.dumps(told.told(outcome)) if as_json else told.line(outcome))
            if not (outcome.ok or as_json):
                click.echo(f"       again: {outcome.replay}")
            show.draw(outcomes)
    finally:
        show.clear()
        if report is not None and outcomes:
            _write(report, told.report(outcomes, as_json=report.suffix == ".json"))
    failed = sum(not one.ok for one in outcomes)
    if not as_json:
        click.echo(f"{len(outcomes) - failed} of {len(outcomes)} clean")
    return EXIT_FAILURE if failed else EXIT_DONE


def _outcomes(asked: Sequence[tuple[Scenario, int]], speed: float, jobs: int) -> Iterator[Outcome]:
    """What came of each, as it comes; leaves no process behind, however it is left."""
    from gapless.rehearsal.play import play  # noqa: PLC0415 - not needed for --help

    # Viewers are asked for their records with it, and are to survive that from the first moment.
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    stop = threading.Event()
    lifeline = _lifeline()
    with hold(lifeline, remove=True), ThreadPoolExecutor(jobs) as pool:
        waiting: set[Future[Outcome]] = {
            pool.submit(play, one, seed, speed, lifeline=lifeline, stop=stop) for one, seed in asked
        }
        try:
            while waiting:
                done, waiting = wait(waiting, _WAKE_S, FIRST_COMPLETED)
                for one in done:
                    yield one.result()
        finally:
            stop.set()
            for one in waiting:
                one.cancel()
            signal.signal(signal.SIGUSR1, before)


def _lifeline() -> Path:
    descriptor, name = tempfile.mkstemp(prefix="scenario-", dir=state_dir("lifelines"))
    os.close(descriptor)
    return Path(name)


def _chosen(names: Sequence[str]) -> list[Scenario]:
    """The scenarios of those names.

    Raises:
        UsageError: there is none of a name.

    """
    return list(_known().values()) if ALL in names else [find(name) for name in names]


def find(name: str) -> Scenario:
    """The scenario of that name.

    Raises:
        UsageError: there is none.

    """
    known = _known()
    if name not in known:
        msg = f"no scenario is called {name[:80]!r}; there are: {', '.join(known)}"
        raise UsageError(msg)
    return known[name]


def _check_report(path: Path | None) -> None:
    """Find out before an hour of running that the report could not be written.

    Raises:
        UsageError: its folder is missing, or not ours to write.

    """
    if path is not None and not os.access(path.absolute().parent, os.W_OK | os.X_OK):
        msg = f"cannot write the report {path}: its folder is missing or not ours to write"
        raise UsageError(msg)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        msg = f"cannot write the report {path} ({error.strerror}): choose another place"
        raise GaplessError(msg) from error


class _Progress:
    """A line at the end of a terminal, of which nothing stays."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._is_terminal = sys.stderr.isatty()
        self.draw([])

    def draw(self, outcomes: Sequence[Outcome]) -> None:
        if self._is_terminal and len(outcomes) < self._count:
            failed = sum(not one.ok for one in outcomes)
            text = f"{len(outcomes)} of {self._count} done, {failed} failed …"
            click.echo(f"\r{text}\x1b[K", err=True, nl=False)

    def clear(self) -> None:
        if self._is_terminal:
            click.echo("\r\x1b[K", err=True, nl=False)
