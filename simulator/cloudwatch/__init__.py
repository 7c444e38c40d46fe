"""A stand-in for CloudWatch Logs: a moto server in a process of its own.

Faces: app, destinations, levers, logs, moto_logs.
May import: simulator.network, simulator.acceptance, simulator.errors.

``python -m simulator.moto_process --port 0`` prints one JSON line when it is ready:
``{"ready": true, "cloudwatch": "http://127.0.0.1:PORT"}``.

Mode ``moto`` serves unchanged moto. Mode ``faithful`` answers CloudWatch Logs calls as AWS
does, and faults can be injected. Moto is imported only when it is served.

**The seam for faults.** A *lever* is what a fault pulls inside this process. It is a subclass of
``simulator.cloudwatch.levers.Lever`` that overrides what it needs of

- ``engage(logs, now_ms)``, ``release(logs, now_ms)``: act on what is stored, once;
- ``call(call, then)``: stand around each AWS call. Change ``call`` before ``then(call)``, change
  or replace the ``Answer``, wait (no lock is held), or answer without asking;
- ``hides(event, now_ms)``: an event that this read must not show, asked only of events that
  would be returned otherwise;
- ``deliver(batches)``: what a subscription filter sends; drop, double, delay or reorder it.

``logs`` is ``simulator.cloudwatch.logs.Logs``. Beside what is stored it has what levers act on:
``impose`` and ``heal`` (visibility), ``expire`` (what retention takes), ``recreate`` (a log group
deleted and made anew), ``tokens.expire``, ``stream_times_lag_ms``, ``groups``.

The fault's row in the table of its family (``simulator.faults``) names the lever; that is all the
registration there is. Over HTTP, on this server, whatever the state of CloudWatch
(``simulator.cloudwatch.levers``):

| request | does |
|---|---|
| ``GET /simulator/levers`` | the levers that are engaged, in their order |
| ``POST /simulator/levers`` | engages one: ``{"name", "type", "attributes", "toxicity", "seed"}`` |
| ``DELETE /simulator/levers`` | releases one: ``{"name"}``; none of that name is no error |

``POST`` replaces the lever of the same name and answers, as ``DELETE`` does, ``{"now_ms": N}``:
this process's clock when the lever was switched. Levers stand around a call in the order in which
they were engaged, the first outermost. The simulator itself writes with ``PutLogEvents`` and
doesn't retry: let that call pass unless it is the one that the fault is about.
"""

from __future__ import annotations

import time
from typing import Final, Literal

__all__ = ["HOST", "LEVERS_PATH", "REGION", "Mode", "wall_clock_ms"]

Mode = Literal["faithful", "moto"]

HOST: Final = "127.0.0.1"
LEVERS_PATH: Final = "/simulator/levers"
REGION: Final = "us-east-1"


def wall_clock_ms() -> int:
    """Milliseconds since the Unix epoch, cut off as moto does it."""
    return time.time_ns() // 1_000_000
