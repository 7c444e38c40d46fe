"""Which log groups are watched where a target matches in some Regions only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import parse_qs, urlsplit

import pytest

from gapless.aws import AwsChoice
from gapless.forwarders import attach as attach_module
from gapless.targets.grammar import parse_target
from gapless.viewing import sources as module
from gapless.viewing.sources import Opened, TargetOpener

HERE, EMPTY, OTHER = (AwsChoice(region=one) for one in ("eu-west-1", "us-east-1", "ap-south-1"))


class FakeForwarder:
    """A forwarder of one Region; only that of eu-west-1 has log groups."""

    def __init__(self, choice: AwsChoice) -> None:
        self.http_url = f"http://{choice.region}:1"
        self.url = f"ws://{choice.region}:1/v1/tail"

    def keep_running(self) -> None:
        """It runs on."""

    def token(self) -> None:
        """It needs none."""

    def serve(self, group: str, pattern: str) -> None:
        """Every group is served."""


@pytest.fixture(autouse=True)
def _forwarders(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def attach(choice: AwsChoice, *_: object, **__: object) -> Iterator[FakeForwarder]:
        yield FakeForwarder(choice)

    def request(url: str, **_: object) -> list[dict[str, str]]:
        pattern = parse_qs(urlsplit(url).query)["match"][0]
        if not url.startswith("http://eu-west-1:") or pattern == "/none":
            return []
        return [{"name": "/svc/api", "group": "/svc/api"}]

    monkeypatch.setattr(attach_module, "attach", attach)
    monkeypatch.setattr(module, "prepare_credentials", lambda _choice: None)
    monkeypatch.setattr(module, "request", request)


def open_(
    *targets: str,
    choices: tuple[AwsChoice, ...] = (HERE, EMPTY),
    follows: bool = True,
    waits: bool = False,
) -> Opened:
    opener = TargetOpener(choices, lambda: None, follows=follows, waits=waits)
    with ExitStack() as stack:
        return opener.open(stack, [parse_target(one) for one in targets])


def test_a_pattern_is_watched_where_it_matches_and_waited_for_elsewhere() -> None:
    opened = open_("/svc/*")
    assert [one.name for one in opened.targets] == ["eu-west-1:/svc/api"]
    assert [(one.name, one.known) for one in opened.patterns] == [
        ("eu-west-1:/svc/*", ("/svc/api",)),
        ("us-east-1:/svc/*", ()),
    ]
    assert opened.notice == (
        "no log group in us-east-1 matches '/svc/*' yet: waiting for it, and watching the others"
    )


def test_several_regions_are_one_message_and_several_targets_several() -> None:
    opened = open_("/svc/*", "/svc/a*", choices=(HERE, EMPTY, OTHER), follows=False)
    assert opened.notice.split(" · ") == [
        f"no log group in us-east-1 or ap-south-1 matches {one!r}: check --region and --profile"
        for one in ("/svc/*", "/svc/a*")
    ]


def test_a_name_is_waited_for_with_wait_alone() -> None:
    opened = open_("/svc/api")
    assert opened.patterns == ()
    assert opened.notice == (
        "no log group in us-east-1 matches '/svc/api': watching the others; --wait waits for it"
    )
    opened = open_("/svc/api", waits=True)
    assert [one.name for one in opened.patterns] == ["us-east-1:/svc/api"]
    assert "waiting for it" in opened.notice


def test_a_name_of_one_region_beside_others() -> None:
    opened = open_("/svc/api", "/none", choices=(HERE,), waits=True)
    assert opened.notice == (
        "no log group matches '/none' yet: waiting for it, and watching the others"
    )


@pytest.mark.parametrize("follows", [True, False])
def test_without_any_log_group_the_viewer_itself_says_that_it_waits(follows: bool) -> None:  # noqa: FBT001 - pytest's
    opened = open_("/svc/*", choices=(EMPTY, OTHER), waits=True, follows=follows)
    assert opened.targets == ()
    assert len(opened.patterns) == 2
    assert opened.notice == ""


def test_where_everything_matches_there_is_nothing_to_say() -> None:
    assert open_("/svc/*", choices=(HERE,)).notice == ""
