"""Counts the work of a module's functions, so that a test can compare N with 4N without a clock.

``count_work`` runs a copy of the modules in which every call, subscript, sum, loop and comparison
also adds to a counter: 1, and the length of the text or list that it reads or makes. Copying a
text in each step, which a count of calls or lines does not show, thus counts as what it costs.
Regular expressions count as their input's length: what they try beyond it is not seen here.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from types import BuiltinFunctionType, MethodDescriptorType, MethodType, ModuleType
from typing import Final, TypeVar

_T = TypeVar("_T")

_CONSTANT: Final = frozenset(
    {"len", "isinstance", "isascii", "append", "get", "start", "end", "span", "group", "pop"}
)
"""C functions whose cost does not depend on the length of their arguments."""

_FIND: Final = frozenset({"find", "rfind", "index"})


class WorkCounter:
    """The work done by instrumented code."""

    def __init__(self) -> None:
        self.work = 0

    def call(self, function: Callable[..., _T], *args: object, **options: object) -> _T:
        """Call, and add what the call costs beyond a Python function's own steps."""
        result = function(*args, **options)
        self.work += 1 + self._cost(function, args, result)
        return result

    def made(self, value: _T) -> _T:
        """Add the length of a value that an operator has made."""
        self.work += 1 + _size(value)
        return value

    def looked_through(self, value: _T) -> _T:
        """Add the length of a list or text on the right of ``in``."""
        self.work += len(value) if isinstance(value, list | tuple | str) else 0
        return value

    def step(self, value: _T) -> _T:
        """Add one step."""
        self.work += 1
        return value

    @staticmethod
    def _cost(function: Callable[..., object], args: Sequence[object], result: object) -> int:
        if _is_instrumented(function) or isinstance(function, type):
            return 0  # its own steps are counted, or it only keeps its arguments
        name = getattr(function, "__name__", "")
        owner = getattr(function, "__self__", None)
        if name in _CONSTANT:
            return 0
        if name in _FIND and isinstance(owner, str):
            return _searched(owner, args, result)
        read = [owner, *args] if isinstance(function, BuiltinFunctionType) else list(args)
        if isinstance(function, MethodDescriptorType):
            read = list(args)
        return sum(map(_size, read)) + _size(result)


def _is_instrumented(function: Callable[..., object]) -> bool:
    if isinstance(function, MethodType):
        return _is_instrumented(function.__func__)
    return inspect.isfunction(function) and "_counter" in function.__globals__


def _searched(text: str, args: Sequence[object], result: object) -> int:
    """Characters that ``find`` has looked at."""
    start, end = (*args[1:], *(0, len(text))[len(args) - 1 :])[:2]
    assert isinstance(start, int)
    assert isinstance(end, int)
    assert isinstance(result, int)
    return max(0, (min(end, len(text)) if result < 0 else result) - start)


def _size(value: object) -> int:
    return len(value) if isinstance(value, str | bytes | bytearray) else 0


class _Instrument(ast.NodeTransformer):
    """Wraps expressions into calls of the counter."""

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id == "super":
            return node
        return _wrapped("call", node.func, *node.args, keywords=node.keywords)

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        return _wrapped("made", node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.expr:
        self.generic_visit(node)
        return _wrapped("made", node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        self.generic_visit(node)
        return _wrapped("made", node) if isinstance(node.ctx, ast.Load) else node

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        self.generic_visit(node)
        for number, operator in enumerate(node.ops):
            if isinstance(operator, ast.In | ast.NotIn):
                node.comparators[number] = _wrapped("looked_through", node.comparators[number])
        return _wrapped("step", node)

    def visit_FormattedValue(self, node: ast.FormattedValue) -> ast.FormattedValue:
        node.value = self.visit(node.value)
        return node  # its format is no expression of its own

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AnnAssign:
        if node.value is not None:
            node.value = self.visit(node.value)
        return node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.stmt:
        """``x += y`` copies ``x`` where it is a text."""
        self.generic_visit(node)
        if not isinstance(node.target, ast.Name):
            return node
        name = ast.Name(node.target.id, ast.Load())
        return ast.copy_location(
            ast.If(
                test=_wrapped("call", ast.Name("bool", ast.Load()), ast.Constant(value=1)),
                body=[node, ast.Expr(_wrapped("made", name))],
                orelse=[],
            ),
            node,
        )


def _wrapped(method: str, *args: ast.expr, keywords: Sequence[ast.keyword] = ()) -> ast.expr:
    function = ast.Attribute(ast.Name("_counter", ast.Load()), method, ast.Load())
    return ast.Call(function, list(args), list(keywords))


def instrument(modules: Sequence[ModuleType], counter: WorkCounter) -> dict[str, ModuleType]:
    """Copies of modules that count their work.

    Args:
        modules: The modules, each after those that it imports, so that copies use copies.
        counter: What they add to.

    Returns:
        The copies by the modules' names.
    """
    copies: dict[str, ModuleType] = {}
    for module in modules:
        tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
        tree.body = [_only_functions(node) for node in tree.body]
        copy = ModuleType(module.__name__)
        copy.__file__ = module.__file__
        copy.__dict__["_counter"] = counter
        exec(compile(ast.fix_missing_locations(tree), module.__name__, "exec"), copy.__dict__)
        for name, value in list(vars(copy).items()):
            if isinstance(value, ModuleType) and value.__name__ in copies:
                setattr(copy, name, copies[value.__name__])
                continue
            source = copies.get(getattr(value, "__module__", "") or "")
            if source is not None and inspect.isfunction(value):
                setattr(copy, name, getattr(source, value.__name__))
        copies[module.__name__] = copy
    return copies


def _only_functions(node: ast.stmt) -> ast.stmt:
    """Instrument functions, also of classes; what a module does on import is no work."""
    if isinstance(node, ast.FunctionDef):
        node.body = [_Instrument().visit(one) for one in node.body]
    elif isinstance(node, ast.ClassDef):
        node.body = [_only_functions(one) for one in node.body]
    return node
