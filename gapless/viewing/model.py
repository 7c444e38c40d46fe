"""What to watch and how to show it: the values that commands hand to the viewer."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec

from gapless.aws import AwsChoice, account_of, group_folder, region_of
from gapless.terminal import is_dumb


class WatchedTarget(msgspec.Struct, frozen=True, kw_only=True):
    """A running forwarder to watch.

    Attributes:
        url: Its WebSocket URL.
        name: What the screen calls it.
        group: Its log group, if known.
        key: Identifies its saved cursor: stays the same when the port changes.
        pattern: The filter pattern that its URL named; empty: that of the viewing.
        executions: Executions of this target alone; None: those of the viewing.
        streams: Log streams of this target alone; None: those of the viewing.
        region: Its Region and account, where they are known.
        account: Likewise.
        note: Message for the user when watching begins.
    """

    url: str
    name: str
    group: str | None = None
    key: str
    pattern: str = ""
    executions: tuple[str, ...] | None = None
    streams: tuple[str, ...] | None = None
    region: str | None = None
    account: str | None = None
    note: str = ""

    @property
    def is_own(self) -> bool:
        """Whether it is a log group's own forwarder, which ``tail`` has started."""
        return self.key.startswith("own:")


def forwarder_at(url: str) -> WatchedTarget:
    """Return the target at a forwarder's URL, whose query may name a filter pattern."""
    parts = urlsplit(url)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    patterns = [value for name, value in pairs if name == "pattern"]
    if not patterns:
        return WatchedTarget(url=url, name=url, key=url)
    rest = urlencode([pair for pair in pairs if pair[0] != "pattern"])
    bare = urlunsplit(parts._replace(query=rest))
    return WatchedTarget(url=bare, name=url, key=url, pattern=patterns[0])


class WatchedPattern(msgspec.Struct, frozen=True, kw_only=True):
    """Names or patterns of log groups that may join while they are watched.

    Attributes:
        url: The WebSocket URL of the forwarder that lists them.
        patterns: The names and patterns, or ARNs that end in one.
        choice: Account and Region.
        label: Distinguishes those on screen; empty where there is one.
        known: The log groups that are watched from the start.
        streams: The only log streams to watch; None: those of the viewing.
    """

    url: str
    patterns: tuple[str, ...]
    choice: AwsChoice
    label: str = ""
    known: tuple[str, ...] = ()
    streams: tuple[str, ...] | None = None

    @property
    def name(self) -> str:
        """What the screen calls it."""
        return ", ".join(f"{self.label}:{one}" if self.label else one for one in self.patterns)

    def watch(self, name: str, group: str, arn: str | None) -> WatchedTarget:
        """Return the target of a log group that the forwarder has listed."""
        return own_target(
            self.url, self.choice, self.label, name=name, group=group, arn=arn, streams=self.streams
        )


def own_target(
    url: str,
    choice: AwsChoice,
    label: str,
    *,
    name: str,
    group: str,
    arn: str | None = None,
    streams: tuple[str, ...] | None = None,
    note: str = "",
) -> WatchedTarget:
    """Return the target of a log group that a background forwarder serves."""
    account = arn.split(":")[4] if arn else account_of(choice, os.environ)
    shown = account if group.startswith("arn:") and not label else label
    return WatchedTarget(
        url=url,
        name=f"{shown}:{name}" if shown else name,
        group=group,
        key=f"own:{group_folder(choice, group, os.environ)}",
        streams=streams,
        region=region_of(choice, os.environ),
        account=account,
        note=note,
    )


def has_screen() -> bool:
    """Whether stdin and stdout are a terminal that a screen can be drawn on."""
    return sys.stdout.isatty() and sys.stdin.isatty() and not is_dumb(os.environ)


class Viewing(msgspec.Struct, frozen=True, kw_only=True):
    """What to watch and how to show it; times in ms since the Unix epoch.

    Attributes:
        filter_pattern: CloudWatch's filter pattern; empty: all events.
        fields: The value of ``--fields``; None: the columns of the run before.
        patterns: Log groups that join while they are watched.
        capacity: Lines kept in memory; None: the timeline's default.
        patience: Longest wait for ``until`` without progress, ms.
        resume: Whether to resume at the saved cursor; None: on screen, without ``since``.
        consumer: The name whose cursor that is; empty: the screen's, or the output form's own.
        timezone: Name of the zone of times; None: UTC.
        output: A format's name or a template; None: a screen, if there is one.
        before: Context lines of output before each line that matches.
        after: Context lines after each.
        notice: Message for the user when watching begins.
        in_browser: Whether a browser draws the screen, from packets on stdout.
        control: Control URL of the simulator whose faults the screen's keys switch.
        gives_up: Whether to end if a target cannot be reached at all within ten seconds.
    """

    targets: tuple[WatchedTarget, ...]
    patterns: tuple[WatchedPattern, ...] = ()
    executions: tuple[str, ...] = ()
    streams: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    filter_pattern: str = ""
    since: int | None = None
    until: int | None = None
    lines: int | None = None
    capacity: int | None = None
    grep: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    level: str | None = None
    fields: str | None = None
    timezone: str | None = None
    output: str | None = None
    before: int = 0
    after: int = 0
    order: Literal["strict", "arrival"] = "strict"
    hold: int = 10_000
    patience: int = 30_000
    record: Path | None = None
    follow: bool = True
    resume: bool | None = None
    consumer: str = ""
    color: Literal["auto", "always", "never"] = "auto"
    token: str | None = None
    title: str = ""
    notify: Literal["off", "bell", "osc9", "osc777"] = "off"
    notice: str = ""
    in_browser: bool = False
    control: str | None = None
    gives_up: bool = True

    @property
    def is_on_screen(self) -> bool:
        """Whether to show a screen: there is one to draw on, and no other output was asked for."""
        if self.in_browser:
            return True
        return self.output is None and self.follow and has_screen()

    @property
    def resumes(self) -> bool:
        """Whether to resume at the saved cursor, if there is one, and to save it."""
        if self.resume is None:
            return self.is_on_screen and self.since is None and self.control is None
        return self.resume

    @property
    def notices(self) -> list[str]:
        """Messages for the user when watching begins."""
        return [one for one in (self.notice, *(target.note for target in self.targets)) if one]
