"""Short names that tell log groups apart, for a column of their own. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache


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
