from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forwarder.errors import TargetError
from forwarder.targets import FILE_LINES_MAX, account_of, common_prefix, parse_file, parse_target

ARN = "arn:aws:logs:eu-west-1:123456789012:log-group:"


@pytest.mark.parametrize(
    ("text", "name", "is_match"),
    [
        ("/ecs/*", "/ecs/web", True),
        ("/ecs/*", "/ecs/", True),
        ("/ecs/*", "/ECS/web", False),
        ("/ecs/*", "/aws/ecs/web", False),
        ("*/web", "/ecs/web", True),
        ("/ecs/w?b", "/ecs/web", True),
        ("/ecs/w?b", "/ecs/wb", False),
        ("/ecs/web", "/ecs/web", True),
        ("/ecs/web", "/ecs/web2", False),
        ("a.b", "axb", False),
        (f"{ARN}/ecs/*", "/ecs/web", True),
    ],
)
def test_what_a_target_stands_for(text: str, name: str, is_match: bool) -> None:  # noqa: FBT001
    assert parse_target(text).matches(name) is is_match


def test_an_arn_with_and_without_its_end_is_one_target() -> None:
    target = parse_target(f"{ARN}/ecs/web:*")
    assert target == parse_target(f"{ARN}/ecs/web")
    assert (target.name, target.region, target.account) == (
        "/ecs/web",
        "eu-west-1",
        "123456789012",
    )
    assert str(target) == f"{ARN}/ecs/web"
    assert not target.is_pattern
    assert parse_target(f"{ARN}/ecs/*:*").is_pattern


@pytest.mark.parametrize(
    ("scope", "other", "account", "is_covered"),
    [
        ("/ecs/*", "/ecs/web", None, True),
        ("/ecs/*", "/lambda/web", None, False),
        ("/ecs/*", f"{ARN}/ecs/web", "123456789012", True),
        ("/ecs/*", f"{ARN}/ecs/web", "999999999999", False),
        ("/ecs/*", f"{ARN}/ecs/web", None, True),
        ("/ecs/*", f"{ARN}/lambda/web", None, False),
        (f"{ARN}/ecs/*", "/ecs/web", "123456789012", True),
        (f"{ARN}/ecs/*", "/ecs/web", "999999999999", False),
        (f"{ARN}/ecs/*", f"{ARN}/ecs/web", "999999999999", True),
        (f"{ARN}/ecs/*", f"{ARN}/ecs/web", None, True),
        (f"{ARN}/ecs/*", f"{ARN.replace('123456789012', '999999999999')}/ecs/web", None, False),
    ],
)
def test_which_log_groups_a_target_covers(
    scope: str,
    other: str,
    account: str | None,
    is_covered: bool,  # noqa: FBT001
) -> None:
    assert parse_target(scope).covers(parse_target(other), account) is is_covered


def test_the_account_of_an_arn() -> None:
    assert account_of(f"{ARN}/ecs/web:*") == "123456789012"
    assert account_of("/ecs/web") == account_of("") == ""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is not the name"),
        ("two words", "is not the name"),
        ("a[bc]", "is not the name"),
        ("x" * 513, "is not the name"),
        ("é", "is not the name"),
        ("arn:aws:s3:::bucket", "is not the ARN of a log group"),
        (ARN, "is not the ARN of a log group"),
        (f"{ARN}a b", "is not the ARN of a log group"),
    ],
)
def test_what_is_no_target(text: str, says: str) -> None:
    with pytest.raises(TargetError, match=says) as raised:
        parse_target(text)
    assert "\n" not in str(raised.value)
    assert raised.value.exit_code == 2


@given(st.text("a*?", max_size=200), st.text("a", max_size=500))
def test_a_pattern_takes_no_long_time(pattern: str, name: str) -> None:
    if pattern:
        parse_target(pattern).matches(name + "b")


def test_a_file_of_targets() -> None:
    parsed = parse_file(
        f"# ours\n/ecs/web  # the front\n\n/ecs/*\r\nnot a name\n/ecs/web\n{ARN}/x:*\na#b\n",
        "groups.txt",
    )
    assert [str(one) for one in parsed.targets] == ["/ecs/web", "/ecs/*", f"{ARN}/x", "a#b"]
    (problem,) = parsed.problems
    assert problem.startswith("groups.txt, line 5: 'not a name' is not the name")


def test_a_file_that_is_too_long_is_reported() -> None:
    parsed = parse_file("\n".join(f"/g/{number}" for number in range(FILE_LINES_MAX + 5)), "f")
    assert len(parsed.targets) == FILE_LINES_MAX
    assert "only the first" in parsed.problems[0]


def test_the_common_prefix() -> None:
    assert common_prefix(["/a/bc", "/a/bd", "/a/b"]) == "/a/b"
    assert common_prefix(["x", "y"]) == ""
    assert common_prefix([]) == ""
    assert parse_target("*a*longest?x").longest_part == "longest"
    assert parse_target("/a/*b").prefix == "/a/"
