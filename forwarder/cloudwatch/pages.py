"""A botocore response parser that decodes pages of FilterLogEvents with msgspec.

Only the body of a FilterLogEvents reply is decoded here; everything else, errors included, goes
through botocore's own parser, and signing, credentials and retries are untouched. botocore
turns a reply whose body was cut short into one without ``events`` and without an error
(measured, with moto 5.2.5); here that is ``TruncatedResponse``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, cast

import msgspec
from botocore.model import Shape
from botocore.parsers import JSONParser, ResponseParser, ResponseParserFactory

from forwarder.errors import TruncatedResponse
from forwarder.records import LogEvent

_RESPONSE_SHAPE: Final = "FilterLogEventsResponse"
_NULL: Final = msgspec.Raw(b"null")
_HTTP_OK: Final = 200


class _Event(
    msgspec.Struct,
    frozen=True,
    gc=False,
    rename={"id": "eventId", "ingestion_time": "ingestionTime", "stream": "logStreamName"},
):
    """An event as the reply spells it; fields that are not listed are skipped."""

    id: str
    timestamp: int
    stream: str
    message: str
    ingestion_time: int | None = None


class _Page(msgspec.Struct):
    """A reply; what is not events is left to botocore's parser as it came."""

    events: list[_Event]
    nextToken: msgspec.Raw = _NULL  # noqa: N815 - CloudWatch's name
    searchedLogStreams: msgspec.Raw = _NULL  # noqa: N815 - CloudWatch's name


_DECODER: Final = msgspec.json.Decoder(_Page)


def decode_page(body: bytes) -> tuple[list[LogEvent], bytes]:
    """The events of a reply, and the rest of it as a JSON body for botocore's parser.

    msgspec refuses lone surrogates, which a message may hold; such a page (rare) is decoded by
    the standard library, as botocore does it.

    Raises:
        TruncatedResponse: the body is no JSON of a whole reply, or has no ``events``.

    """
    try:
        page = _DECODER.decode(body)
    except msgspec.DecodeError:
        page = _decode_slowly(body)
    names: dict[str, str] = {}
    share = names.setdefault  # the same few names come thousands of times
    events = [
        LogEvent(
            one.id, one.timestamp, one.ingestion_time, share(one.stream, one.stream), one.message
        )
        for one in page.events
    ]
    rest = b'{"nextToken":%b,"searchedLogStreams":%b}'
    return events, rest % (bytes(page.nextToken), bytes(page.searchedLogStreams))


def _decode_slowly(body: bytes) -> _Page:
    try:
        reply = json.loads(body.decode("utf-8", "surrogatepass"))
        events = msgspec.convert(reply["events"], list[_Event])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        # json's and msgspec's errors are ValueErrors; a KeyError is a reply without events.
        msg = f"CloudWatch Logs sent a reply that is not whole ({len(body)} bytes)"
        raise TruncatedResponse(msg) from error
    names = ("nextToken", "searchedLogStreams")
    rest = [msgspec.Raw(json.dumps(reply.get(name)).encode("ascii")) for name in names]
    return _Page(events, *rest)


class PageParser(JSONParser):
    """botocore's parser of the ``json`` protocol, with pages of events decoded faster.

    A page's ``events`` are ``LogEvent``s instead of dictionaries; all else is as botocore has it.
    """

    def parse(self, response: Mapping[str, Any], shape: Shape) -> dict[str, Any]:
        """As botocore calls it: ``response`` has ``status_code``, ``headers`` and ``body``.

        Raises:
            TruncatedResponse: a page of events that is not whole.

        """
        parse = super().parse
        if response["status_code"] != _HTTP_OK or getattr(shape, "name", None) != _RESPONSE_SHAPE:
            return cast("dict[str, Any]", parse(response, shape))
        events, rest = decode_page(response["body"])
        parsed = cast("dict[str, Any]", parse({**response, "body": rest}, shape))
        parsed["events"] = events
        return parsed


class PageParserFactory(ResponseParserFactory):
    """To be registered as a botocore session's ``response_parser_factory`` component."""

    def create_parser(self, protocol_name: str) -> ResponseParser:
        """A parser for a reply; botocore makes one for each."""
        return PageParser() if protocol_name == "json" else super().create_parser(protocol_name)
