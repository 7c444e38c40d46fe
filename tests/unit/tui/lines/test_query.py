from __future__ import annotations

import pytest

from tests.support.told import line
from tui.lines.query import QueryError, line_test


@pytest.mark.parametrize(
    ("include", "exclude", "level", "message", "passes"),
    [
        ((), (), None, "anything", True),
        (("a.c",), (), None, "xabcx", True),
        (("a", "b"), (), None, "only a", False),
        (("a",), ("b",), None, "ab", False),
        ((), (), "warn", "WARN careful", True),
        ((), (), "warn", "INFO fine", False),
        ((), (), "info", "no level", True),
        ((), (), "error", '{"level":"fatal"}', True),
    ],
)
def test_what_a_line_must_pass(
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    level: str | None,
    message: str,
    *,
    passes: bool,
) -> None:
    assert line_test(include, exclude, level).passes(line(1, message)) is passes


def test_what_is_no_regular_expression_is_named() -> None:
    with pytest.raises(QueryError, match=r"'\(' is not a regular expression"):
        line_test(["("])
