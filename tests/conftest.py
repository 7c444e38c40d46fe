"""Hypothesis settings and signal handlers for all tests."""

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
    files = [list(file) for _, file in groupby(items, key=lambda item: item.path)]
    folders = [file[0].path.relative_to(here).parts[0] for file in files]
    sizes, seen = Counter[str](), Counter[str]()
    for folder, file in zip(folders, files, strict=True):
        sizes[folder] += len(file)
    places = []
    for folder, file in zip(folders, files, strict=True):
        places.append((seen[folder] + len(file) / 2) / sizes[folder])
        seen[folder] += len(file)
    order = sorted(range(len(files)), key=lambda number: (places[number], number))
    items[:] = [item for number in order for item in files[number]]
