"""``python -m simulator.moto_process``: the CloudWatch stand-in, a process of its own.

It prints one JSON line once it answers: ``{"ready": true, "cloudwatch": "http://..."}``.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from common.errors import GaplessError
from common.locks import call_when_released
from simulator.cloudwatch import HOST, REGION, Mode, wall_clock_ms
from simulator.cloudwatch.app import FaithfulLogs, build_moto, call
from simulator.cloudwatch.destinations import subscribe
from simulator.cloudwatch.levers import Lever
from simulator.cloudwatch.moto_logs import backdate
from simulator.faults.board import FAULTS
from simulator.network.cable import listen
from simulator.network.http_server import serve

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


def lever_types() -> dict[str, type[Lever]]:
    """The lever of every fault that has one, by the fault's type."""
    return {one.type: one.lever for one in FAULTS.values() if one.lever is not None}


def build_app(mode: Mode) -> WSGIApplication:
    """The application to serve: moto, as it is or made faithful to AWS."""
    moto = build_moto()
    return moto if mode == "moto" else FaithfulLogs(moto, lever_types(), wall_clock_ms)


def main(argv: list[str] | None = None) -> int:
    """Serve until SIGTERM, SIGINT or the lifeline's end, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m simulator.moto_process")
    parser.add_argument("--port", type=int, default=0, help="port; 0 = any free one")
    parser.add_argument("--listener-fd", type=int, help="a listening socket to serve instead")
    parser.add_argument("--mode", choices=get_args(Mode), default="faithful")
    parser.add_argument("--group", help="log group to create at the start")
    parser.add_argument(
        "--live-stream", help="Kinesis stream to create, for the log group's events"
    )
    parser.add_argument(
        "--group-age-ms", type=int, default=0, help="how long ago that log group was created"
    )
    parser.add_argument("--region", default=REGION, help="Region of that log group")
    parser.add_argument("--while-held", type=Path, help="end once no process locks this file")
    options = parser.parse_args(argv)
    ending = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ending)
    try:
        if options.while_held is not None:
            call_when_released(options.while_held, lambda: os.kill(os.getpid(), signal.SIGTERM))
        if options.listener_fd is None:
            listener = listen(options.port)
        else:
            listener = socket.socket(fileno=options.listener_fd)
        app = build_app(options.mode)
        if options.group is not None:
            call(app, "CreateLogGroup", {"logGroupName": options.group}, options.region)
            if options.group_age_ms:
                backdate(options.region, options.group, options.group_age_ms)
            if options.live_stream is not None:
                subscribe(options.region, options.group, options.live_stream)
        serve(listener, app, "moto")
    except GaplessError as error:
        print(f"gapless: {error}", file=sys.stderr)  # noqa: T201 - for a person
        return 1
    url = f"http://{HOST}:{listener.getsockname()[1]}"
    print(json.dumps({"ready": True, "cloudwatch": url}), flush=True)  # noqa: T201 - ready line
    signal.sigwait(ending)
    return 0


if __name__ == "__main__":
    # Skips the interpreter's shutdown, which takes a quarter of a second with moto loaded.
    os._exit(main())
