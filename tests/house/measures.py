"""Measures of the code layout, and the table that compares two trees by them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median
from typing import Final

from tests.house import imports
from tests.house.sources import Module

FILE_LINES_MAX: Final = 800
FOLDER_ENTRIES_MAX: Final = 15
FUNCTION_LINES_MAX: Final = 70


@dataclass(frozen=True, slots=True)
class Measure:
    """One row of the table.

    Attributes:
        label: What is measured.
        value: As a person reads it.
        goal: As a person reads it; empty without one.
        names: What the figure counts, for ``--verbose``.
    """

    label: str
    value: str
    goal: str = ""
    names: tuple[str, ...] = ()


def measure(modules: Sequence[Module], folders: Mapping[str, int]) -> list[Measure]:
    """Every measure of the product's modules and folders."""
    edges = imports.find_edges(modules)
    return [*_sizes(modules, folders), *_import_measures(modules, edges), *_names(modules)]


def _sizes(modules: Sequence[Module], folders: Mapping[str, int]) -> list[Measure]:
    lengths = [one.lines for one in modules] or [0]
    widest = max(folders, key=lambda one: folders[one], default="")
    long_files = [f"{one.path}: {one.lines}" for one in modules if one.lines > FILE_LINES_MAX]
    return [
        Measure("source files", f"{len(modules):,}", "about 210"),
        Measure("source lines", f"{sum(lengths):,}", "46,000 at most"),
        Measure("code lines", f"{sum(one.code_lines for one in modules):,}"),
        Measure("lines per file: mean", f"{mean(lengths):.0f}", "220"),
        Measure("lines per file: median", f"{median(lengths):.0f}", "200"),
        Measure("lines per file: maximum", f"{max(lengths):,}", f"{FILE_LINES_MAX} at most"),
        Measure(
            "widest folder",
            f"{folders.get(widest, 0)} ({widest})",
            f"{FOLDER_ENTRIES_MAX} at most",
        ),
        _count(f"files over {FILE_LINES_MAX} lines", long_files),
        _count(f"functions over {FUNCTION_LINES_MAX} lines", find_long_functions(modules)),
    ]


def _import_measures(modules: Sequence[Module], edges: Sequence[imports.Edge]) -> list[Measure]:
    single = imports.find_single_importers(modules, edges)
    cycles = imports.find_cycles(edges)
    with_typing = imports.find_cycles(edges, typing=True)
    divided = {
        package: layers
        for package, layers in imports.LAYERS.items()
        if package and imports.is_divided(package, layers, modules)
    }
    rooms = [
        str(edge)
        for package, layers in divided.items()
        for edge in imports.find_upward(package, layers, edges)
    ]
    return [
        _count(
            "files with a single importer",
            [f"{name} <- {importer}" for name, importer in single.items()],
            "under 50",
        ),
        _count("import cycles", [" ".join(one) for one in cycles]),
        _count("import cycles, TYPE_CHECKING included", [" ".join(one) for one in with_typing]),
        _count(
            "upward imports between packages",
            map(str, imports.find_upward("", imports.LAYERS[""], edges)),
        ),
        _count("upward imports between rooms", rooms)
        if divided
        else Measure("upward imports between rooms", "no rooms", "0"),
        _count("imports past a face module", map(str, imports.find_bypasses(modules, edges))),
    ]


def _names(modules: Sequence[Module]) -> list[Measure]:
    repeated_modules = imports.find_repeated_modules(modules)
    repeated_classes = imports.find_repeated_classes(modules)
    return [
        _count(
            "module names that occur more than once",
            [f"{name}: {count}" for name, count in repeated_modules.items()],
            "",
        ),
        _count(
            "class names that occur more than once",
            [f"{name}: {count}" for name, count in repeated_classes.items()],
            "",
        ),
    ]


def find_long_functions(modules: Sequence[Module]) -> list[str]:
    """Functions over the limit, each as ``file:line: function has N lines``."""
    return [
        f"{module.path}:{one.line}: {one.name} has {one.lines} lines"
        for module in modules
        for one in module.functions
        if one.lines > FUNCTION_LINES_MAX
    ]


def _count(label: str, names: Iterable[str], goal: str = "0") -> Measure:
    found = tuple(names)
    return Measure(label, f"{len(found):,}", goal, found)


def format_table(columns: Mapping[str, Sequence[Measure]]) -> str:
    """The measures as a Markdown table, one column per tree, the goal last."""
    first = next(iter(columns.values()))
    rows = [["", *columns, "goal"], ["---", *("---:" for _ in columns), "---:"]]
    for row, label in enumerate(one.label for one in first):
        rows.append([label, *(found[row].value for found in columns.values()), first[row].goal])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "| "
        + " | ".join(
            _pad(cell, width, at) for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        + " |"
        for row in rows
    )


def _pad(cell: str, width: int, column: int) -> str:
    return cell.ljust(width) if column == 0 else cell.rjust(width)
