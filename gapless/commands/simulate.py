"""``gapless simulate``: simulator, forwarder and control API, without a viewer."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from common.errors import EXIT_DONE, EXIT_INTERRUPTED
from common.locks import remove_if_free
from common.processes import child_environment
from gapless.extras import require_extra
from gapless.options import (
    DURATION,
    PORT,
    Number,
    WholeNumber,
    cloudwatch_option,
    forwarders_option,
    number_option,
    seed_option,
    while_held_option,
)
from gapless.rehearsal.runs import SimulatorRun, run_folder


@click.command("simulate")
@click.option("--port", type=PORT, default=0, metavar="N", help="Viewers' port; 0 = any free one.")
@seed_option
@number_option("--rate", Number(0.1, 50_000), 20, "Events a second, of all executions together.")
@number_option("--executions", WholeNumber(1, 1000), 4, "Executions that run at the same time.")
@cloudwatch_option
@click.option(
    "--live/--no-live",
    default=True,
    show_default=True,
    help="Also push events through a subscription filter, or only let the forwarder poll.",
)
@click.option(
    "--forwarder-program",
    default="-m gapless",
    hidden=True,
    metavar="WORDS",
    help="What Python runs as 'gapless' for the forwarder; tests use broken ones.",
)
@click.option(
    "--group-age",
    type=DURATION,
    default="0s",
    metavar="30d",
    help="How long ago the log group was created.",
)
@forwarders_option
@while_held_option
def command(  # noqa: PLR0913 - one an option
    *,
    port: int,
    seed: int,
    rate: float,
    executions: int,
    cloudwatch: str,
    live: bool,
    group_age: int,
    forwarder_program: str,
    forwarders: int,
    while_held: Path | None,
) -> int:
    """Run a simulated CloudWatch with a forwarder; a JSON line says where they listen.

    Break things with 'gapless inject'. Ends with SIGTERM or Ctrl+C.
    """
    require_extra("gapless simulate", "demo")
    if forwarders > 1:
        require_extra("gapless simulate --forwarders", "postgresql")
    # moto is slow to import, hence imported only here.
    from simulator.main import SimulatorConfig, print_ready, run  # noqa: PLC0415

    _clean_environment()
    with run_folder() as folder:

        def announce(ready: Mapping[str, Any]) -> None:
            folder.announce(ready)
            print_ready(ready)

        config = SimulatorConfig(
            seed=seed,
            rate=rate,
            executions=executions,
            mode="moto" if cloudwatch == "moto" else "faithful",
            port=port,
            while_held=while_held,
            journal=folder.journal,
            clock=folder.clock,
            is_live=live,
            group_age_ms=group_age,
            forwarders=forwarders,
        )
        try:
            program = forwarder_program.split()
            only = forwarder_command(folder, config.group, program)
            member = member_command(folder, config.group, program) if forwarders > 1 else None
            ended_by = run(config, only, announce, member)
        finally:
            if while_held is not None:
                remove_if_free(while_held)
    return EXIT_INTERRUPTED if ended_by == signal.SIGINT else EXIT_DONE


def forwarder_command(
    folder: SimulatorRun, group: str, program: Sequence[str] = ("-m", "gapless")
) -> Callable[[str], Sequence[str]]:
    """Return a function from CloudWatch's URL to the command of the simulator's forwarder."""

    def arguments(url: str) -> Sequence[str]:
        return [*_forward(folder, group, program, url), "--journal", str(folder.journal)]

    return arguments


def member_command(
    folder: SimulatorRun, group: str, program: Sequence[str] = ("-m", "gapless")
) -> Callable[[str, str, int, str], Sequence[str]]:
    """Return a function to the command of a process of a cluster.

    Its arguments are the URLs of CloudWatch and of the journal, the forwarder's number, the role.
    """

    def arguments(url: str, journal: str, number: int, role: str) -> Sequence[str]:
        shared = ["--journal", journal, "--role", role, "--views", str(folder.views(number))]
        return [*_forward(folder, group, program, url), *shared]

    return arguments


def _forward(folder: SimulatorRun, group: str, program: Sequence[str], url: str) -> list[str]:
    from simulator.workload.workload import LIFECYCLE_PATTERN  # noqa: PLC0415 - with the rest of it

    return [
        *(sys.executable, *program, "forward", group, "--endpoint-url", url, "--port", "0"),
        *("--lifecycle", f"pattern:{LIFECYCLE_PATTERN}"),
        *("--clock-skew", str(folder.clock)),
        "--no-token",  # the data is simulated
        *("--while-held", str(folder.lifeline)),
    ]


def _clean_environment() -> None:
    """Remove settings from this process's environment, which its child processes inherit."""
    ours = child_environment(os.environ)
    os.environ.clear()
    os.environ.update(ours)
