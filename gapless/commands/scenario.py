"""``gapless scenario``: run rehearsals of what can go wrong, with the real programs."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from common.errors import EXIT_DONE, EXIT_FAILURE, GaplessError, UsageError
from common.files import replace_file
from common.locks import hold_temporary
from common.state import state_dir
from gapless.commands.inject import control_api, control_option
from gapless.extras import require_extra
from gapless.options import (
    ALL,
    FILE,
    SCENARIO_SUFFIX,
    TEXT,
    Number,
    WholeNumber,
    check_distinct,
    check_writable,
    complete_scenario,
    find_scenario,
    known_scenarios,
    number_option,
    scenario_seed_option,
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


@command.command("show")
@click.argument("name", type=TEXT, metavar="NAME|FILE", shell_complete=complete_scenario)
@scenario_seed_option
def show_command(*, name: str, seed: int | None) -> None:
    """Print a scenario as a file, to copy, edit and run.

    With --seed, the steps that a random scenario such as chaos draws from it.
    """
    from simulator.scenarios.script import write_script  # noqa: PLC0415 - not needed for --help

    click.echo(write_script(find_scenario(name), seed), nl=False)


@command.command("record")
@click.argument("file", type=FILE, metavar="FILE.toml")
@control_option
def record_command(*, file: Path, control: str | None) -> None:
    """Write a scenario file from the faults that were switched by hand in a running demo.

    The faults come with the same pauses; run the file with 'gapless scenario run'.
    """
    from simulator.scenarios.recorded import scenario_of_log  # noqa: PLC0415 - likewise
    from simulator.scenarios.script import read_script, write_script  # noqa: PLC0415 - likewise

    if file.suffix != SCENARIO_SUFFIX:
        msg = f"{file} must end in {SCENARIO_SUFFIX}, or 'scenario run' takes it for a name"
        raise UsageError(msg)
    if file.exists():
        msg = f"{file} exists: choose another name, or delete it first"
        raise UsageError(msg)
    check_writable(file, "scenario")
    name = re.sub(r"[^\w.-]+", "-", file.stem, flags=re.ASCII) or "recorded"
    log = control_api(control).fault_log()
    scenario = scenario_of_log(log, name)
    text = write_script(scenario)
    read_script(text, f"{file} (not written)")  # a recording of days is too long for a scenario
    _write(file, text, "scenario")
    if dropped := log.get("dropped", 0):
        click.echo(
            f"gapless: the fault log of the simulator keeps its newest {len(log['entries']):,} "
            f"entries, and {dropped:,} older ones are missing: the scenario begins after them",
            err=True,
        )
    click.echo(f"{scenario.doc} Run it with: gapless scenario run {shlex.quote(str(file))}")


@command.command("run")
@click.argument(
    "names",
    type=TEXT,
    nargs=-1,
    required=True,
    metavar="NAME|FILE...|all",
    shell_complete=complete_scenario,
)
@scenario_seed_option
@number_option("--seeds", WholeNumber(1, SEEDS_MAX), 1, "Run with N seeds, from --seed on.")
@number_option("--jobs", WholeNumber(1, JOBS_MAX), 1, "Run N at the same time.")
@number_option("--speed", Number(1, 100), 1.0, "Play X times as fast.", metavar="X")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per run.")
@click.option(
    "--report",
    "reports",
    type=FILE,
    multiple=True,
    metavar="FILE",
    help="Write a report: FILE.html (timeline, table, verdict), .md, .json, or .svg.  [repeatable]",
)
@click.option("--junit", type=FILE, metavar="FILE", help="Write JUnit XML, for CI.")
def run_command(
    *,
    names: tuple[str, ...],
    seed: int | None,
    seeds: int,
    jobs: int,
    speed: float,
    as_json: bool,
    reports: tuple[Path, ...],
    junit: Path | None,
) -> int:
    """Run scenarios; the exit code is 0 only if every verdict is clean.

    FILE.toml is a scenario of your own: 'gapless scenario show NAME' prints one to copy and edit.
    Each run starts its own simulator, forwarder and viewer. The viewer is judged while faults
    are on, and again once they are healed.
    """
    require_extra("gapless scenario run", "demo")
    chosen = _chosen(names)
    writers = _writers(reports, junit, [one.path for one in chosen if one.path])
    from gapless.rehearsal import result as formats  # noqa: PLC0415 - not needed for --help

    results: list[RehearsalResult] = []
    runs = [
        (one, first + number)
        for one in chosen
        for first in (one.setup.seed if seed is None else seed,)
        for number in range(seeds)
    ]
    if len(runs) > 1 and any(path.suffix.lower() == ".svg" for path in reports):
        msg = f"an .svg shows one run, and these are {len(runs)}: write an .html"
        raise UsageError(msg)
    if any(one.setup_for(number).forwarders > 1 for one, number in runs):
        require_extra("a scenario with several forwarders", "postgresql")
    try:
        # A reader that stops, as `| head` does, needs no further runs.
        with suppress(BrokenPipeError), StatusLine() as status:
            _show_progress(status, results, len(runs))
            for result in _run_all(runs, speed, jobs):
                results.append(result)
                status.clear()
                click.echo(json.dumps(formats.as_json(result)) if as_json else formats.line(result))
                if sys.stdout.isatty() and not as_json:
                    _print_chart(result)
                if not (result.ok or as_json):
                    click.echo(f"       again: {result.replay}")
                _show_progress(status, results, len(runs))
    finally:
        if results:
            order = {(one.name, one.path, number): at for at, (one, number) in enumerate(runs)}
            results.sort(key=lambda one: order[one.scenario, one.file, one.seed])
            _write_reports(writers, results)
    failed = sum(not one.ok for one in results)
    if not as_json:
        with suppress(BrokenPipeError):
            click.echo(f"{len(results) - failed} of {len(results)} clean")
    return EXIT_FAILURE if failed or len(results) < len(runs) else EXIT_DONE


def _print_chart(result: RehearsalResult) -> None:
    """Print what happened over time, as wide as the terminal."""
    from gapless.rehearsal.chart import chart  # noqa: PLC0415 - not needed for --help
    from gapless.rehearsal.summary import story  # noqa: PLC0415 - likewise
    from tui.screen.terminal import is_ascii_only  # noqa: PLC0415 - likewise

    if result.course is None:
        return
    columns = shutil.get_terminal_size().columns
    ascii_only = is_ascii_only()
    *lines, legend = chart(result.course, result.reactions, columns, ascii_only=ascii_only)
    for text in (legend, *story(result)):
        lines += textwrap.wrap(text, columns)
    for line in (*lines, ""):
        click.echo(line)


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


def _writers(
    reports: Sequence[Path], junit: Path | None, scenarios: Sequence[str]
) -> dict[Path, Callable[[Sequence[RehearsalResult]], str]]:
    """Return what writes each report.

    Raises:
        UsageError: a report has no known format, its folder is not writable, or it would replace
            another report or a scenario.
    """
    from gapless.rehearsal.reports import FORMATS, junit_report  # noqa: PLC0415 - likewise

    writers: dict[Path, Callable[[Sequence[RehearsalResult]], str]] = {}
    for path in reports:
        check_writable(path, "report")
        kind = path.suffix.lower()
        if kind not in FORMATS:
            other = "; JUnit XML is --junit FILE" if kind in (".xml", ".junit") else ""
            known = ", ".join(FORMATS)
            msg = f"{path} is no known kind of report: its name must end in {known}{other}"
            raise UsageError(msg)
        writers[path] = FORMATS[kind]
    check_writable(junit, "report")
    outputs = [*reports, *([] if junit is None else [junit])]
    check_distinct(outputs, scenarios)
    return writers if junit is None else {**writers, junit: junit_report}


def _write_reports(
    writers: Mapping[Path, Callable[[Sequence[RehearsalResult]], str]],
    results: Sequence[RehearsalResult],
) -> None:
    """Write every report that can be written.

    Raises:
        GaplessError: one could not be.
    """
    failures: list[GaplessError] = []
    for path, write in writers.items():
        try:
            _write(path, write(results), "report")
        except GaplessError as error:
            failures.append(error)
    if failures:
        raise failures[0]


def _chosen(names: Sequence[str]) -> list[Scenario]:
    """The scenarios of those names and files, ``all`` standing for every built-in one."""
    chosen: list[Scenario] = []
    for name in names:
        chosen += known_scenarios().values() if name == ALL else [find_scenario(name)]
    return chosen


def _write(path: Path, text: str, what: str) -> None:
    try:
        with replace_file(path) as file:  # on a full disk, an earlier file stays whole
            file.write(text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        msg = f"cannot write the {what} {path} ({error.strerror}): choose another place"
        raise GaplessError(msg) from error


def _show_progress(status: StatusLine, results: Sequence[RehearsalResult], count: int) -> None:
    if len(results) < count:
        failed = sum(not one.ok for one in results)
        status.show(f"{len(results)} of {count} done, {failed} failed …")
