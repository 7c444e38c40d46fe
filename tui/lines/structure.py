"""Parses the structure of a log line: its message, and its fields. Pure.

Known are JSON objects (also behind the prefix of Lambda or syslog, in FireLens' ``log``, or in a
string of another object), logfmt, and Lambda's own lines (START, END, REPORT, INIT_START). Rows
show the message first; filters, columns and details use the fields.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import compress
from operator import attrgetter, itemgetter
from typing import Any, Final

import msgspec

from common.text import COLOUR_CODE, without_colours
from tui.lines.levels import LEVEL_FIELDS, level_named

STRUCTURE_CHARS_MAX: Final = 64 << 10
"""A longer line is shown as it is: parsing it would take longer than a frame."""

_CACHED_CHARS: Final = 4_096
"""Longer lines are parsed each time they are drawn: the cache would hold too much memory."""

FIELDS_MAX: Final = 500
"""Fields of a line; an object may have more, which only its text and the details show."""

_DEPTH_MAX: Final = 4
"""Texts within texts, and their prefixes, that are parsed."""

_NESTING_MAX: Final = 20
"""Nesting of objects up to which their fields are named; deeper ones are shown as JSON."""

Scalar = str | int | float | bool | None
Json = Scalar | list["Json"] | dict[str, "Json"]

_PREFIX_CHARS: Final = 300
"""Characters before an object."""

MESSAGE_NAMES: Final = (
    "message", "msg", "@message", "@m", "short_message", "Message", "MESSAGE", "event", "body",
    "Body", "@mt", "MessageTemplate", "text",
)  # fmt: skip
"""Names of the field with the message, the most usual first."""

_TIME_NAMES: Final = frozenset({
    "time", "timestamp", "ts", "@timestamp", "@t", "datetime", "date", "asctime", "eventtime",
})  # fmt: skip
"""Names of the fields that hold the time of an event, in lower case."""

_LAMBDA_LINE: Final = re.compile(
    r"(START|END|REPORT|INIT_START|INIT_REPORT|XRAY) (?=(?:RequestId|Runtime Version|TraceId|Init)"
    r"[: ])"
)
_LAMBDA_PAIR: Final = re.compile(
    r"([A-Z][\w ]{0,40}): ([^\t\n]*?)(?=[\t\n]|$| Version: )", re.ASCII
)
_VERSION: Final = re.compile(r" (Version): (\S+)")
_LAMBDA_PREFIX: Final = re.compile(
    r"(?:\[(?P<first>[A-Z]{4,8})\]\t)?\d{4}-\d\d-\d\dT[\d:.]{8,15}Z\t"
    r"(?P<id>[0-9a-f]{8}-[0-9a-f-]{27}|undefined)(?:\t(?P<last>[A-Z]{4,8}))?\t"
)
_SYSLOG_PREFIX: Final = re.compile(
    r"(?:<\d{1,3}>)?[A-Z][a-z]{2} +\d+ [\d:.]{8,15} (?P<host>\S{1,64}) "
    r"(?P<tag>[\w./-]{1,64})(?:\[(?P<pid>\d{1,10})\])?: ",
    re.ASCII,
)
_PAIR: Final = re.compile(
    r'([A-Za-z_@][\w.@/-]{0,63})=("(?:[^"\\]|\\.)*"|[^\s"]*)(?:\s+|$)', re.ASCII
)
_PLATFORM: Final = "platform."

ADDED_NAMES: Final = ("requestId", "host", "tag", "pid", "Version")
"""Fields that are named here, and not by the line."""

_OPENING: Final = re.compile(
    rf"(?:{_LAMBDA_LINE.pattern})|(?:{_LAMBDA_PREFIX.pattern})"
    rf"|(?:\s|{COLOUR_CODE})*[A-Za-z_@][\w.@/-]{{0,63}}="
)
"""How a line opens that has a structure without being JSON. Others may open like this, too."""
_OPENING_UTF8: Final = re.compile(_OPENING.pattern.encode())
_OPENING_BEHIND_END: Final = re.compile(rb"\xff(?:%b)" % _OPENING.pattern.encode())
_OPENING_BYTES: Final = 256
"""Bytes within which it ends, without blanks and colours before it."""


class Structure(msgspec.Struct, frozen=True):
    """What a structured line says.

    Attributes:
        message: The message for people; empty if the line has none.
        fields: All fields in order, objects as ``user.id``; a name may occur several times.
        hidden: Names of the fields that a row does not repeat, because it has columns for them.
        is_platform: Whether the line is Lambda's own, about an invocation.
        message_name: Name of the field with the message; empty if it is none of them.
    """

    message: str
    fields: tuple[tuple[str, Scalar], ...]
    hidden: frozenset[str] = frozenset()
    is_platform: bool = False
    message_name: str = ""

    def row_fields(self) -> Iterator[tuple[str, str]]:
        """The fields that a row shows after the message, as texts."""
        for name, value in self.fields:
            if name not in self.hidden:
                yield name, field_text(value)


def field_text(value: Scalar) -> str:
    """A value as JSON writes it, but a string without quotation marks."""
    if isinstance(value, str):
        return value
    return str(value) if value.__class__ is int else json.dumps(value)


def structure_of(message: str, *, again: bool = True) -> Structure | None:
    """The structure of a line; None for plain text and for a line that is too long.

    Args:
        message: The line.
        again: Whether it will probably be asked for again, as when it is drawn.
    """
    if is_plain(message):
        return None
    if again and len(message) <= _CACHED_CHARS:
        return _cached(message)
    return _structure_of(message)


_REQUEST_NAMES: Final = (
    "requestid", "awsrequestid", "reqid", "xrequestid", "xamznrequestid", "correlationid",
    "xcorrelationid", "traceid", "xraytraceid", "xamzntraceid", "invocationid",
)  # fmt: skip
"""Names of the fields that hold a request's id, in lower case without marks; the best first."""

