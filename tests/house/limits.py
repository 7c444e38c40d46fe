"""The limits and import rules of the layout that ``make check`` can enforce. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tests.house import imports
from tests.house.measures import FILE_LINES_MAX, FOLDER_ENTRIES_MAX, find_long_functions
from tests.house.sources import PRODUCT, Module

WIDTH_LIMITED: Final = (*PRODUCT, "tests/unit")
"""Folders in and below which too many entries are a violation; elsewhere they are a remark."""


def find_violations(
    modules: Sequence[Module], others: Sequence[Module], folders: Mapping[str, int]
) -> list[str]:
    """Everything that breaks a limit or a rule, one line each.

    Args:
        modules: The product's modules; import rules hold for these.
        others: Test and tool modules; limits of length hold for these, too.
        folders: Entries per folder.
    """
    edges = imports.find_edges(modules)
    everything = [*modules, *others]
    long_files = [
        f"{one.path}: {one.lines} lines, at most {FILE_LINES_MAX}: divide it by subject"
        for one in everything
        if one.lines > FILE_LINES_MAX
    ]
    wide = [line for folder, line in _wide_folders(folders) if _is_limited(folder)]
    cycles = [f"import cycle: {' '.join(one)}" for one in imports.find_cycles(edges)]
    bypasses = [
        f"{edge}, not a face: name it in 'Faces:' of its __init__.py or import a face"
        for edge in imports.find_bypasses(modules, edges)
    ]
    missing = [
        f"{name} is named in 'Faces:' and does not exist"
        for name in imports.find_missing_faces(modules)
    ]
    upward = [
        line
        for package, layers in imports.LAYERS.items()
        for line in _layer_violations(package, layers, modules, edges)
    ]
    return [
        *long_files,
        *wide,
        *find_long_functions(everything),
        *cycles,
        *upward,
        *bypasses,
        *missing,
    ]


def find_remarks(folders: Mapping[str, int]) -> list[str]:
    """Folders with too many entries where that is no violation."""
    return [line for folder, line in _wide_folders(folders) if not _is_limited(folder)]


def _layer_violations(
    package: str, layers: str, modules: Sequence[Module], edges: Sequence[imports.Edge]
) -> list[str]:
    upward = imports.find_upward(package, layers, edges)
    return [
        *(f"{edge}, against the layers: {layers}" for edge in upward),
        *(
            f"{name}: not both in the tree and in the layers of pyproject.toml"
            for name in imports.find_unplaced(package, layers, modules)
        ),
    ]


def _wide_folders(folders: Mapping[str, int]) -> list[tuple[str, str]]:
    return [
        (folder, f"{folder}/: {entries} entries, at most {FOLDER_ENTRIES_MAX}")
        for folder, entries in folders.items()
        if entries > FOLDER_ENTRIES_MAX
    ]


def _is_limited(folder: str) -> bool:
    return any(folder == one or folder.startswith(f"{one}/") for one in WIDTH_LIMITED)
