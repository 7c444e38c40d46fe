from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from tests.support.work_counter import WorkCounter, instrument

CHARS = 1_000

QUADRATIC = (
    """
def work(text):
    out = [""]
    for char in text:
        out[0] = out[0] + char
""",
    """
def work(text):
    out = ""
    for char in text:
        out += char
""",
    """
def work(text):
    for at in range(len(text)):
        text[at:]
""",
    """
def work(text):
    for at in range(len(text)):
        text.find("y", at)
""",
    """
def work(text):
    for char in text:
        text.upper()
""",
    """
def work(text):
    seen = []
    for number, char in enumerate(text):
        if number not in seen:
            seen.append(number)
""",
)

LINEAR = (
    """
def work(text):
    out = []
    for char in text:
        out.append(char + "y")
    return "".join(out)
""",
    """
def work(text):
    for at in range(len(text)):
        text.find("x", at)
""",
)


def growth(source: str, folder: Path) -> float:
    """How many times as much work four times the text is."""
    path = folder / "counted.py"
    path.write_text(source)
    module = ModuleType("counted")
    module.__file__ = str(path)
    exec(compile(source, str(path), "exec"), module.__dict__)
    counter = WorkCounter()
    work = instrument([module], counter)["counted"].work
    work("x" * CHARS)
    small = counter.work
    work("x" * 4 * CHARS)
    return (counter.work - small) / small


@pytest.mark.parametrize("source", QUADRATIC)
def test_work_that_grows_faster_than_the_text_is_seen(source: str, tmp_path: Path) -> None:
    assert growth(source, tmp_path) > 10


@pytest.mark.parametrize("source", LINEAR)
def test_work_that_grows_with_the_text_is_counted_as_such(source: str, tmp_path: Path) -> None:
    assert growth(source, tmp_path) < 5