_REQUEST_TEXT: Final = re.compile(
    r"(?i:\b(?:x-)?(?:amzn-)?(?:request|correlation|trace)[-_ ]?id\b[\x22']?[ =:#\[\x22']{1,4})"
    r"([\w.:/=+-]{4,128})"
)
_UUID: Final = re.compile(r"\b[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\b")


def request_id_of(message: str) -> str | None:
    """The id of the request that a line belongs to; None if there is none.

    It is the value of a field with a usual name, else what follows such a name in the text, else
    the first UUID.
    """
    structure = structure_of(message)
    ids: dict[str, str] = {}
    for name, value in () if structure is None else structure.fields:
        plain = re.sub(r"[^a-z]", "", name.rpartition(".")[2].lower())
        if plain in _REQUEST_NAMES and isinstance(value, str | int) and field_text(value).strip():
            ids.setdefault(plain, field_text(value).strip())
    known = next((ids[name] for name in _REQUEST_NAMES if name in ids), None)
    if known is not None and known != "undefined":
        return known
    text = without_colours(message[:STRUCTURE_CHARS_MAX])
    found = _REQUEST_TEXT.search(text)
    if found is not None:
        return found[1].rstrip(".:,")
    uuid = _UUID.search(text)
    return None if uuid is None else uuid[0]


def is_plain(message: str) -> bool:
    """Whether a line certainly has no structure; takes a twentieth of the time of parsing it."""
    if len(message) > STRUCTURE_CHARS_MAX:
        return True
    is_json = message.find("{", 0, _PREFIX_CHARS) >= 0 and message.rstrip().endswith("}")
    if is_json or _OPENING.match(message) is not None:
        return False
    return "\x1b" not in message or _OPENING.match(without_colours(message)) is None


def flag_plain_utf8(lines: Sequence[bytes], *, is_ascii: bool) -> list[bool]:
    """Whether each line, in UTF-8, certainly has no structure; a few more may have none.

    The lines have no colour codes; ``is_ascii``: all are ASCII.
    """
    if is_ascii:
        # Most blocks have no other lines; this takes a third of the time of matching each.
        data = _END.join([b"", *lines])
        if b"{" not in data and _OPENING_BEHIND_END.search(data) is None:
            return [True] * len(lines)
    opens = _OPENING_UTF8.match
    return [
        b"{" not in one
        and opens(one) is None
        and (is_ascii or (one[:_OPENING_BYTES].isascii() and not one[:1].isspace()))
        for one in lines
    ]


def _structure_of(message: str) -> Structure | None:
    found = _parse(message, _DEPTH_MAX)
    return found if found is not None and (found.message or found.fields) else None


_cached: Final = lru_cache(2_048)(_structure_of)


def _parse(text: str, depth: int) -> Structure | None:
    if depth == 0:
        return None
    if _LAMBDA_LINE.match(text) is not None:
        return _lambda_line(text)
    prefix = _LAMBDA_PREFIX.match(text)
    if prefix is not None:
        return _behind_lambda_prefix(text, prefix, depth)
    if "{" in text[:_PREFIX_CHARS] and text.rstrip().endswith("}"):
        found = _parse_json(text, depth)
        if found is not None:
            return found
    return _parse_logfmt(text)


