"""``gapless demo``: simulator and forwarder as child processes, the viewer in the foreground."""

from __future__ import annotations

import contextlib
import threading
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import click

from common.locks import hold_temporary
from common.processes import ChildProcess, start_gapless
from common.state import state_dir
from gapless.extras import require_extra
from gapless.options import (
    DURATION,
    TEXT,
    check_distinct,
    check_writable,
    cloudwatch_option,
    complete_scenario,
    find_scenario,
    forwarders_option,
    notify_option,
    page_options,
    record_option,
    scenario_seed_option,
)
from gapless.terminal import StatusLine
from gapless.viewing.model import Viewing, WatchedTarget
from gapless.viewing.opening import SameTargetsOpener
from gapless.viewing.watch import load_viewer, watch
from wire.limits import DEFAULT_HISTORY_MS

if TYPE_CHECKING:
    from simulator.scenarios.base import Setup

_TICK_S: Final = 1.0


@click.command("demo")
@scenario_seed_option
@click.option(
    "--scenario",
    type=TEXT,
    metavar="NAME|FILE",
    help="Play a scenario, explained in the fault panel (F2), and judge what the screen shows; "
    "FILE.toml is one of your own.",
    shell_complete=complete_scenario,
)
@click.option(
    "--connect-after",
    type=DURATION,
    metavar="30s",
    help="Connect only after that time, and get everything from the first line.",
)
@cloudwatch_option
@forwarders_option
@record_option
@notify_option
@page_options("demo")
def command(
    *,
    seed: int | None,
    scenario: str | None,
    connect_after: int | None,
    cloudwatch: str,
    forwarders: int,
    record: Path | None,
    notify: Literal["off", "bell", "osc9", "osc777"],
    page: int | None,
) -> int:
    """Watch simulated jobs, pull the network cable (p) and switch on other faults (F2).

    Everything runs on this machine, and ends with the viewer.
    """
    require_extra("gapless demo", "demo")
    check_writable(record, "record")
    if forwarders > 1:
        require_extra("gapless demo --forwarders", "postgresql")
    played = None if scenario is None else find_scenario(scenario)
    if record is not None and played is not None and played.path:
        check_distinct([record], [played.path])
    if seed is None:
        seed = 1 if played is None else played.setup.seed
    setup = None if played is None else played.setup_for(seed)
    if setup is not None and connect_after is None:
        connect_after = setup.connect_after_ms or None
    with contextlib.ExitStack() as stack:
        lifeline = stack.enter_context(hold_temporary(state_dir("lifelines"))).path
        started_ms = time.time_ns() // 1_000_000
        arguments = _simulate_arguments(seed, cloudwatch, forwarders, setup, lifeline)
        simulator = stack.enter_context(start_gapless("the simulator", arguments))
        ready = _wait_ready(simulator)
        if played is not None:
            from gapless.rehearsal.play import start_scenario  # noqa: PLC0415 - slow to import
            from simulator.client import ControlApi  # noqa: PLC0415 - not needed for --help

            start_scenario(ControlApi(str(ready["control"])), played, seed)
        if connect_after is not None:
            _count_down(connect_after, simulator)
        url, group = str(ready["websocket"]), str(ready["group"])
        viewing = Viewing(
            targets=(WatchedTarget(url=url, name=group, group=group, key=url),),
            # The executions have been running for a while when the simulator starts.
            since=started_ms - (DEFAULT_HISTORY_MS if setup is None else setup.since_ms),
            control=str(ready["control"]),
            record=record,
            notify=notify,
            notice="" if played is None else f"{played.doc} F2: steps and verdict",
        )
        show = _watch
        if page is not None:
            show = partial(_serve_page, port=page, simulator=simulator, lifeline=lifeline)
        code = show(viewing)
        if not simulator.is_running:
            raise simulator.failure()
    return code


def _simulate_arguments(
    seed: int, cloudwatch: str, forwarders: int, setup: Setup | None, lifeline: Path
) -> list[str]:
    arguments = ["simulate", "--seed", str(seed), "--cloudwatch", cloudwatch]
    if setup is None:
        arguments += ["--forwarders", str(forwarders)]
    else:
        from gapless.rehearsal.play import simulate_arguments  # noqa: PLC0415 - slow to import

        needed = max(forwarders, setup.forwarders)
        arguments += simulate_arguments(setup._replace(forwarders=needed))
    return [*arguments, "--while-held", str(lifeline)]


def _watch(viewing: Viewing) -> int:
    """Show it on this terminal; return the exit code."""
    return watch(viewing, SameTargetsOpener(viewing))


def _serve_page(viewing: Viewing, *, port: int, simulator: ChildProcess, lifeline: Path) -> int:
    """Show it on a page, with a viewer for each tab; return the exit code."""
    from gapless.web.server import announce, serve  # noqa: PLC0415 - aiohttp is slow to import

    (target,) = viewing.targets
    viewer = [
        *("tab", "--websocket", target.url, "--group", target.name),
        *("--control", str(viewing.control), "--since", str(viewing.since)),
        *("--notify", viewing.notify, "--notice", viewing.notice),
        *("--while-held", str(lifeline)),
    ]
    return serve(
        f"{target.name} · gapless",
        viewer,
        port=port,
        is_needed=lambda: simulator.is_running,
        announce=announce,
    )


def _wait_ready(simulator: ChildProcess) -> dict[str, Any]:
    """Return the simulator's ready line, and import the viewer in the meantime."""
    with StatusLine() as status:
        status.show("starting the simulator …")
        load_viewer()
        return simulator.ready()


def _count_down(wait_ms: int, simulator: ChildProcess) -> None:
    """Wait with a countdown on the terminal; raises the simulator's error if it ends meanwhile."""
    deadline = time.monotonic() + wait_ms / 1000
    tick = threading.Event()
    with StatusLine() as status:
        while (left := deadline - time.monotonic()) > 0 and simulator.is_running:
            status.show(f"the jobs are running, no viewer is connected; connecting in {left:.0f} s")
            tick.wait(min(_TICK_S, left))
    if not simulator.is_running:
        raise simulator.failure()
