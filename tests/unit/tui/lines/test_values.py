from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fake_engine import make_line
from tui.lines.values import Value, parsed, tree

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=12,
)


def at(found: Any, path: tuple[str | int, ...]) -> Any:  # noqa: ANN401 - JSON
    for step in path:
        found = found[step]
    return found


@given(st.lists(JSON, max_size=3) | st.dictionaries(st.text(max_size=4), JSON, max_size=3))
def test_the_tree_is_the_json_with_a_value_on_each_scalar(found: object) -> None:
    lines = tree(found)
    assert lines is not None
    assert "\n".join(text for text, _ in lines) == json.dumps(found, indent=2, ensure_ascii=False)
    message = json.dumps(found)
    for text, value in lines:
        if value is not None:
            assert at(found, value.path) == value.value
            assert json.dumps(value.value, ensure_ascii=False) in text
            assert value.matches(make_line(1, message))


@pytest.mark.parametrize(
    ("value", "message", "expected"),
    [
        (Value("json", ("a",), "x"), '{"a": "x"}', True),
        (Value("json", ("a",), "x"), '{"a": "\\u0078"}', False),
        (Value("json", ("a",), "x y"), '{"a": "x\\u0020y"}', True),
        (Value("json", ("a",), "x"), '{"a": "xx", "b": "x"}', False),
        (Value("json", ("a",), 1), '{"a": 1}', True),
        (Value("json", ("a",), 1), '{"a": true}', False),
        (Value("json", ("a",), value=True), '{"a": 1}', False),
        (Value("json", ("a",), None), '{"a": null}', True),
        (Value("json", ("a",), None), '{"b": null}', False),
        (Value("json", ("a", 1), 2), '{"a": [1, 2]}', True),
        (Value("json", ("a", 1), 2), '{"a": [2]}', False),
        (Value("json", ("a", "1"), 2), '{"a": [1, 2]}', False),
        (Value("json", ("a",), 2), '{"a": 2', False),
        (Value("json", ("a",), 2), "plain 2", False),
        (Value("json", (0,), 2), "[2]", True),
        (Value("stream", ("stream",), "web/app/7c1e09"), "x", True),
        (Value("stream", ("stream",), "web"), "x", False),
        (Value("level", ("level",), "error"), "ERROR x", True),
        (Value("level", ("level",), "error"), "INFO x", False),
        (Value("origin", ("came",), "live"), "x", True),
        (Value("origin", ("came",), "repair"), "x", False),
        (Value("lane", ("group",), 0), "x", True),
        (Value("lane", ("group",), 1), "x", False),
    ],
)
def test_lines_that_have_a_value(value: Value, message: str, expected: bool) -> None:  # noqa: FBT001
    assert value.matches(make_line(1, message)) == expected


def test_what_is_no_json() -> None:
    for message in ("", "x", '"text"', "12", "{", "[" * 100_000):
        assert parsed(message) is None


def test_what_is_nested_too_deep_is_no_tree() -> None:
    found: list[Any] = []
    for _ in range(5_000):
        found = [found]
    assert tree(found) is None


def test_texts() -> None:
    assert Value("json", ("user", "roles", 0), "admin").text == "user.roles[0]=admin"
    assert Value("json", (0, "a"), value=True).text == "[0].a=true"
    assert Value("lane", ("group",), 3, "/g").text == "group=/g"