def _lambda_line(text: str) -> Structure:
    word, _, rest = text.rstrip().partition(" ")
    fields = [(name, value.strip()) for name, value in _LAMBDA_PAIR.findall(rest)]
    if word == "START" and not any(name == "Version" for name, _ in fields):
        fields += _VERSION.findall(rest)
    return Structure(word, tuple(fields), is_platform=True)


def _behind_lambda_prefix(text: str, prefix: re.Match[str], depth: int) -> Structure:
    rest = text[prefix.end() :]
    inner = _parse(rest, depth - 1)
    request = (("requestId", prefix["id"]),)
    if inner is None:
        return Structure(rest, request)
    return msgspec.structs.replace(inner, fields=inner.fields + request)


def _parse_json(text: str, depth: int) -> Structure | None:
    start = text.find("{", 0, _PREFIX_CHARS)
    pairs = _pairs_of(text[start:])
    if pairs is None:
        return None
    found = _structure_of_pairs(pairs, depth)
    before = text[:start].strip()
    if not before:
        return found
    syslog = _SYSLOG_PREFIX.fullmatch(text, 0, start)
    if syslog is not None:
        origin = ((name, syslog[name]) for name in ("host", "tag", "pid") if syslog[name])
        return msgspec.structs.replace(found, fields=(*found.fields, *origin))
    message = f"{before} {found.message}" if found.message else before
    return msgspec.structs.replace(found, message=message)


class _Pairs(list[tuple[str, object]]):
    """The members of a JSON object, of which several may have the same name."""


def _pairs_of(text: str) -> _Pairs | None:
    found = json_value(text)
    return found if isinstance(found, _Pairs) else None


def json_value(text: str) -> object:
    """The JSON object (see ``members_of``) or list that a text consists of; else None."""
    try:
        found: object = json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) else None


def members_of(value: object) -> Sequence[tuple[str, object]] | None:
    """Names and values of a JSON object, of which several may be equal; None: it is none."""
    return value if isinstance(value, _Pairs) else None


def json_in(message: str) -> tuple[str, object] | None:
    """The JSON object or list that a line ends with, and the text before it; None: there is none.

    Lists are found only where a line begins with one.
    """
    start = message.find("{", 0, _PREFIX_CHARS)
    if message.lstrip()[:1] == "[" and (found := json_value(message)) is not None:
        return "", found
    found = json_value(message[start:]) if start >= 0 else None
    return None if found is None else (message[:start], found)


def _structure_of_pairs(pairs: _Pairs, depth: int) -> Structure:
    by_name = dict(pairs)
    fields: list[tuple[str, Scalar]] = []
    hidden: set[str] = set()
    name = message_name_of(by_name)
    text = by_name[name] if name is not None else ""
    inner = _parse(text, depth - 1) if isinstance(text, str) and text else None
    if inner is not None:
        fields += inner.fields
        hidden |= inner.hidden
    message = inner.message if inner is not None else without_colours(field_text(_scalar(text)))
    at = max((at for at, (key, _) in enumerate(pairs) if key == name), default=-1)
    for key, value in [*pairs[:at], *pairs[at + 1 :]] if name is not None else pairs:
        if _has_column(key, value):
            hidden.add(key)
        fields.extend(_flat(key, value, _NESTING_MAX))
        if len(fields) > FIELDS_MAX:
            break
    kind = by_name.get("type")
    is_platform = isinstance(kind, str) and kind.startswith(_PLATFORM)
    if is_platform and not message:
        message = str(kind)
        hidden.add("type")
    inner_name = inner.message_name if inner is not None else ""
    return Structure(
        message.rstrip("\n"),
        tuple(fields[:FIELDS_MAX]),
        frozenset(hidden),
        is_platform,
        inner_name or name or "",
    )


def _has_column(name: str, value: object) -> bool:
    """Whether a row shows a field before the message: the time, or a level that was understood."""
    name = name.lower()
    return name in _TIME_NAMES or (name in LEVEL_FIELDS and level_named(value) is not None)


def message_name_of(by_name: dict[str, object]) -> str | None:
    """The name of the field with the message: FireLens' ``log`` if it holds text."""
    for name in MESSAGE_NAMES:
        if isinstance(by_name.get(name), str):
            return name
    return "log" if isinstance(by_name.get("log"), str) else None


def _flat(name: str, value: object, depth: int) -> Iterable[tuple[str, Scalar]]:
    """A field as one or more with scalar values; lists stay in one piece, as JSON."""
    if isinstance(value, _Pairs) and value and depth:
        for key, one in value:
            yield from _flat(f"{name}.{key}", one, depth - 1)
    else:
        yield name, _scalar(value)


