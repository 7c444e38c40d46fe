"""tests.unit.tui.render.test_group_names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.render.group_names import short_group_names

GROUPS = st.lists(st.sampled_from("ab/-"), min_size=1, max_size=7).map("".join)


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["/aws/lambda/orders", "/aws/lambda/mail"], ["orders", "mail"]),
        (["/prod/web", "/test/web", "/test/db"], ["prod/web", "test/web", "db"]),
        (["/ecs/web", "web"], ["ecs/web", "web"]),
        (["eu-west-1:/ecs/web", "us-east-1:/ecs/web"], ["eu-west-1:web", "us-east-1:web"]),
        (["us-east-1:/ecs/web", "us-east-1:/ecs/db"], ["web", "db"]),
        (["/ecs/web", "210987654321:/ecs/web"], ["web", "210987654321:web"]),
        (["/ecs/web"], ["web"]),
        (["/ecs/web/", "/a/"], ["web/", "a/"]),
        (["ws://127.0.0.1:1/v1/tail", "/ecs/web"], ["tail", "web"]),
        ([], []),
    ],
)
def test_the_shortest_suffix_that_no_other_group_has(names: list[str], shown: list[str]) -> None:
    assert short_group_names(names) == shown


@given(st.lists(GROUPS, max_size=8))
def test_groups_can_be_told_apart(names: list[str]) -> None:
    shown = short_group_names(names)
    assert len(set(zip(names, shown, strict=True))) == len(set(names)) == len(set(shown))
    assert all(name.endswith(short) and short for name, short in zip(names, shown, strict=True))
