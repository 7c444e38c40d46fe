"""Messages of very many lines as one piece of bytes, which is searched at the speed of memory.

Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Final, NamedTuple, Self

END: Final = b"\xff"
"""Behind each message: a byte that UTF-8 never has, so that nothing is found across two of them."""

_END_CHAR: Final = END.decode("latin-1")


class Texts(NamedTuple):
    """Some messages, one behind the other."""

    data: bytes
    """Each in UTF-8, lone surrogates in their three-byte form, with ``END`` behind it."""
    ends: Sequence[int]
    """Where each of them is over, ``END`` included."""
    is_ascii: bool
    """Whether each byte of them is a character."""

    @classmethod
    def of(cls, messages: Sequence[str]) -> Self:
        """Put messages one behind the other."""
        if is_ascii := all(map(str.isascii, messages)):
            data = "".join([_END_CHAR.join(messages), _END_CHAR]).encode("latin-1")
            sizes = list(map(len, messages))
        else:
            parts = [message.encode("utf-8", "surrogatepass") for message in messages]
            data, sizes = END.join([*parts, b""]), list(map(len, parts))
        return cls(data if messages else b"", list(accumulate(map((1).__add__, sizes))), is_ascii)

    def one(self, at: int) -> str:
        """The message at a place."""
        begin = self.ends[at - 1] if at else 0
        return self.data[begin : self.ends[at] - 1].decode("utf-8", "surrogatepass")

    def all(self) -> list[str]:
        """The messages, one by one."""
        if self.is_ascii:
            return byte_by_byte(self.data)
        return [one.decode("utf-8", "surrogatepass") for one in self.data.split(END)[:-1]]


def byte_by_byte(data: bytes) -> list[str]:
    """Messages that stand one behind the other, with a character for each byte of them."""
    return data.decode("latin-1").split(_END_CHAR)[:-1]