def _scalar(value: object) -> Scalar:
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"))


def _plain(value: object) -> object:
    if isinstance(value, _Pairs):
        return {key: _plain(one) for key, one in value}
    return [_plain(one) for one in value] if isinstance(value, list) else value


def _parse_logfmt(text: str) -> Structure | None:
    """A line that consists of ``name=value`` alone, two at least."""
    text = without_colours(text).strip()
    if "=" not in text[:_PREFIX_CHARS] or text[:1] in "{[":
        return None
    pairs: list[tuple[str, Scalar]] = []
    at = 0
    while at < len(text):
        found = _PAIR.match(text, at)
        if found is None or len(pairs) == FIELDS_MAX:
            return None
        pairs.append((found[1], _unquoted(found[2])))
        at = found.end()
    if len(pairs) < 2:  # noqa: PLR2004 - one pair alone may be a sentence
        return None
    name = next((one for one in MESSAGE_NAMES if any(key == one for key, _ in pairs)), None)
    message = next((str(value) for key, value in pairs if key == name), "")
    rest = [(key, value) for key, value in pairs if key != name]
    hidden = {key for key, value in rest if _has_column(key, value)}
    return Structure(message, tuple(rest), frozenset(hidden), message_name=name or "")


def _unquoted(text: str) -> str:
    if not text.startswith('"'):
        return text
    try:
        return str(json.loads(text))
    except ValueError:
        return text[1:-1]


# One field of JSON objects

_READ_BYTES: Final = 4 * FIELDS_MAX
"""A longer object may have more fields than a structure keeps; each takes five bytes at least."""

_END: Final = b"\xff"
"""Separates lines: not a byte of UTF-8."""

_OBJECT_ENDS: Final = b"}", b"}\n"
_SCALARS: Final = frozenset({str, int, float, bool, type(None)})

_HEAD: Final = 300
_LAMBDA_WORD: Final = re.compile(rb"\b(?:START|END|REPORT|INIT_START|INIT_REPORT|XRAY) ")

ReadField = Callable[[bytes, bytes], list[Scalar] | None]
"""The values of a field in a line, given the line in lower case, too; None where only parsing the
whole line can tell."""


