"""Which Kinesis stream a log group's news are in. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}", re.ASCII)
_ARN: Final = re.compile(
    r"arn:[a-z0-9-]+:kinesis:([a-z0-9-]+):\d{12}:stream/([A-Za-z0-9_.-]{1,128})", re.ASCII
)


class StreamRef(msgspec.Struct, frozen=True):
    """A Kinesis stream by its name, or by its ARN, which names the Region as well."""

    name: str
    arn: str | None = None
    region: str | None = None

    def __str__(self) -> str:
        """As ``--live`` takes it."""
        return f"kinesis:{self.arn or self.name}"

    @property
    def parameters(self) -> dict[str, str]:
        """How calls name it."""
        return {"StreamARN": self.arn} if self.arn is not None else {"StreamName": self.name}


def parse_stream(text: str) -> StreamRef | None:
    """A stream's name or ARN (Kinesis API reference, StreamName and StreamARN); None: neither."""
    if _NAME.fullmatch(text) is not None:
        return StreamRef(text)
    found = _ARN.fullmatch(text)
    return None if found is None else StreamRef(found[2], text, found[1])


class Choice(msgspec.Struct, frozen=True):
    """The stream to read for a log group, or why there is none."""

    stream: StreamRef | None
    why: str | None = None


NO_FILTER: Final = Choice(None, "it has no subscription filter to a Kinesis stream")


def choose(filters: Sequence[Mapping[str, Any]]) -> Choice:
    """Of a log group's subscription filters, as DescribeSubscriptionFilters has them.

    One that lets only some events through, or changes them, would bring too little or what no
    scan returns.
    """
    choice = NO_FILTER
    for one in sorted(filters, key=lambda one: str(one.get("filterName"))):
        stream = parse_stream(str(one.get("destinationArn")))
        if stream is None or stream.arn is None:
            continue
        name = str(one.get("filterName"))[:100]
        if str(one.get("filterPattern") or "").strip() or one.get("fieldSelectionCriteria"):
            choice = Choice(None, f"its subscription filter {name!r} lets only some events through")
        elif one.get("applyOnTransformedLogs"):
            choice = Choice(None, f"its subscription filter {name!r} sends transformed events")
        else:
            return Choice(stream)
    return choice
