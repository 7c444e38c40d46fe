"""The graph of imports among modules, and what breaks the rules of the layout in it. Pure."""

from __future__ import annotations

import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.house.sources import Module

ROOT: Final = Path(__file__).parents[2]


def read_layers(pyproject: str) -> dict[str, str]:
    """Each package's layers by import-linter's contracts; the empty name stands for the tree.

    Layers stand from top to bottom, divided by ``>``. A module imports from lower layers, and from
    its own name. Names divided by ``|`` do not import each other; names divided by a comma may.

    Args:
        pyproject: The text of pyproject.toml.
    """
    contracts = tomllib.loads(pyproject)["tool"]["importlinter"]["contracts"]
    return {
        package: " > ".join(layer.replace(" : ", ", ") for layer in one["layers"])
        for one in contracts
        if one["type"] == "layers"
        for package in one.get("containers", [""])
    }


LAYERS: Final[Mapping[str, str]] = read_layers(
    (ROOT / "pyproject.toml").read_text(encoding="utf-8")
)
"""The layers of this tree, by which other trees are measured too."""

OPEN_PACKAGES: Final = ("common", "wire")
"""Packages at the bottom in which every module is a face."""


@dataclass(frozen=True, slots=True, order=True)
class Edge:
    """One import of a module of the tree by another.

    Attributes:
        path: File of the importer.
        line: Where the import is written.
        importer: Dotted name.
        imported: Dotted name.
        typing: Whether it is for type checkers only.
    """

    path: str
    line: int
    importer: str
    imported: str
    typing: bool

    def __str__(self) -> str:
        """``file:line: importer imports imported``."""
        return f"{self.path}:{self.line}: {self.importer} imports {self.imported}"


def find_edges(modules: Iterable[Module]) -> list[Edge]:
    """Imports among the modules, those inside functions included, once per pair and kind."""
    known = list(modules)
    names = {one.name for one in known}
    found: dict[tuple[str, str, bool], Edge] = {}
    for module in known:
        for statement in module.imports:
            target = next((one for one in statement.candidates if one in names), None)
            if target is None or target == module.name:
                continue
            key = (module.name, target, statement.typing)
            edge = Edge(module.path, statement.line, module.name, target, statement.typing)
            found.setdefault(key, edge)
    return sorted(found.values())


def find_single_importers(modules: Iterable[Module], edges: Iterable[Edge]) -> dict[str, str]:
    """Modules that exactly one other imports, with that importer; packages do not count."""
    importers: defaultdict[str, set[str]] = defaultdict(set)
    for edge in edges:
        importers[edge.imported].add(edge.importer)
    plain = {one.name for one in modules if not one.is_package}
    return {
        name: next(iter(by))
        for name, by in sorted(importers.items())
        if name in plain and len(by) == 1
    }


def find_cycles(edges: Iterable[Edge], *, typing: bool = False) -> list[tuple[str, ...]]:
    """Groups of modules that import each other in a circle (strongly connected components).

    Args:
        typing: Whether imports for type checkers count, too.
    """
    targets: defaultdict[str, list[str]] = defaultdict(list)
    for edge in edges:
        if typing or not edge.typing:
            targets[edge.importer].append(edge.imported)
    return sorted(tuple(sorted(one)) for one in _components(targets) if len(one) > 1)


def _components(targets: Mapping[str, list[str]]) -> list[list[str]]:
    """Kosaraju's algorithm: order by time of leaving, then walk the reversed graph."""
    order: list[str] = []
    seen: set[str] = set()
    for start in list(targets):
        _walk(start, targets, seen, order)
    reverse: defaultdict[str, list[str]] = defaultdict(list)
    for importer, imported in targets.items():
        for one in imported:
            reverse[one].append(importer)
    seen.clear()
    components: list[list[str]] = []
    for start in reversed(order):
        component: list[str] = []
        _walk(start, reverse, seen, component)
        components.append(component)
    return components


