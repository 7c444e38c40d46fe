from __future__ import annotations

from pathlib import Path

import pytest

from tests.house.sources import parse_faces, parse_module, read_folders, read_tree

TEXT = '''"""What the module does.

Two lines more.
"""

import json  # why


class Row:
    """A row."""

    width: int = 0
    """In cells."""

    @property
    def cells(self) -> str:
        # A comment.

        return """one
        two"""


async def draw() -> None:
    def inner() -> None: ...
'''


def test_code_lines_leave_out_blank_lines_comments_and_docstrings() -> None:
    module = parse_module("tui/row.py", TEXT)
    assert module.lines == len(TEXT.splitlines())
    # import, class, width, @property, def, two lines of the string, async def, inner def
    assert module.code_lines == 9


def test_functions_are_measured_without_decorators_and_inside_others() -> None:
    functions = parse_module("tui/row.py", TEXT).functions
    assert {one.name: one.lines for one in functions} == {"cells": 5, "draw": 2, "inner": 1}
    assert [one.name for one in parse_module("tui/row.py", TEXT).classes] == ["Row"]


@pytest.mark.parametrize(
    ("path", "name", "is_package"),
    [("tui/row.py", "tui.row", False), ("tui/client/__init__.py", "tui.client", True)],
)
def test_a_module_is_named_by_its_path(path: str, name: str, is_package: bool) -> None:  # noqa: FBT001
    module = parse_module(path, "")
    assert (module.name, module.is_package) == (name, is_package)


@pytest.mark.parametrize(
    ("path", "text", "candidates"),
    [
        ("tui/row.py", "import wire.codec", ("wire.codec",)),
        ("tui/row.py", "from wire import codec", ("wire.codec", "wire")),
        ("tui/row.py", "from . import view", ("tui.view", "tui")),
        ("tui/lines/row.py", "from ..view import draw", ("tui.view.draw", "tui.view")),
        ("tui/lines/__init__.py", "from .row import Row", ("tui.lines.row.Row", "tui.lines.row")),
        ("tui/row.py", "def f():\n    import wire.codec", ("wire.codec",)),
    ],
)
def test_an_import_knows_the_modules_it_may_mean(
    path: str, text: str, candidates: tuple[str, ...]
) -> None:
    (statement,) = parse_module(path, text).imports
    assert statement.candidates == candidates
    assert not statement.typing


def test_imports_for_type_checkers_are_marked() -> None:
    text = "if TYPE_CHECKING:\n import a\nelse:\n import b\nif typing.TYPE_CHECKING:\n import c"
    found = {one.candidates[0]: one.typing for one in parse_module("x.py", text).imports}
    assert found == {"a": True, "b": False, "c": True}


def test_faces_are_listed_up_to_the_full_stop() -> None:
    assert parse_faces("Rows.\n\nFaces: view, rows,\nkeys. More.\n") == {"view", "rows", "keys"}
    assert parse_faces("Rows.\n\nMay import: wire.") == frozenset()
    assert parse_faces("No line of its own, Faces: view.") == frozenset()


def test_only_packages_have_faces() -> None:
    text = '"""Rows.\n\nFaces: view.\n"""\n'
    assert parse_module("tui/lines/__init__.py", text).faces == {"view"}
    assert parse_module("tui/lines/rows.py", text).faces == frozenset()


def test_a_tree_is_read_with_the_width_of_its_folders(tmp_path: Path) -> None:
    for path in ("tui/__init__.py", "tui/lines/__init__.py", "tui/lines/rows.py", "wire/codec.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")
    (tmp_path / "tui/app.tcss").write_text("")
    (tmp_path / "tui/.hidden").write_text("")
    (tmp_path / "tui/__pycache__").mkdir()
    packages = ("wire", "common", "tui")
    names = [one.name for one in read_tree(tmp_path, packages)]
    assert names == ["wire.codec", "tui", "tui.lines", "tui.lines.rows"]
    assert read_folders(tmp_path, packages) == {"tui": 2, "tui/lines": 1, "wire": 1}
