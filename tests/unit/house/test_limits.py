from __future__ import annotations

from pathlib import Path

import pytest

from tests.house import limits, measures
from tests.house.__main__ import main
from tests.house.sources import PRODUCT, Module, parse_module, read_tree

ROOT = Path(__file__).parents[3]


def lines(count: int) -> str:
    return "x = 1\n" * count


def function(count: int) -> str:
    return "def run():\n" + "    x = 1\n" * (count - 1)


def of_size(module: Module) -> list[str]:
    """Violations that do not come from the tree's missing rooms."""
    found = limits.find_violations([module], [], {})
    return [one for one in found if "the layers of pyproject" not in one]


def test_files_and_functions_at_the_limit_pass() -> None:
    assert of_size(parse_module("tui/a.py", lines(800))) == []
    assert of_size(parse_module("tui/a.py", function(70))) == []


def test_longer_files_and_functions_are_named() -> None:
    (long_file,) = of_size(parse_module("tui/a.py", lines(801)))
    assert long_file.startswith("tui/a.py: 801 lines")
    assert of_size(parse_module("tui/a.py", function(71))) == ["tui/a.py:1: run has 71 lines"]


def test_the_limits_of_length_hold_for_tests_too() -> None:
    found = limits.find_violations([], [parse_module("tests/a.py", function(71))], {})
    assert "tests/a.py:1: run has 71 lines" in found


def test_a_wide_folder_is_a_violation_in_the_product_and_a_remark_elsewhere() -> None:
    folders = {"tui": 15, "tui/lines": 16, "tests/unit/tui": 17, "tests/support": 18}
    found = [one for one in limits.find_violations([], [], folders) if "entries" in one]
    assert [one.partition(":")[0] for one in found] == ["tui/lines/", "tests/unit/tui/"]
    assert [one.partition(":")[0] for one in limits.find_remarks(folders)] == ["tests/support/"]


def test_cycles_upward_imports_and_bypassed_faces_are_named() -> None:
    modules = [
        parse_module("tui/__init__.py", '"""Viewer.\n\nFaces: gone.\n"""'),
        parse_module("tui/a.py", "import tui.b"),
        parse_module("tui/b.py", "import tui.a"),
        parse_module("wire/codec.py", "import tui.a"),
    ]
    found = limits.find_violations(modules, [], {})
    assert "import cycle: tui.a tui.b" in found
    assert any(
        one.startswith("wire/codec.py:1: wire.codec imports tui.a, against") for one in found
    )
    assert any(
        one.startswith("wire/codec.py:1: wire.codec imports tui.a, not a face") for one in found
    )
    assert any(one.startswith("tui.gone is named in 'Faces:'") for one in found)


def test_check_exits_with_one_and_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tui").mkdir()
    (tmp_path / "tui/a.py").write_text(lines(801))
    monkeypatch.setattr("sys.argv", ["house", "--check", "--tree", str(tmp_path)])
    assert main() == 1
    assert "tui/a.py: 801 lines" in capsys.readouterr().out


def test_the_table_has_a_column_for_each_tree_and_the_goal() -> None:
    small = measures.measure([parse_module("tui/a.py", lines(10))], {"tui": 1})
    large = measures.measure(
        [parse_module("tui/a.py", lines(801)), parse_module("tui/b.py", "import tui.a\n")],
        {"tui": 2},
    )
    rows = {
        row[1]: row[2:-1]
        for line in measures.format_table({"before": small, "now": large}).splitlines()
        if (row := [cell.strip() for cell in line.split("|")])
    }
    assert rows[""] == ["before", "now", "goal"]
    assert rows["source files"][:2] == ["1", "2"]
    assert rows["source lines"][:2] == ["10", "802"]
    assert rows["lines per file: median"][:2] == ["10", "401"]
    assert rows["lines per file: maximum"][:2] == ["10", "801"]
    assert rows["widest folder"][:2] == ["1 (tui)", "2 (tui)"]
    assert rows["files over 800 lines"] == ["0", "1", "0"]
    assert rows["files with a single importer"][:2] == ["0", "1"]


def test_this_tree_can_be_measured() -> None:
    modules = read_tree(ROOT, PRODUCT)
    found = {one.label: one.value for one in measures.measure(modules, {})}
    assert int(found["source files"]) == len(modules) > 100
