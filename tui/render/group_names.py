"""Short names that tell log groups and log streams apart, and the streams' colours. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from os.path import commonprefix
from typing import Final
from zlib import crc32

from tui.lines.rows import StreamId


def short_group_names(names: Sequence[str]) -> list[str]:
    """Return each target's shortest suffix, in whole parts of its path, that no other group has.

    A name may begin with ``REGION:`` or ``ACCOUNT:``, which are kept where targets differ in them.
    """
    return list(_short_names(tuple(names)))


@lru_cache(8)
def _short_names(names: tuple[str, ...]) -> list[str]:
    pairs = [_split(name) for name in names]
    groups = {group for _, group in pairs}
    owners: defaultdict[str, set[str]] = defaultdict(set)
    for group in groups:
        for suffix in _suffixes(group):
            owners[suffix].add(group)
    shortest = {
        group: next((one for one in _suffixes(group) if len(owners[one]) == 1), group)
        for group in groups
    }
    has_labels = len({label for label, _ in pairs}) > 1
    return [
        f"{label}:{shortest[group]}" if label and has_labels else shortest[group]
        for label, group in pairs
    ]


def _split(name: str) -> tuple[str, str]:
    """Split a name into label and log group, whose name has no colon; a URL has no label."""
    if "://" in name:
        return "", name
    label, _, group = name.rpartition(":")
    return label, group


def _suffixes(group: str) -> list[str]:
    """The suffixes that begin at a part of the path, the shortest first, and the whole name."""
    parts = group.split("/")
    suffixes = ["/".join(parts[at:]) for at in range(len(parts) - 1, 0, -1)]
    return [*(one for one in suffixes if one.strip("/")), group]


STREAM_HUES: Final = tuple(
    turn + shift
    for shift in (0, 1)
    for step in (0, 4, 2, 6)
    for turn in (step, step + 8, step + 16)
)
"""Hues in the order in which streams get them: each lies far from those shortly before it."""

_LAMBDA: Final = re.compile(r"\d{4}/\d\d/\d\d/([^/]*\[[^\]/]{1,130}\])([0-9a-f]{8})[0-9a-f]{24}")
"""Log streams of Lambda: the date, the function where groups are shared, version, instance."""

STREAMS_MAX: Final = 10_000
"""Streams whose colour is remembered; those beyond get one by their name."""


class StreamNames:
    """Short names and colours of log streams.

    Colours are given in order of appearance. The folders that all streams of a target share are
    left out, from its second stream on.
    """

    def __init__(self) -> None:
        self._orders: dict[StreamId, int] = {}
        """Number of streams that appeared before each."""
        self._counts: dict[int, int] = {}
        self._shared: dict[int, str] = {}
        self._texts: dict[StreamId, str] = {}

    def add(self, target: int, name: str) -> bool:
        """Note a stream; returns whether other streams of the target have other short names now."""
        if (target, name) in self._orders or len(self._orders) >= STREAMS_MAX:
            return False
        self._orders[target, name] = len(self._orders)
        self._counts[target] = count = self._counts.get(target, 0) + 1
        folder = _folder_of(name)
        before = self._shared.get(target)
        if before is None:
            self._shared[target] = folder
            return False
        is_second = count == 2  # noqa: PLR2004 - from then on there is something to share
        shared = before if folder.startswith(before) else _shared_folder(before, folder)
        self._shared[target] = shared
        if not is_second and shared == before:
            return False
        self._texts.clear()
        return True

    def text(self, target: int, name: str) -> str:
        """The short name of a stream."""
        found = self._texts.get((target, name))
        if found is None:
            if len(self._texts) >= STREAMS_MAX:
                self._texts.clear()
            found = self._texts[target, name] = self._shorten(target, name)
        return found

    def order(self, target: int, name: str) -> int:
        """Number of streams that appeared before a stream; for an unknown one any number."""
        found = self._orders.get((target, name))
        return crc32(name.encode("utf-8", "surrogatepass")) if found is None else found

    def role(self, target: int, name: str) -> str:
        """The role of a stream's colour."""
        return f"stream.{STREAM_HUES[self.order(target, name) % len(STREAM_HUES)]}"

    def _shorten(self, target: int, name: str) -> str:
        shared = self._shared.get(target, "")
        is_alone = self._counts.get(target, 0) <= 1
        found = _LAMBDA.fullmatch(name)
        if found is not None:
            return found[1] + found[2]
        return name if is_alone or not name.startswith(shared) else name[len(shared) :] or name


def _folder_of(name: str) -> str:
    """The part before the last part, which is never empty."""
    return name[: name.rfind("/", 0, max(0, len(name) - 1)) + 1]


def _shared_folder(one: str, other: str) -> str:
    """The longest beginning of both folders that ends with a slash."""
    shared = commonprefix((one, other))  # noqa: RUF071 - the slash is looked for below
    return shared[: shared.rfind("/") + 1]
