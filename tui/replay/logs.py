"""Finds time, message and log stream in the lines of other tools' NDJSON logs. Pure.

The whole line is the message: the screen shows the structure of it. Objects that are events of
CloudWatch themselves, such as those of ``tail --output json`` or the AWS CLI, are shown as events.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, cast

import msgspec

from wire.limits import ID_DIGITS_MAX, TIMESTAMP_MAX
from wire.messages import Origin

TIME_NAMES: Final = (
    "@timestamp", "timestamp", "time", "ts", "@t", "datetime", "date", "asctime", "eventtime",
    "__realtime_timestamp", "timemillis", "timeunixnano", "observedtimeunixnano", "time_iso8601",
    "instant",
)  # fmt: skip
"""Names of the field with the time, in lower case, the most certain first."""

STREAM_NAMES: Final = (
    "log_stream", "logstreamname", "logstream", "stream", "service", "logger", "podname",
    "_systemd_unit", "syslog_identifier", "hostname",
)  # fmt: skip
"""Names of the field that tells one source of lines from another, in lower case."""

_WRAPPED_NAMES: Final = ("message", "log")
"""Names of the field with the line of another program."""

_TIME_CHARS_MAX: Final = 40

_SECONDS_MAX: Final = 100_000_000_000
"""A smaller number is in seconds: as ms it would be before March 1973."""

_UNIT: Final = 1_000
"""Factor from seconds to ms, to µs, to ns."""

_ORIGINS: Final = ("live", "backfill", "repair")

_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


def decode_object(text: str | bytes) -> dict[str, Any]:
    """Decode a JSON object; half of a surrogate pair becomes U+FFFD.

    JavaScript writes such halves where a program cut a text in the middle of an emoji.

    Raises:
        msgspec.DecodeError: It is no JSON object.
    """
    try:
        return _decode(text)
    except msgspec.DecodeError as error:
        try:
            halves = json.dumps(json.loads(text), ensure_ascii=False)
        except ValueError:
            raise error from None
        return _decode(halves.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


class LogLine(NamedTuple):
    """What a line says.

    Attributes:
        id: CloudWatch's event id; empty if the line is no event.
        stream: The log stream or the like; empty if it names none.
        group: The log group, likewise.
    """

    timestamp: int
    message: str
    stream: str = ""
    group: str = ""
    id: str = ""
    ingestion_time: int | None = None
    origin: Origin = "live"


def parse_log_line(text: str) -> LogLine:
    """Return what a line says.

    Raises:
        ValueError: It is no JSON object, or has no time.
    """
    try:
        fields = decode_object(text)
    except (msgspec.DecodeError, RecursionError) as error:
        msg = "it is not a JSON object"
        raise ValueError(msg) from error
    named = {name.lower(): value for name, value in fields.items()}
    found = [named[name] for name in TIME_NAMES if named.get(name) is not None]
    found = found or _times_within(named)
    if not found:
        msg = "it has no time in a field ts, time, timestamp or @timestamp"
        raise ValueError(msg)
    timestamp = next((one for one in map(millis_of, found) if one is not None), None)
    if timestamp is None:
        msg = f"{str(found[0])[:40]!r} is not a time: give ISO 8601, or seconds or ms since 1970"
        raise ValueError(msg)
    stream = next((str(named[one]) for one in STREAM_NAMES if named.get(one)), "")
    event = _event_of(named, timestamp, stream)
    return event or LogLine(timestamp, text, stream)


def _times_within(named: Mapping[str, Any]) -> list[object]:
    """The times in the text of another program's line that an object wraps, as ``stern`` does."""
    text = next((one for name in _WRAPPED_NAMES if isinstance(one := named.get(name), str)), "")
    first = text[:_TIME_CHARS_MAX].split(maxsplit=1)[:1]
    if first and _from_text(first[0]) is not None:
        return list(first)
    try:
        inner = decode_object(text)
    except (msgspec.DecodeError, RecursionError):
        return []
    fields = {name.lower(): value for name, value in inner.items()}
    return [fields[name] for name in TIME_NAMES if fields.get(name) is not None]


def millis_of(value: object) -> int | None:
    """A time as ms since the Unix epoch; None if the value is no time.

    Numbers are seconds, ms, µs or ns, by their size. A text without a zone is in UTC.
    """
    if isinstance(value, str):
        text = value.strip()
        with contextlib.suppress(ValueError):
            value = float(text) if "." in text or "e" in text.lower() else int(text)
    if isinstance(value, dict):  # Log4j's
        seconds, nanos = value.get("epochSecond"), value.get("nanoOfSecond", 0)
        if type(seconds) is not int or type(nanos) is not int:
            return None
        return _from_number(seconds * 1_000_000_000 + nanos)
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return _from_number(value)
    return _from_text(value.strip()) if isinstance(value, str) else None


def _from_number(value: float) -> int | None:
    if not 0 <= value < _SECONDS_MAX * _UNIT**3:  # False for NaN, too
        return None
    limit = _SECONDS_MAX
    scale: float = _UNIT
    while value >= limit:
        limit, scale = limit * _UNIT, scale / _UNIT
    found = int(value * scale) if scale >= 1 else int(value // round(1 / scale))
    return found if found <= TIMESTAMP_MAX else None


def _from_text(text: str) -> int | None:
    try:
        at = datetime.fromisoformat(text)
        at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
        found = int(at.timestamp() * 1_000 + 0.5)
    except (ValueError, OverflowError):
        return None
    return found if found >= 0 else None


def _event_of(named: Mapping[str, Any], timestamp: int, stream: str) -> LogLine | None:
    """The event of CloudWatch that an object is; None if it is another one."""
    name = named.get("id", named.get("eventid"))
    message = named.get("message")
    if not (isinstance(name, str) and isinstance(message, str) and stream):
        return None
    if not (name.isascii() and name.isdigit() and len(name) <= ID_DIGITS_MAX):
        return None
    group = named.get("log_group")
    ingested = named.get("ingestion_time", named.get("ingestiontime"))
    origin = named.get("origin")
    return LogLine(
        timestamp,
        message,
        stream,
        group if isinstance(group, str) else "",
        name,
        ingested if type(ingested) is int and 0 <= ingested <= TIMESTAMP_MAX else None,
        cast("Origin", origin) if origin in _ORIGINS else "live",
    )
