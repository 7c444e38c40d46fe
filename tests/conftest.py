"""Hypothesis settings and signal handlers for all tests."""

from __future__ import annotations

import signal

from hypothesis import HealthCheck, settings

# The same examples in every run, without time limits.
settings.register_profile(
    "suite",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("suite")

# A shell starts background jobs with these signals ignored. Programs that tests start would inherit
# that, and SIGINT would not end them.
for _number, _handler in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGHUP, signal.SIG_DFL),
):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)
