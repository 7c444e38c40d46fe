"""``gapless scenario``: run rehearsals of what can go wrong, with the real programs."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from common.errors import EXIT_DONE, EXIT_FAILURE, GaplessError
from common.locks import hold_temporary
from common.state import state_dir
from gapless.extras import require_extra
from gapless.options import (
    ALL,
    FILE,
    TEXT,
    check_writable,
    complete_scenario,
    find_scenario,
    known_scenarios,
    number_option,
    seed_option,
)
from gapless.terminal import StatusLine

if TYPE_CHECKING:
    from gapless.rehearsal.result import RehearsalResult
    from simulator.scenarios.base import Scenario

SEEDS_MAX: Final = 10_000
JOBS_MAX: Final = 64
_WAKE_S: Final = 0.5
"""Longest wait of the main thread at once: only it runs signal handlers."""


@click.group("scenario")
def command() -> None:
    """Rehearse what can go wrong, with the real programs, and judge the result."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print steps and setups as JSON.")
def list_command(*, as_json: bool) -> None:
    """List the scenarios."""
    known = known_scenarios().values()
    if as_json:
        click.echo(json.dumps([one.describe() for one in known], indent=1))
        return
    for one in known:
        click.echo(f"{one.name:<20}  {one.doc}")


@command.command("run")
@click.argument(
    "names",
    type=TEXT,
    nargs=-1,
    required=True,
    metavar="NAME...|all",
    shell_complete=complete_scenario,
)
@seed_option
@number_option("--seeds", click.IntRange(1, SEEDS_MAX), 1, "Run with N seeds, from --seed on.")
@number_option("--jobs", click.IntRange(1, JOBS_MAX), 1, "Run N at the same time.")
@number_option("--speed", click.FloatRange(1, 100), 1.0, "Play X times as fast.", metavar="X")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per run.")
@click.option(
    "--report", type=FILE, metavar="FILE", help="Write a report for a ticket: Markdown, or .json."
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
    """Run scenarios; the exit code is 0 only if every verdict is clean.

    Each run starts its own simulator, forwarder and viewer. The viewer is judged while faults
    are on, and again once they are healed.
    """
    require_extra("gapless scenario run", "demo")
    check_writable(report, "report")
    chosen = _chosen(names)
    from gapless.rehearsal import result as formats  # noqa: PLC0415 - not needed for --help

    results: list[RehearsalResult] = []
    runs = [(one, number) for one in chosen for number in range(seed, seed + seeds)]
    try:
        with StatusLine() as status:
            _show_progress(status, results, len(runs))
            for result in _run_all(runs, speed, jobs):
                results.append(result)
                status.clear()
                click.echo(json.dumps(formats.as_json(result)) if as_json else formats.line(result))
                if not (result.ok or as_json):
                    click.echo(f"       again: {result.replay}")
                _show_progress(status, results, len(runs))
    finally:
        if report is not None and results:
            _write(report, formats.report(results, in_json=report.suffix == ".json"))
    failed = sum(not one.ok for one in results)
    if not as_json:
        click.echo(f"{len(results) - failed} of {len(results)} clean")
    return EXIT_FAILURE if failed else EXIT_DONE


def _run_all(
    runs: Sequence[tuple[Scenario, int]], speed: float, jobs: int
) -> Iterator[RehearsalResult]:
    """Yield the result of each run as it ends; leaves no process behind when it is closed."""
    from gapless.rehearsal.play import play  # noqa: PLC0415 - not needed for --help

    # SIGUSR1 asks viewers for their records; they inherit that it is ignored until they handle it.
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    stop = threading.Event()
    with hold_temporary(state_dir("lifelines")) as lifeline, ThreadPoolExecutor(jobs) as pool:
        waiting: set[Future[RehearsalResult]] = {
            pool.submit(play, one, seed, speed, lifeline=lifeline.path, stop=stop)
            for one, seed in runs
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


def _chosen(names: Sequence[str]) -> list[Scenario]:
    return (
        list(known_scenarios().values())
        if ALL in names
        else [find_scenario(name) for name in names]
    )


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        msg = f"cannot write the report {path} ({error.strerror}): choose another place"
        raise GaplessError(msg) from error


def _show_progress(status: StatusLine, results: Sequence[RehearsalResult], count: int) -> None:
    if len(results) < count:
        failed = sum(not one.ok for one in results)
        status.show(f"{len(results)} of {count} done, {failed} failed …")