def _walk(start: str, targets: Mapping[str, list[str]], seen: set[str], left: list[str]) -> None:
    """Depth-first walk without recursion; appends each node when it is left."""
    if start in seen:
        return
    seen.add(start)
    path = [(start, iter(targets.get(start, ())))]
    while path:
        node, rest = path[-1]
        for one in rest:
            if one not in seen:
                seen.add(one)
                path.append((one, iter(targets.get(one, ()))))
                break
        else:
            left.append(node)
            path.pop()


def parse_layers(text: str) -> dict[str, tuple[int, bool]]:
    """For each name its height (0 = top) and whether neighbours of that height may import it."""
    found = {}
    for height, layer in enumerate(text.split(">")):
        for names in layer.split("|"):
            together = [one.strip() for one in names.split(",")]
            found.update({name: (height, len(together) > 1) for name in together})
    return found


def is_divided(package: str, layers: str, modules: Iterable[Module]) -> bool:
    """Whether a tree has rooms for these layers: three quarters of their names exist in it."""
    names = {one.name for one in modules}
    wanted = [f"{package}.{one}".lstrip(".") for one in parse_layers(layers)]
    return sum(one in names for one in wanted) * 4 >= len(wanted) * 3


def find_upward(package: str, layers: str, edges: Iterable[Edge]) -> list[Edge]:
    """Imports inside a package (the empty name: inside the tree) that go against its layers."""
    heights = parse_layers(layers)
    found = []
    for edge in edges:
        above, below = (_part(package, one) for one in (edge.importer, edge.imported))
        if above == below or above not in heights or below not in heights:
            continue
        (upper, _), (lower, together) = heights[above], heights[below]
        if upper > lower or (upper == lower and not together):
            found.append(edge)
    return found


def find_unplaced(package: str, layers: str, modules: Sequence[Module]) -> list[str]:
    """Modules and rooms of a package that its layers do not name, and names that do not exist.

    A package that has no rooms yet is named itself, alone.
    """
    if not is_divided(package, layers, modules):
        return [package]
    names = {part for one in modules if (part := _part(package, one.name))} - {"__main__"}
    return sorted(f"{package}.{one}".lstrip(".") for one in names ^ set(parse_layers(layers)))


def _part(package: str, name: str) -> str | None:
    """The room or module directly in ``package`` to which a module belongs; None outside it."""
    if package:
        if not name.startswith(f"{package}."):
            return None
        name = name.removeprefix(f"{package}.")
    return name.partition(".")[0]


def find_bypasses(modules: Iterable[Module], edges: Iterable[Edge]) -> list[Edge]:
    """Imports into a package, from outside it, of a module that is not one of its faces.

    The package itself may always be imported, and so may every module of ``OPEN_PACKAGES``.
    """
    packages = {one.name: one.faces for one in modules if one.is_package}
    found = []
    for edge in edges:
        package, _, module = edge.imported.rpartition(".")
        if edge.imported in packages or package not in packages or package in OPEN_PACKAGES:
            continue
        inside = edge.importer == package or edge.importer.startswith(f"{package}.")
        if not inside and module not in packages[package]:
            found.append(edge)
    return found


def find_missing_faces(modules: Iterable[Module]) -> list[str]:
    """Faces that a package names and does not have, as dotted names."""
    known = list(modules)
    names = {one.name for one in known}
    wanted = {f"{one.name}.{face}" for one in known for face in one.faces}
    return sorted(wanted - names)


def find_repeated_modules(modules: Iterable[Module]) -> dict[str, int]:
    """Base names of modules that occur more than once, ``__init__`` and ``__main__`` excluded."""
    names = Counter(one.name.rpartition(".")[2] for one in modules if not one.is_package)
    return {
        name: count for name, count in sorted(names.items()) if count > 1 and name != "__main__"
    }


def find_repeated_classes(modules: Iterable[Module]) -> dict[str, int]:
    """Names of classes at the top of a module that occur more than once, private ones included."""
    names = Counter(klass.name for one in modules for klass in one.classes)
    return {name: count for name, count in sorted(names.items()) if count > 1}
