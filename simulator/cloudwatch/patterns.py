"""Pure: filter patterns of terms, as far as they are understood.

Terms stand apart by spaces; all must be in the message, in any order and in its case. ``"..."``
is a phrase, ``?term`` one of several of which any will do, ``-term`` one that must not be there.
As on AWS, ``?`` terms are ignored beside others. Patterns for JSON (``{...}``), for fields
(``[...]``) and regular expressions (``%...%``) are refused rather than misread. Source:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from simulator.cloudwatch.parameters import invalid

Matches = Callable[[str], bool]

_TERM: Final = re.compile(r'([?-]?)(?:"((?:[^"\\]|\\.)*)"|([^\s"]+))(?:\s+|\Z)')
_ESCAPED: Final = re.compile(r"\\(.)")


@lru_cache(maxsize=256)
def matcher(pattern: str) -> Matches | None:
    """Whether a message matches; None for the empty pattern, which everything does.

    Raises:
        AwsRefusal: the pattern is of a kind that is not supported here, or malformed.

    """
    text = pattern.strip()
    if not text:
        return None
    if text[0] in "{[%":
        msg = f"Invalid filter pattern: only terms are supported by this simulator: {pattern}"
        raise invalid(msg)
    wanted: list[str] = []
    refused: list[str] = []
    optional: list[str] = []
    kinds = {"": wanted, "-": refused, "?": optional}
    at = 0
    while at < len(text):
        found = _TERM.match(text, at)
        if found is None:
            msg = f"Invalid filter pattern: {pattern}"
            raise invalid(msg)
        sign, phrase, word = found.groups()
        kinds[sign].append(word if phrase is None else _ESCAPED.sub(r"\1", phrase))
        at = found.end()
    if optional and not wanted and not refused:
        return lambda message: any(term in message for term in optional)
    return lambda message: (
        all(term in message for term in wanted) and not any(term in message for term in refused)
    )
