"""Parsed source files: their lines, functions, classes, imports and faces.

Everything here is pure except ``read_tree`` and ``read_folders``.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PRODUCT: Final = ("wire", "common", "forwarder", "tui", "simulator", "gapless")
"""The packages of the product, in the order in which they are reported."""

_IGNORED: Final = re.compile(r"\.|__pycache__$|__init__\.py$")
"""Entries that do not count towards the width of a folder."""

_FACES: Final = re.compile(r"^Faces:\s*([^.]*)\.", re.MULTILINE)

_NO_CODE: Final = frozenset(
    {
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENCODING,
        tokenize.ENDMARKER,
    }
)


@dataclass(frozen=True, slots=True)
class Definition:
    """A function or class: its name, first line and length in lines, decorators excluded."""

    name: str
    line: int
    lines: int


@dataclass(frozen=True, slots=True)
class ImportStatement:
    """One imported name.

    Attributes:
        candidates: Modules that it may mean, the most specific first: ``from a import b`` means
            ``a.b`` where that is a module, else ``a``.
        line: Where it is written.
        typing: Whether it is under ``if TYPE_CHECKING``.
    """

    candidates: tuple[str, ...]
    line: int
    typing: bool


@dataclass(frozen=True, slots=True)
class Module:
    """One source file.

    Attributes:
        name: Dotted name; a package's is that of its folder.
        path: Relative to the tree, with slashes.
        is_package: Whether it is an ``__init__.py``.
        lines: All lines.
        code_lines: Lines that are more than blank, comment or docstring.
        faces: Modules that the docstring of a package opens to importers outside it.
    """

    name: str
    path: str
    is_package: bool
    lines: int
    code_lines: int
    functions: tuple[Definition, ...]
    classes: tuple[Definition, ...]
    imports: tuple[ImportStatement, ...]
    faces: frozenset[str]


def parse_module(path: str, text: str) -> Module:
    """Parse one file; ``path`` is relative to the tree. Raises SyntaxError."""
    parts = path.removesuffix(".py").split("/")
    is_package = parts[-1] == "__init__"
    name = ".".join(parts[:-1] if is_package else parts)
    package = name if is_package else name.rpartition(".")[0]
    tree = ast.parse(text)
    nodes = list(ast.walk(tree))
    functions = (one for one in nodes if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef))
    classes = (one for one in tree.body if isinstance(one, ast.ClassDef))
    return Module(
        name=name,
        path=path,
        is_package=is_package,
        lines=len(text.splitlines()),
        code_lines=_count_code_lines(text, nodes),
        functions=tuple(_definition(one) for one in functions),
        classes=tuple(_definition(one) for one in classes),
        imports=tuple(_imports(tree, package, typing=False)),
        faces=parse_faces(ast.get_docstring(tree) or "") if is_package else frozenset(),
    )


def parse_faces(docstring: str) -> frozenset[str]:
    """Face modules named by a package's docstring, in ``Faces: client, reader, rate_limit.``.

    The line starts with ``Faces:`` and the list ends with a full stop, on the same line or on a
    later one.
    """
    found = _FACES.search(docstring)
    return frozenset(found.group(1).replace(",", " ").split()) if found else frozenset()


def _definition(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> Definition:
    end = node.end_lineno or node.lineno
    return Definition(node.name, node.lineno, end - node.lineno + 1)


def _count_code_lines(text: str, nodes: list[ast.AST]) -> int:
    code: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in _NO_CODE:
            code.update(range(token.start[0], token.end[0] + 1))
    for node in nodes:  # docstrings, those of attributes included
        match node:
            case ast.Expr(value=ast.Constant(value=str())):
                code.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(code)


def _imports(node: ast.AST, package: str, *, typing: bool) -> Iterator[ImportStatement]:
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.Import(names=names):
                for one in names:
                    yield ImportStatement((one.name,), child.lineno, typing)
            case ast.ImportFrom(names=names):
                base = _absolute(child, package)
                for one in names:
                    yield ImportStatement((f"{base}.{one.name}", base), child.lineno, typing)
            case ast.If(test=test) if _is_type_checking(test):
                for part in child.body:
                    yield from _imports(ast.Module([part], []), package, typing=True)
                for part in child.orelse:
                    yield from _imports(ast.Module([part], []), package, typing=typing)
            case _:
                yield from _imports(child, package, typing=typing)


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    base = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*base, node.module] if node.module else base)


def _is_type_checking(test: ast.expr) -> bool:
    match test:
        case ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING"):
            return True
    return False


def read_tree(root: Path, packages: tuple[str, ...]) -> list[Module]:
    """Parse every Python file in the given folders of a tree; absent folders count as empty."""
    return [
        parse_module(path.relative_to(root).as_posix(), path.read_text(encoding="utf-8"))
        for package in packages
        for path in sorted((root / package).rglob("*.py"))
    ]


def read_folders(root: Path, packages: tuple[str, ...]) -> Mapping[str, int]:
    """Entries of every folder of source in a tree, hidden ones and ``__init__.py`` excluded."""
    found: dict[str, int] = {}
    for package in packages:
        for init in {path.parent for path in (root / package).rglob("*.py")}:
            for folder in (init, *init.parents):
                if folder == root:
                    break
                entries = [one for one in folder.iterdir() if not _IGNORED.match(one.name)]
                found[folder.relative_to(root).as_posix()] = len(entries)
    return dict(sorted(found.items()))
