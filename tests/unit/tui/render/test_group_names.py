"""tests.unit.tui.render.test_group_names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.render.group_names import StreamNames, short_group_names

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


def test_lambda_streams_show_version_and_instance() -> None:
    names = StreamNames()
    long = "2026/11/23/[$LATEST]ab12cd34" + "0" * 24
    names.add(0, long)
    assert names.text(0, long) == "[$LATEST]ab12cd34"
    shared = "2026/11/23/my-function[7]" + "0123456789abcdef" * 2
    assert names.text(0, shared) == "my-function[7]01234567"


def test_folders_that_all_streams_of_a_group_share_are_left_out() -> None:
    names = StreamNames()
    names.add(0, "ecs/web/one")
    assert names.text(0, "ecs/web/one") == "ecs/web/one"
    assert names.add(0, "ecs/web/two")
    assert names.text(0, "ecs/web/one") == "one"
    assert not names.add(0, "ecs/web/two")
    assert names.add(0, "ecs/job/three")
    assert names.text(0, "ecs/web/two") == "web/two"
    assert names.add(0, "other")
    assert names.text(0, "ecs/web/two") == "ecs/web/two"
    names.add(1, "ecs/web/one")
    assert names.text(1, "ecs/web/one") == "ecs/web/one", "of another log group"


def test_streams_of_one_name_in_two_groups_have_two_colours() -> None:
    names = StreamNames()
    names.add(0, "app")
    names.add(1, "app")
    assert names.role(0, "app") != names.role(1, "app")
    assert names.text(1, "app") == "app"


def test_colours_come_in_order_of_appearance_and_far_apart() -> None:
    names = StreamNames()
    for number in range(48):
        names.add(0, f"s{number}")
    hues = [int(names.role(0, f"s{number}").partition(".")[2]) for number in range(48)]
    assert sorted(hues[:24]) == list(range(24))
    assert hues[:24] == hues[24:]
    for few, apart in ((3, 8), (6, 4), (12, 2)):
        first = sorted(hues[:few])
        gaps = [(b - a) % 24 for a, b in zip(first, [*first[1:], first[0]], strict=True)]
        assert min(gaps) == apart
    assert names.role(0, "never seen").startswith("stream.")


@given(st.lists(st.text("ab/", max_size=6), max_size=12, unique=True))
def test_short_names_of_a_group_differ(streams: list[str]) -> None:
    names = StreamNames()
    for name in streams:
        names.add(0, name)
    assert len({names.text(0, name) for name in streams}) == len(streams)
    assert all(name.endswith(names.text(0, name)) for name in streams)
