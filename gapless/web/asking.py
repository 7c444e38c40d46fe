"""What a browser may ask for, and what its tab says. Pure.

Whoever has the page has a viewer, which saves files and pulls cables. Hence three locks: the
page listens on this machine alone; its address has a secret, so that other users of the machine
can't open it; and a page of somebody else's can neither give our address another name (``Host``,
against DNS rebinding) nor open our WebSocket (``Origin``, RFC 6455 10.2).
"""

from __future__ import annotations

import hmac
import re
from typing import Final

import msgspec

_OURS: Final = re.compile(r"(127\.0\.0\.1|localhost)(:[0-9]{1,5})?", re.ASCII | re.IGNORECASE)
"""What the machine is called in an address that nobody else can give a meaning to. The port may
be another one than ours: ``ssh -L`` brings the page to another machine."""

COLUMNS_MAX: Final = 1_000
ROWS_MAX: Final = 500
"""No window is larger; a frame's cost goes with its area."""

MESSAGE_BYTES_MAX: Final = 1 << 20
"""The longest text that may be pasted at once."""

_LEAST: Final = 1
_USUAL: Final = (80, 24)


class Typed(msgspec.Struct, frozen=True):
    """Keys, mouse and pasted text, as a terminal sends them."""

    data: bytes


class Resized(msgspec.Struct, frozen=True):
    """The window has room for so many cells."""

    columns: int
    rows: int


class Focused(msgspec.Struct, frozen=True):
    """The window is the one that is typed in, or is not any more."""

    is_in: bool


class Pinged(msgspec.Struct, frozen=True):
    """Wants to be answered, with the same text."""

    text: str


Said = Typed | Resized | Focused | Pinged


def is_of_this_machine(host: str | None) -> bool:
    """Whether a ``Host`` header is a name of this machine's own."""
    return host is not None and _OURS.fullmatch(host) is not None


def is_our_page(origin: str | None, host: str | None) -> bool:
    """Whether an ``Origin`` header is that of the page itself, as it was asked for.

    Browsers send it with every WebSocket; what sends none is no browser, and needs the secret
    like everybody.
    """
    return origin is None or (host is not None and origin == f"http://{host}")


def is_secret(given: str, secret: str) -> bool:
    """Whether an address has the secret; takes as long wherever the first difference is."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), secret.encode())


def size(columns: object, rows: object) -> tuple[int, int]:
    """The size of a window in cells, within bounds; the usual one where it is no number."""
    return _within(columns, COLUMNS_MAX, _USUAL[0]), _within(rows, ROWS_MAX, _USUAL[1])


def understand(text: str) -> Said | None:
    """What textual-serve's page sends: ``[kind, value]`` as JSON. None: nothing of the sort."""
    try:
        said = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None
    match said:
        case ["stdin", str(data), *_]:
            return Typed(data.encode("utf-8", "replace"))
        case ["resize", {"width": columns, "height": rows}, *_]:
            return Resized(*size(columns, rows))
        case ["focus" | "blur" as kind, *_]:
            return Focused(kind == "focus")
        case ["ping", str(echo), *_]:
            return Pinged(echo)
        case _:
            return None


def _within(value: object, most: int, usual: int) -> int:
    try:
        number = int(value) if isinstance(value, int | str) else usual
    except ValueError:
        return usual
    return min(max(number, _LEAST), most)
