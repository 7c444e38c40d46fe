r"""Encodes and decodes messages within the size limits; invalid input raises ``WireError``.

msgspec rejects lone surrogates, but CloudWatch's JSON may contain them and they must arrive
unchanged. The rare frames that contain one go through the standard library's ``json``, as
``\udXXX`` escapes.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, NoReturn, TypeVar

import msgspec

from wire.errors import WireError
from wire.limits import CLIENT_FRAME_BYTES_MAX, CLIENT_MESSAGE_BYTES_MAX
from wire.messages import ClientMessage, ServerMessage, UnknownMessage

_T = TypeVar("_T")

_ENCODER: Final = msgspec.json.Encoder()
_SERVER_DECODER: Final[msgspec.json.Decoder[ServerMessage]] = msgspec.json.Decoder(ServerMessage)
_CLIENT_DECODER: Final[msgspec.json.Decoder[ClientMessage]] = msgspec.json.Decoder(ClientMessage)
_UNKNOWN_DECODER: Final = msgspec.json.Decoder(UnknownMessage)
_ERROR_CHARS_MAX: Final = 120
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_SERVER_TYPES: Final = frozenset(
    {"welcome", "events", "backfill", "heartbeat", "mark", "gap", "altered", "digest", "end", "bye"}
)


def encode(message: Any) -> bytes:  # noqa: ANN401 - any struct of the protocol
    """Encode a message or an HTTP body as UTF-8 JSON."""
    try:
        return _ENCODER.encode(message)
    except UnicodeEncodeError:
        builtins = msgspec.to_builtins(message)
        return json.dumps(builtins, ensure_ascii=True, separators=(",", ":")).encode("ascii")


def decode_server(data: bytes | str) -> ServerMessage | UnknownMessage:
    """Decode a frame that a client received; an unknown type gives ``UnknownMessage``.

    Raises:
        WireError: not JSON, not a message of the protocol, or over 8 MiB.
    """
    raw = _to_bytes(data, CLIENT_FRAME_BYTES_MAX)
    try:
        return _decode(raw, _SERVER_DECODER)
    except WireError:
        message = _decode_unknown(raw) or _decode_leniently(raw)
        if message is None:
            raise
        return message


def decode_client(data: bytes | str) -> ClientMessage:
    """Decode a frame that a forwarder received.

    Raises:
        WireError: not JSON, not one of the client messages, or over 4096 bytes.
    """
    return _decode(_to_bytes(data, CLIENT_MESSAGE_BYTES_MAX), _CLIENT_DECODER)


def decode_body(data: bytes, body: type[_T], bytes_max: int = CLIENT_FRAME_BYTES_MAX) -> _T:
    """Decode the body of an HTTP response as a struct of type ``body``.

    Raises:
        WireError: not JSON of that struct, or over ``bytes_max``.
    """
    return _decode(_to_bytes(data, bytes_max), msgspec.json.Decoder(body))


def _to_bytes(data: bytes | str, bytes_max: int) -> bytes:
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    if len(raw) > bytes_max:
        msg = f"a message of {len(raw)} bytes is over the limit of {bytes_max}"
        raise WireError(msg)
    return raw


def _decode(raw: bytes, decoder: msgspec.json.Decoder[_T]) -> _T:
    try:
        if _SURROGATE.search(raw) is None:
            return decoder.decode(raw)
        try:
            return decoder.decode(raw)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            # Given bytes, json.loads would also accept UTF-16 and raw surrogates: pass it text.
            builtins = json.loads(raw.decode("utf-8"), parse_constant=_reject_constant)
            return msgspec.convert(builtins, type=decoder.type)
    except (ValueError, RecursionError) as error:
        # The errors of msgspec and of json are all ValueErrors.
        msg = f"not a message of the protocol: {_printable(str(error))}"
        raise WireError(msg) from error


def _reject_constant(constant: str) -> NoReturn:
    msg = f"{constant} is not valid JSON"
    raise ValueError(msg)


def _printable(text: str) -> str:
    """Cut and escape a text for logs and screen: msgspec's errors quote invalid values verbatim."""
    return ascii(text[:_ERROR_CHARS_MAX])[1:-1]


def _decode_unknown(raw: bytes) -> UnknownMessage | None:
    try:
        unknown = _decode(raw, _UNKNOWN_DECODER)
    except WireError:
        return None
    return None if unknown.type in _SERVER_TYPES else unknown


def _decode_leniently(raw: bytes) -> ServerMessage | None:
    """Decode a message that differs from this project's encoding where the protocol leaves it open.

    Another forwarder may send null for an omitted field, and a number as the id of a gap.
    """
    try:
        builtins = _without_nulls(msgspec.json.decode(raw))
        if not isinstance(builtins, dict) or "items" in builtins:
            return None
        if isinstance(builtins.get("id"), int):
            builtins["id"] = str(builtins["id"])
        message: ServerMessage = msgspec.convert(builtins, ServerMessage)
    except (ValueError, RecursionError):
        return None
    return message


def _without_nulls(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_nulls(field) for key, field in value.items() if field is not None}
    return [_without_nulls(element) for element in value] if isinstance(value, list) else value
