"""``python -m simulator.moto_process``: see the package."""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from common.errors import GaplessError
from common.locks import call_when_released
from simulator.cloudwatch import HOST, REGION, Mode, wall_clock_ms
from simulator.cloudwatch.app import FaithfulLogs, call, listen, serve

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


def faithful(moto: WSGIApplication, now_ms: Callable[[], int]) -> FaithfulLogs:
    """Moto with a faithful CloudWatch Logs, and every lever that a fault names."""
    from simulator.faults import FAULTS  # noqa: PLC0415 - they import this package's levers
    from simulator.faults.base import LeverFault  # noqa: PLC0415

    types = {one.type: one.lever for one in FAULTS.values() if issubclass(one, LeverFault)}
    return FaithfulLogs(moto, types, now_ms)


def build_app(mode: Mode) -> WSGIApplication:
    """Moto's application, alone or made faithful; takes half a second to import."""
    from moto.moto_server.werkzeug_app import (  # noqa: PLC0415 - see above
        DomainDispatcherApplication,
        create_backend_app,
    )

    moto: WSGIApplication = DomainDispatcherApplication(create_backend_app)
    if mode == "moto":
        return moto
    from simulator.moto_process import faithful  # noqa: PLC0415 - it imports more of moto

    return faithful(moto, wall_clock_ms)


def main(argv: list[str] | None = None) -> int:
    """Serve until SIGTERM, SIGINT or the lifeline's end; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m simulator.moto_process")
    parser.add_argument("--port", type=int, default=0, help="0 = any that is free")
    parser.add_argument("--listener-fd", type=int, help="a listening socket to serve instead")
    parser.add_argument("--mode", choices=get_args(Mode), default="faithful")
    parser.add_argument("--group", help="a log group to make before anything is served")
    parser.add_argument(
        "--live-stream", help="a Kinesis stream to make that the log group's events are sent to"
    )
    parser.add_argument(
        "--group-age-ms", type=int, default=0, help="how long ago that log group was made"
    )
    parser.add_argument("--region", default=REGION, help="the Region of that log group")
    parser.add_argument("--while-held", type=Path, help="end when nobody holds a lock on it")
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
                from simulator.cloudwatch.moto_logs import backdate  # noqa: PLC0415 - moto

                backdate(options.region, options.group, options.group_age_ms)
            if options.live_stream is not None:
                from simulator.cloudwatch.destinations import subscribe  # noqa: PLC0415 - moto

                subscribe(options.region, options.group, options.live_stream)
        serve(listener, app)
    except GaplessError as error:
        print(f"gapless: {error}", file=sys.stderr)  # noqa: T201 - for a person
        return 1
    url = f"http://{HOST}:{listener.getsockname()[1]}"
    print(json.dumps({"ready": True, "cloudwatch": url}), flush=True)  # noqa: T201 - ready line
    signal.sigwait(ending)
    return 0


if __name__ == "__main__":
    # At once: there is nothing to save, and taking moto apart takes a quarter of a second.
    os._exit(main())