class JsonField:
    """Reads one field of JSON objects, without parsing the rest of them into objects.

    What it returns is certain because the field's name occurs only once, as a key that it found.
    """

    def __init__(self, name: str, *, ignores_case: bool) -> None:
        self._ignores_case = ignores_case
        parts = name.split(".")
        last = self._last = parts[-1].encode()
        self._keys = b'"%b"' % last, b'.%b"' % last
        self._within = last + b"=", last + b":"
        """How a text within the line may name the field, beside escaped JSON."""
        self._is_frequent = False
        """Whether the name also occurs within other words."""
        self._parents = [part.encode() for part in parts[:-1]]
        fields: list[tuple[str, Any, Any]] = []
        self._rests: list[tuple[str, str]] = []
        for count in range(1, len(parts) + 1):
            key, rest = ".".join(parts[:count]), ".".join(parts[count:])
            forms = [key, key[:1].upper() + key[1:], key.upper()] if self._ignores_case else [key]
            for form in dict.fromkeys(forms):
                attribute = f"f{len(fields)}"
                default = msgspec.field(default=msgspec.UNSET, name=form)
                fields.append((attribute, Any, default))
                self._rests.append((attribute, rest))
        decoder = msgspec.json.Decoder(msgspec.defstruct("Fields", fields, gc=False))
        self._decode, self._decode_lines = decoder.decode, decoder.decode_lines
        self._nothing = decoder.decode(b"{}")
        self._attributes = [attrgetter(attribute) for attribute, _ in self._rests]

    def __call__(self, raw: bytes, folded: bytes) -> list[Scalar] | None:
        """Read a line."""
        start = 0 if raw[:1] == b"{" else raw.find(b"{", 0, _HEAD)
        if start < 0 or len(raw) > _READ_BYTES:
            return None
        if start and _LAMBDA_WORD.search(raw, 0, start):
            return None
        if not self._ignores_case:
            folded = raw
        count = folded.count(self._last)
        if count > 1 and not self._are_keys_once(folded, 1):
            return None
        try:
            found = self._decode(raw[start:] if start else raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        value = self._value_in(found)
        if value is not msgspec.UNSET:
            return None if isinstance(value, dict | list) else [value]
        return [] if self._is_absent(raw, folded) else None

    def values_of(
        self, lines: Sequence[bytes]
    ) -> tuple[list[int], list[Scalar], list[int], list[int]]:
        """The values of all lines of which one decoding is certain.

        Returns:
            The numbers of these lines, and their values; the numbers of other JSON objects, and of
            all other lines: whether those have the field is still to be found out.
        """
        are_objects = [
            one[:1] == b"{" and one.endswith(_OBJECT_ENDS) and len(one) <= _READ_BYTES
            for one in lines
        ]
        numbers = list(compress(range(len(lines)), are_objects))
        if not numbers:
            return [], [], [], list(range(len(lines)))
        values = self._values_in(self._decoded(list(compress(lines, are_objects))))
        others = list(compress(range(len(lines)), map(operator.not_, are_objects)))
        are_certain = self._are_certain([lines[at] for at in numbers], values)
        if all(are_certain):
            return numbers, values, [], others
        return (
            list(compress(numbers, are_certain)),
            list(compress(values, are_certain)),
            list(compress(numbers, map(operator.not_, are_certain))),
            others,
        )

    def _values_in(self, objects: list[Any]) -> list[Any]:
        """The field's value in each object; UNSET if there is none by exactly its name."""
        (attribute, rest), *others = zip(
            self._attributes, map(itemgetter(1), self._rests), strict=True
        )
        values = list(map(attribute, objects))
        if not rest and (not others or msgspec.UNSET not in values):
            return values
        return [self._value_in(one) for one in objects]

    def _value_in(self, one: object) -> Any:  # noqa: ANN401 - any JSON
        for attribute, rest in self._rests:
            value = getattr(one, attribute)
            if value is not msgspec.UNSET and rest:
                value = _descend(value, rest)
            if value is not msgspec.UNSET:
                return value
        return msgspec.UNSET

    def _are_certain(self, lines: Sequence[bytes], values: Sequence[Any]) -> list[bool]:
        """Whether each line has a value, and names the field only once."""
        have_value = [True] * len(lines)
        if not _SCALARS.issuperset(map(type, values)):
            have_value = [type(value) in _SCALARS for value in values]
        raw = _END.join(compress(lines, have_value))
        folded = raw.lower() if self._ignores_case else raw
        last, count = self._last, sum(have_value)
        # Each line has one, so that more would be more in all.
        if not count or self._occurs(folded, count) or self._are_keys_once(folded, count):
            return have_value
        parts = iter(folded.split(_END))
        return [
            has_value and ((one := next(parts)).count(last) == 1 or self._are_keys_once(one, 1))
            for has_value in have_value
        ]

    def _decoded(self, lines: Sequence[bytes]) -> list[Any]:
        """Each line decoded, to an object without fields where it is not one JSON object.

        They are decoded at once if possible. A line begins with one brace and ends with another, so
        that no value goes on in the next: between such braces, JSON has a comma, and no string
        holds a newline.
        """
        try:
            found: list[Any] = self._decode_lines(b"\n".join(lines))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            found = []
        return found if len(found) == len(lines) else list(map(self._decoded_alone, lines))

    def _decoded_alone(self, line: bytes) -> object:
        try:
            return self._decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._nothing

    def _occurs(self, folded: bytes, count: int) -> bool:
        """Whether the name occurs this often; not counted again once it occurred oftener."""
        if not self._is_frequent:
            self._is_frequent = folded.count(self._last) != count
            return not self._is_frequent
        return False

    def _are_keys_once(self, folded: bytes, count: int) -> bool:
        """Whether a name that occurs oftener is a key only once a line, and no key of a text."""
        pair, named = self._within
        if b"\\" in folded or pair in folded or named in folded:
            return False
        whole, part = self._keys
        return folded.count(whole) + folded.count(part) <= count

    def _is_absent(self, raw: bytes, folded: bytes) -> bool:
        """Whether a field that was not found cannot be there in another way."""
        last, parents = self._last, self._parents
        pair, named = self._within
        if b"\\" in raw or pair in folded or named in folded:
            return False  # it may be in a text within
        if any(folded.count(one) > 1 for one in parents):
            return False  # of objects of one name, the decoder keeps the last
        # It may be written in another mixture of upper and lower case.
        return all(raw.count(one) == folded.count(one) for one in (last, *parents))


def _descend(value: object, name: str) -> object:
    """The value of a field within an object; UNSET if there is none by exactly this name."""
    if not isinstance(value, dict):
        return msgspec.UNSET
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        key = ".".join(parts[:count])
        if key in value:
            rest = ".".join(parts[count:])
            inner = _descend(value[key], rest) if rest else value[key]
            if inner is not msgspec.UNSET:
                return inner
    return msgspec.UNSET
