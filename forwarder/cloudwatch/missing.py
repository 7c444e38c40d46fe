"""Explains that a log group does not exist: where it was looked for, and similar names.

The calls for that are few and bounded, and none of their failures replaces the message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from difflib import get_close_matches
from typing import Final

from forwarder.cloudwatch.catalogue import describe_log_groups
from forwarder.cloudwatch.reader import CloudWatch
from forwarder.errors import CloudWatchError, GroupNotFoundError

PAGES_MAX: Final = 10
"""Pages of 50 log groups that are searched for similar names."""

EXPLAIN_WITHIN_S: Final = 5.0
"""Longest time for similar names, and as much for the account's number."""

NAMES_MAX: Final = 3
_CUTOFF: Final = 0.6
_LISTS: Final = "`gapless groups` lists the log groups"
_WILDCARDS: Final = str.maketrans("", "", "*?[]")


async def explain_missing(cloudwatch: CloudWatch, error: GroupNotFoundError) -> GroupNotFoundError:
    """The same error with Region, account and similar names."""
    if not error.group:
        return error
    similar = await _find_similar(cloudwatch, error.group)
    place = await cloudwatch.find_place()
    hint = _did_you_mean(similar) or "check --region and --profile;"
    text = f"there is no log group {error.group!r} in {place.text}: {hint} {_LISTS}"
    return GroupNotFoundError(text, group=error.group)


async def explain_no_match(cloudwatch: CloudWatch, pattern: str | None) -> str:
    """A message that no log group matches a pattern, or that there is none at all."""
    similar = [] if pattern is None else await _find_similar(cloudwatch, pattern)
    place = await cloudwatch.find_place()
    if pattern is None:
        return f"there are no log groups in {place.text}: check --region and --profile"
    hint = _did_you_mean(similar) or "check --region and --profile"
    return f"no log group in {place.text} matches {pattern!r}: {hint}"


def close_names(name: str, names: Sequence[str]) -> list[str]:
    """The names most similar to ``name`` as a whole, then in the part after the last slash."""
    wanted = name.translate(_WILDCARDS).lower()
    whole = {one.lower(): one for one in names}
    tails: dict[str, list[str]] = {}
    for one in names:
        tails.setdefault(_tail(one.lower()), []).append(one)
    found = [whole[one] for one in get_close_matches(wanted, whole, NAMES_MAX, _CUTOFF)]
    for tail in get_close_matches(_tail(wanted), tails, NAMES_MAX, _CUTOFF):
        found += tails[tail]
    return list(dict.fromkeys(found))[:NAMES_MAX]


def _tail(name: str) -> str:
    return name.rstrip("/").rpartition("/")[2]


def _did_you_mean(names: Sequence[str]) -> str:
    return f"did you mean {' or '.join(map(repr, names))}?" if names else ""


async def _find_similar(cloudwatch: CloudWatch, name: str) -> list[str]:
    """Similar names, in the same folder first: an account may have thousands of log groups."""
    folder = name.translate(_WILDCARDS).rpartition("/")[0]
    with suppress(CloudWatchError, TimeoutError):
        async with asyncio.timeout(EXPLAIN_WITHIN_S):
            for prefix in dict.fromkeys((folder, "")):
                groups = await describe_log_groups(cloudwatch, prefix=prefix, pages_max=PAGES_MAX)
                if similar := close_names(name, [one.name for one in groups]):
                    return similar
    return []
