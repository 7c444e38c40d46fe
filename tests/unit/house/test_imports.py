from __future__ import annotations

from tests.house import imports
from tests.house.sources import Module, parse_module

LAYERS = "screen > client | output > rows, keys"


def tree(**files: str) -> list[Module]:
    """Modules by path and text; a ``0`` in a name is a slash, a ``;`` in a text ends a line."""
    return [
        parse_module(f"{name.replace('0', '/')}.py", text.replace(";", "\n"))
        for name, text in files.items()
    ]


def test_edges_join_modules_of_the_tree_once_for_each_kind() -> None:
    modules = tree(
        a="import b; import b; import os; from c import x".replace("; ", ";"),
        b="import b;if TYPE_CHECKING:;    import a;import a",
        c="",
    )
    found = [
        (one.importer, one.imported, one.typing, one.line) for one in imports.find_edges(modules)
    ]
    assert found == [
        ("a", "b", False, 1),
        ("a", "c", False, 4),
        ("b", "a", True, 3),
        ("b", "a", False, 4),
    ]


def test_a_module_wins_over_its_package() -> None:
    modules = tree(tui0__init__="", tui0row="", a="from tui import row;from tui import VERSION")
    assert [one.imported for one in imports.find_edges(modules)] == ["tui.row", "tui"]


def test_single_importers_leave_out_packages_and_modules_with_none_or_two() -> None:
    modules = tree(
        a="import p;import b;import c", b="import c;import d", c="", d="", p0__init__="import d"
    )
    edges = imports.find_edges(modules)
    assert imports.find_single_importers(modules, edges) == {"b": "a"}


def test_cycles_are_strongly_connected_components() -> None:
    modules = tree(
        a="import b", b="import c", c="import a;import d", d="import e", e="import d", f="import a"
    )
    edges = imports.find_edges(modules)
    assert imports.find_cycles(edges) == [("a", "b", "c"), ("d", "e")]


def test_imports_for_type_checkers_close_no_cycle_unless_asked_for() -> None:
    edges = imports.find_edges(tree(a="import b", b="if TYPE_CHECKING:;    import a"))
    assert imports.find_cycles(edges) == []
    assert imports.find_cycles(edges, typing=True) == [("a", "b")]


def test_upward_imports_go_to_a_higher_layer_or_to_an_independent_neighbour() -> None:
    modules = tree(
        tui0screen0app="import tui.rows;import tui.client.link",
        tui0client0link="import tui.output;import tui.client.poll",
        tui0client0poll="import tui.screen.app",
        tui0output="import tui.keys",
        tui0rows="import tui.keys",
        tui0keys="import tui.rows;import tui.odd;import other.screen",
        tui0odd="import tui.screen.app",
        other0screen="import tui.screen.app",
    )
    edges = imports.find_edges(modules)
    found = [(one.importer, one.imported) for one in imports.find_upward("tui", LAYERS, edges)]
    assert found == [("tui.client.link", "tui.output"), ("tui.client.poll", "tui.screen.app")]


def test_upward_imports_between_packages() -> None:
    modules = tree(
        wire0codec="import tui.app", tui0app="import wire.codec;import gapless", gapless=""
    )
    edges = imports.find_edges(modules)
    found = [one.importer for one in imports.find_upward("", imports.LAYERS[""], edges)]
    assert found == ["tui.app", "wire.codec"]


def test_every_module_of_a_divided_package_has_a_layer_and_every_layer_exists() -> None:
    rooms = tree(
        tui0__init__="", tui0screen0app="", tui0screen0__init__="", tui0client="", tui0rows="",
        tui0output="", tui0odd="", tui0__main__="",
    )  # fmt: skip
    assert imports.is_divided("tui", LAYERS, rooms)
    assert imports.find_unplaced("tui", LAYERS, rooms) == ["tui.keys", "tui.odd"]
    flat = tree(tui0__init__="", tui0rows="", tui0odd="")
    assert not imports.is_divided("tui", LAYERS, flat)
    assert imports.find_unplaced("tui", LAYERS, flat) == ["tui"]


def test_a_package_is_imported_from_outside_through_its_faces() -> None:
    modules = tree(
        tui0__init__="",
        tui0app="import tui.lines;import tui.lines.view;import tui.lines.packed;import tui.ports",
        tui0ports="",
        tui0lines0__init__='"""Rows.;;Faces: view, gone.;"""',
        tui0lines0view="import tui.lines.packed;import tui.ports",
        tui0lines0packed="",
        wire0__init__="",
        wire0codec="import tui.ports",
        gapless0cli="import wire.codec",
    )
    edges = imports.find_edges(modules)
    found = [(one.importer, one.imported) for one in imports.find_bypasses(modules, edges)]
    assert found == [("tui.app", "tui.lines.packed"), ("wire.codec", "tui.ports")]
    assert imports.find_missing_faces(modules) == ["tui.lines.gone"]


def test_names_that_occur_more_than_once() -> None:
    modules = tree(
        tui0__init__="class A: ...", tui0log="class B: ...;class B2: ...", wire0__init__="",
        wire0log="class B: ...;class A: ...", tui0__main__="", wire0__main__="", wire0codec="",
    )  # fmt: skip
    assert imports.find_repeated_modules(modules) == {"log": 2}
    assert imports.find_repeated_classes(modules) == {"A": 2, "B": 2}


def test_layers_come_from_the_contracts_of_import_linter() -> None:
    text = """
        [[tool.importlinter.contracts]]
        type = "layers"
        layers = ["top", "left | right"]
        [[tool.importlinter.contracts]]
        type = "layers"
        containers = ["left"]
        layers = ["above", "one : other"]
        [[tool.importlinter.contracts]]
        type = "forbidden"
    """
    assert imports.read_layers(text) == {"": "top > left | right", "left": "above > one, other"}
