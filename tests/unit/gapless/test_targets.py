from __future__ import annotations

import pytest

from gapless.targets import ForwarderTarget, GroupTarget, TargetError, parse_target


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
        ("arn:aws:logs:us-east-1:1:log-group:/a", "is an ARN"),
        ("a group", "nor a possible name"),
        ("", "nor a possible name"),
        ("x" * 513, "nor a possible name"),
    ],
)
def test_what_is_no_target(text: str, says: str) -> None:
    with pytest.raises(TargetError, match=says):
        parse_target(text)
