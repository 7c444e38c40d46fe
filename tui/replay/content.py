"""What a file contains, whatever wraps it: compression, a byte order mark, one JSON document."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import IO, TYPE_CHECKING, Any, Final, cast

import msgspec

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BUFFER_BYTES: Final = 1 << 16
DOCUMENT_BYTES_MAX: Final = 256 << 20
"""Longest JSON document: it is parsed at once, and takes several times its size in memory."""

UTF8_MARK: Final = b"\xef\xbb\xbf"

_OPENERS: Final[dict[bytes, Callable[[IO[bytes]], Any]]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
}
"""How to open what begins with these bytes."""

_COMMANDS: Final = {
    b"\x28\xb5\x2f\xfd": ("compressed by zstd", "zstd -dc"),
    b"PK\x03\x04": ("a ZIP archive", "unzip -p"),
    b"\xff\xfe\0\0": ("UTF-32", "iconv -f UTF-32 -t UTF-8"),  # before UTF-16, its first half
    b"\0\0\xfe\xff": ("UTF-32", "iconv -f UTF-32 -t UTF-8"),
    b"{\0\0\0": ("UTF-32", "iconv -f UTF-32LE -t UTF-8"),
    b"\0\0\0{": ("UTF-32", "iconv -f UTF-32BE -t UTF-8"),
    b"\xff\xfe": ("UTF-16", "iconv -f UTF-16 -t UTF-8"),
    b"\xfe\xff": ("UTF-16", "iconv -f UTF-16 -t UTF-8"),
    b"{\0": ("UTF-16", "iconv -f UTF-16LE -t UTF-8"),
    b"\0{": ("UTF-16", "iconv -f UTF-16BE -t UTF-8"),
}
"""What begins with these bytes cannot be read, and which command makes it readable."""

_TAR: Final = ("a tar archive", "tar -xOf")
"""As ``_COMMANDS`` has it; tar decompresses by itself."""

_TAR_MAGIC: Final = slice(257, 262)
"""Where ``ustar`` stands in the header of a tar archive."""

_DAMAGES: Final = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError)
"""What the decompressors raise."""


class _Decompressed(io.RawIOBase):
    """Reads as far as a compressed file can be decompressed.

    Attributes:
        is_damaged: Whether the rest of it could not be.
    """

    def __init__(self, file: Any) -> None:  # noqa: ANN401 - the classes have no common base
        self.is_damaged = False
        self._file = file

    def readable(self) -> bool:
        """Whether it can be read: always."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read some bytes; 0 at the end, or where it is damaged."""
        view = memoryview(buffer).cast("B")
        try:
            data: bytes = self._file.read1(len(view))
        except _DAMAGES:
            self.is_damaged = True
            return 0
        view[: len(data)] = data
        return len(data)


class Content:
    """The lines of a file, decompressed if need be.

    Args:
        file: The file, at its beginning.

    Attributes:
        file: The lines.
        is_compressed: Whether their bytes are not those of the file.
        refusal: What it is, and the command that makes it readable; None if it can be read.
    """

    def __init__(self, file: IO[bytes]) -> None:
        opened = io.BufferedReader(cast("io.RawIOBase", file), BUFFER_BYTES)
        start = opened.peek(8)[:8]
        opener = next((one for magic, one in _OPENERS.items() if start.startswith(magic)), None)
        commands = (one for magic, one in _COMMANDS.items() if start.startswith(magic))
        self.refusal = next(commands, None)
        self.is_compressed = opener is not None
        self._inner = None if opener is None else _Decompressed(opener(opened))
        inner = self._inner
        self.file = opened if inner is None else io.BufferedReader(inner, BUFFER_BYTES)
        if self.file.peek(_TAR_MAGIC.stop)[_TAR_MAGIC] == b"ustar":
            self.refusal = _TAR

    @property
    def is_damaged(self) -> bool:
        """Whether its end could not be decompressed."""
        return self._inner is not None and self._inner.is_damaged


def lines_of_document(text: bytes) -> list[bytes]:
    """Return the objects of JSON documents as lines; an empty list if it is not JSON. Pure.

    A document is an object, an array of objects, or an answer of CloudWatch Logs: events or the
    results of a query.
    """
    try:
        return [_encode(one) for one in _objects(text.decode("utf-8-sig"))]
    except (ValueError, RecursionError):
        return []


def _objects(text: str) -> Iterator[object]:
    decode = json.JSONDecoder().raw_decode
    at, end = 0, len(text)
    while True:
        while at < end and text[at].isspace():
            at += 1
        if at == end:
            return
        value, at = decode(text, at)
        yield from _parts(value)


def _parts(value: object) -> Iterable[object]:
    match value:
        case {"events": [*events]}:
            return events
        case {"results": [*rows]} if all(isinstance(row, list) for row in rows):
            return [{str(one["field"]): one["value"] for one in row} for row in rows]
        case [*values]:
            return values
        case _:
            return [value]


def _encode(value: object) -> bytes:
    try:
        return msgspec.json.encode(value) + b"\n"
    except UnicodeEncodeError:  # half of a surrogate pair
        return json.dumps(value).encode() + b"\n"
