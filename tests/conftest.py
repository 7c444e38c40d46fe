"""Hypothesis settings, signal handlers and the order of all tests."""

from __future__ import annotations

import signal
from collections import Counter
from itertools import groupby
from pathlib import Path

import pytest
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

LONG_S = 900
"""Time limit from which on a file comes first."""

# A shell starts background jobs with these signals ignored. Programs that tests start would inherit
# that, and SIGINT would not end them.
for _number, _handler in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGHUP, signal.SIG_DFL),
):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread the files of each folder evenly over the run; the tests of a file stay together.

    Some folders have tests that compute, others mostly wait for processes: a run that came to one
    folder after the other would use both processors only in a part of its time.
    """
    here = Path(__file__).parent

    def folder(item: pytest.Item) -> str:
        return item.path.relative_to(here).parts[0]

    sizes, seen = Counter(map(folder, items)), Counter[str]()
    files: list[tuple[float, list[pytest.Item]]] = []
    for _, group in groupby(items, key=lambda item: item.path):
        file = list(group)
        name = folder(file[0])
        mark = file[0].get_closest_marker("timeout")
        is_long = mark is not None and mark.args[0] >= LONG_S
        place = 0.0 if is_long else (seen[name] + len(file) / 2) / sizes[name]
        files.append((place, file))
        seen[name] += len(file)
    files.sort(key=lambda one: one[0])
    items[:] = [item for _, file in files for item in file]
