from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.aws import AwsChoice, choices_of
from gapless.targets.grammar import (
    ForwarderTarget,
    GroupTarget,
    PatternTarget,
    SourcedTarget,
    Target,
    TargetError,
    describe_target,
    label_choices,
    parse_target,
    resolve_targets,
    split_label,
)

HEAD = "arn:aws:logs:eu-west-1:123456789012:log-group:"
ARN = f"{HEAD}/a"

NAMES = st.text("ab/-_.#9", min_size=1, max_size=20)
PATTERNS = st.text("ab/*?", min_size=1, max_size=20).filter(lambda one: "*" in one or "?" in one)
STREAMS = st.text("ab/[]$-", min_size=1, max_size=20)
CHOICES = st.builds(
    choices_of,
    st.lists(st.sampled_from(["dev", "prod"]), max_size=3),
    st.lists(st.sampled_from(["eu-west-1", "us-east-1"]), max_size=3),
    st.none(),
)
TARGETS: st.SearchStrategy[Target] = st.one_of(
    NAMES.map(GroupTarget),
    PATTERNS.map(PatternTarget),
    st.builds(lambda name: parse_target(HEAD + name), NAMES),
    st.just(ForwarderTarget("ws://h:1/v1/tail")),
)


@given(NAMES, PATTERNS, STREAMS)
def test_every_name_pattern_and_arn_is_understood(name: str, pattern: str, stream: str) -> None:
    assert parse_target(name) == GroupTarget(name)
    assert parse_target(pattern) == PatternTarget(pattern)
    arn = HEAD + name
    for end in ("", ":*", ":log-stream:*"):
        assert parse_target(arn + end) == GroupTarget(name, arn)
        assert parse_target(HEAD + pattern + end) == PatternTarget(pattern, HEAD + pattern)
    assert parse_target(f"{arn}:log-stream:{stream}") == GroupTarget(name, arn, stream)


@given(st.text(max_size=60))
def test_any_text_is_a_target_or_an_error(text: str) -> None:
    try:
        target = parse_target(text)
    except TargetError as error:
        assert "\n" not in str(error)  # noqa: PT017 - one line, whatever was given
    else:
        assert describe_target(target)


@given(st.lists(TARGETS, max_size=6), CHOICES)
def test_each_target_once_in_each_place(
    targets: list[Target], choices: tuple[AwsChoice, ...]
) -> None:
    found = resolve_targets(targets, choices)
    places = {
        (target, choice)
        for target in targets
        for choice in (
            (None,)
            if isinstance(target, ForwarderTarget)
            else choices
            if target.arn is None
            else (AwsChoice(profile=choices[0].profile, region="eu-west-1"),)
        )
    }
    assert {(one.target, one.choice) for one in found} == places
    assert len(found) == len(places)
    assert resolve_targets([*targets, *targets], choices) == found


@given(CHOICES, NAMES)
def test_labels_tell_places_apart(choices: tuple[AwsChoice, ...], name: str) -> None:
    labels = label_choices(choices)
    assert len(set(labels.values())) == len(choices)
    for choice, label in labels.items():
        shown = SourcedTarget(GroupTarget(name), choice, label).name_of(name)
        assert split_label(shown, choices) == (name, (choice,) if label else choices)


def test_streams_of_one_group_are_watched_together() -> None:
    choices = (AwsChoice(region="eu-west-1"),)
    first, second, whole = (
        parse_target(ARN + end) for end in (":log-stream:x", ":log-stream:y", "")
    )
    assert [one.streams for one in resolve_targets([first, second, first], choices)] == [("x", "y")]
    for targets in ([first, whole], [whole, first], [first, second, whole]):
        assert [one.streams for one in resolve_targets(targets, choices)] == [()]


def test_an_arn_is_read_with_the_profile_of_its_account() -> None:
    dev, prod = choices_of(("dev", "prod"), (), None)
    (found,) = resolve_targets([parse_target(ARN)], (dev, prod), {"123456789012": prod})
    assert found.choice == AwsChoice(profile="prod", region="eu-west-1")


@pytest.mark.parametrize(
    ("text", "url", "http_url"),
    [
        ("ws://127.0.0.1:8765", "ws://127.0.0.1:8765/v1/tail", "http://127.0.0.1:8765"),
        ("ws://127.0.0.1:8765/", "ws://127.0.0.1:8765/v1/tail", "http://127.0.0.1:8765"),
        ("wss://logs.example/v1/tail", "wss://logs.example/v1/tail", "https://logs.example"),
        ("ws://[::1]:1/v1/tail?group=a", "ws://[::1]:1/v1/tail?group=a", "http://[::1]:1"),
    ],
)
def test_urls_of_forwarders(text: str, url: str, http_url: str) -> None:
    target = parse_target(text)
    assert target == ForwarderTarget(url)
    assert isinstance(target, ForwarderTarget)
    assert target.http_url == http_url


@pytest.mark.parametrize("text", ["/ecs/my-service", "jobs", "/aws/lambda/a_b.c#1"])
def test_log_groups(text: str) -> None:
    assert parse_target(text) == GroupTarget(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("http://127.0.0.1:8765", "begins with http://"),
        ("ws://", "does not name a host"),
        ("ws://:80/v1/tail", "does not name a host"),
        ("ws://a:0/", "does not name a host"),
        ("ws://a:99999/", "not a URL"),
        ("ws://[::1/", "not a URL"),
        ("ws://me:secret@a/", "does not name a host"),
        ("arn:aws:logs:us-east-1:1:log-group:/a", "is not the ARN of a log group"),
        ("arn:aws:s3:::bucket", "is not the ARN of a log group"),
        (f"{ARN}:log-stream:", "is not the ARN of a log group"),
        (f"{ARN} b", "no possible name of a log group"),
        (f"{HEAD}/a*:log-stream:x", "names a log stream of a pattern"),
        ("a group", "nor a possible name"),
        ("", "nor a possible name"),
        ("x" * 513, "nor a possible name"),
    ],
)
def test_what_is_no_target(text: str, says: str) -> None:
    with pytest.raises(TargetError, match=says):
        parse_target(text)
