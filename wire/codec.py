r"""Messages to frames and back, within limits; every fault of the input is a ``WireError``.

msgspec refuses lone surrogates, which CloudWatch's JSON may hold and which must arrive; such
frames (rare) go through the standard library's ``json`` instead, as ``\udXXX`` escapes.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, NoReturn, TypeVar

import msgspec

from wire.errors import WireError
from wire.limits import CLIENT_FRAME_BYTES_MAX, CLIENT_MESSAGE_BYTES_MAX
from wire.messages import ClientMessage, ServerMessage, Unknown

_T = TypeVar("_T")

_ENCODER: Final = msgspec.json.Encoder()
_SERVER: Final[msgspec.json.Decoder[ServerMessage]] = msgspec.json.Decoder(ServerMessage)
_CLIENT: Final[msgspec.json.Decoder[ClientMessage]] = msgspec.json.Decoder(ClientMessage)
_UNKNOWN: Final = msgspec.json.Decoder(Unknown)
_ERROR_CHARS_MAX: Final = 120
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_SERVER_TYPES: Final = frozenset(
    {"welcome", "events", "backfill", "heartbeat", "mark", "gap", "digest", "end", "bye"}
)


def encode(message: Any) -> bytes:  # noqa: ANN401 - any struct of the wire
    """A message (or an HTTP body) as UTF-8 JSON."""
    try:
        return _ENCODER.encode(message)
    except UnicodeEncodeError:
        built = msgspec.to_builtins(message)
        return json.dumps(built, ensure_ascii=True, separators=(",", ":")).encode("ascii")


def decode_server(data: bytes | str) -> ServerMessage | Unknown:
    """What a client received; a type that it does not know becomes ``Unknown``.

    Raises:
        WireError: not JSON, not an object of the protocol, or over 8 MiB.

    """
    raw = _bounded(data, CLIENT_FRAME_BYTES_MAX)
    try:
        return _decode(raw, _SERVER)
    except WireError:
        other = _unknown(raw) or _spelled_otherwise(raw)
        if other is None:
            raise
        return other


def decode_client(data: bytes | str) -> ClientMessage:
    """What a forwarder received.

    Raises:
        WireError: not JSON, not one of the three messages, or over 4096 bytes.

    """
    return _decode(_bounded(data, CLIENT_MESSAGE_BYTES_MAX), _CLIENT)


def decode_body(data: bytes, body: type[_T], bytes_max: int = CLIENT_FRAME_BYTES_MAX) -> _T:
    """The body of an HTTP answer, as the struct ``body``.

    Raises:
        WireError: not JSON of that struct, or too large.

    """
    return _decode(_bounded(data, bytes_max), msgspec.json.Decoder(body))


def _bounded(data: bytes | str, bytes_max: int) -> bytes:
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
            # Decoded here, since json.loads would guess at UTF-16 and pass surrogates as bytes.
            built = json.loads(raw.decode("utf-8"), parse_constant=_refuse)
            return msgspec.convert(built, type=decoder.type)
    except (ValueError, RecursionError) as error:
        # msgspec's errors and json's are all ValueErrors.
        msg = f"not a message of the protocol: {_one_line(str(error))}"
        raise WireError(msg) from error


def _refuse(constant: str) -> NoReturn:
    msg = f"{constant} is no JSON"
    raise ValueError(msg)


def _one_line(text: str) -> str:
    """What may be logged and shown: msgspec repeats a wrong value just as it came."""
    return ascii(text[:_ERROR_CHARS_MAX])[1:-1]


def _unknown(raw: bytes) -> Unknown | None:
    try:
        unknown = _decode(raw, _UNKNOWN)
    except WireError:
        return None
    return None if unknown.type in _SERVER_TYPES else unknown


def _spelled_otherwise(raw: bytes) -> ServerMessage | None:
    """A message that says what ours say in another way, where the protocol leaves it open.

    A field may be null for left out, and the id of a gap a number.
    """
    try:
        built = _without_nulls(msgspec.json.decode(raw))
        if not isinstance(built, dict) or "items" in built:
            return None
        if isinstance(built.get("id"), int):
            built["id"] = str(built["id"])
        message: ServerMessage = msgspec.convert(built, ServerMessage)
    except (ValueError, RecursionError):
        return None
    return message


def _without_nulls(built: object) -> object:
    if isinstance(built, dict):
        return {name: _without_nulls(one) for name, one in built.items() if one is not None}
    return [_without_nulls(one) for one in built] if isinstance(built, list) else built
