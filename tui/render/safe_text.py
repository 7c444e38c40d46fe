"""Makes text from a log harmless: it cannot control the terminal, or hide or shift other text.

All text from outside (messages, stream names, reasons) passes through here before it is drawn.
Control characters are replaced by pictures of them, invisible and direction-changing ones by
their code points. Joiners and selectors of variants and skin tones, whose width depends on the
terminal, are removed. Colours (SGR) become roles, which the palette turns into legible styles;
the escape sequences themselves are never sent. Pure.
"""

from __future__ import annotations

import re
from typing import Final

from rich._unicode_data import load as load_cell_table
from rich.cells import cell_len

Segment = tuple[str, str]
"""A text and its role, which the palette turns into a style."""

MESSAGE: Final = "message"
CONTROL: Final = "control"
NEWLINE: Final = "newline"

MARKS_MAX: Final = 4
"""Combining marks on one character: no script needs more, and a stack of them hides other rows."""

TAB_CELLS: Final = 8

_REMOVED: Final = "\u200c\u200d\ufe00-\ufe0f\U0001f3fb-\U0001f3ff\U000e0100-\U000e01ef"
# Cc, Cs, Zl, Zp; Cf without the Arabic and Kaithi number signs, which are visible; the letters
# that are drawn as nothing (Unicode's Default_Ignorable_Code_Point); noncharacters.
_SHOWN: Final = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u070f\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufdd0-\ufdef\ufeff\uffa0"
    "\ufff0-\ufffb\ufffe\uffff\U00013430-\U0001345f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e00ff\U000e01f0-\U000e0fff"
    + "".join(f"{chr(plane << 16 | 0xFFFE)}{chr(plane << 16 | 0xFFFF)}" for plane in range(1, 17))
)


def _zero_width() -> str:
    """A character class of the characters that are drawn on the cell before them.

    It is made from Rich's own table (which is private), so that it agrees with Textual's layout.
    """
    widths = load_cell_table("latest").widths
    spans = [(start, end) for start, end, width in widths if width == 0 and start]
    return "".join(f"{re.escape(chr(start))}-{re.escape(chr(end))}" for start, end in spans)


_SPECIAL: Final = re.compile(
    r"(?P<sgr>\x1b\[[0-9;:]*m)"
    r"|(?P<newline>\r?\n)"
    r"|(?P<tab>\t)"
    rf"|(?P<removed>[{_REMOVED}]+)"
    rf"|(?P<shown>[{_SHOWN}])"
    rf"|(?P<marks>[{_zero_width()}]+)"
)
_SGR_PARAMETERS_MAX: Final = 32


def segments(text: str, *, ascii_only: bool = False, chars_max: int | None = None) -> list[Segment]:
    """A message as segments of the roles message, control, newline and ``sgr:COLOUR:FLAGS``.

    COLOUR is empty, a number below 256 or ``#rrggbb``; FLAGS are some of ``bdiusr`` (bold, dim,
    italic, underline, strike, reverse). A trailing newline, which most writers add, is dropped.

    Args:
        text: The message.
        ascii_only: Whether to show control characters with ASCII only.
        chars_max: Characters of ``text`` to read.
    """
    if text.endswith("\n"):
        text = text[: -2 if text.endswith("\r\n") else -1]
    if chars_max is not None:
        text = text[:chars_max]
    if text.isascii() and text.isprintable():
        return [(text, MESSAGE)] if text else []
    return _Writer(ascii_only=ascii_only).write(text)


def harmless(text: str, *, ascii_only: bool = False) -> str:
    """A harmless text on one line, without roles: for names and reasons."""
    return "".join(piece for piece, _ in segments(text, ascii_only=ascii_only))


def picture(char: str, *, ascii_only: bool = False) -> str:
    """The visible form of a character that must not be sent to a terminal."""
    code = ord(char)
    if ascii_only:
        if code < 0x20 or code == 0x7F:  # noqa: PLR2004 - the control characters of ASCII
            return f"^{chr(code ^ 0x40)}"
        return f"<{code:02X}>"
    if code < 0x20:  # noqa: PLR2004
        return chr(0x2400 + code)
    if code == 0x7F:  # noqa: PLR2004
        return "\u2421"
    return f"\u2039{code:02X}\u203a"


class _Writer:
    """Writes segments in one pass, keeping track of the colour and of the cell."""

    def __init__(self, *, ascii_only: bool) -> None:
        self._ascii_only = ascii_only
        self._sgr = _Sgr()
        self._out: list[Segment] = []
        self._cells = 0

    def write(self, text: str) -> list[Segment]:
        at = 0
        for found in _SPECIAL.finditer(text):
            self._put(text[at : found.start()], self._sgr.role)
            at = found.end()
            match found.lastgroup:
                case "sgr":
                    self._sgr.apply(found[0])
                case "newline":
                    self._put("^J" if self._ascii_only else "⏎", NEWLINE)
                    self._cells = 0
                case "tab":
                    self._put(" " * (TAB_CELLS - self._cells % TAB_CELLS), self._sgr.role)
                case "shown":
                    self._put(picture(found[0], ascii_only=self._ascii_only), CONTROL)
                case "marks":
                    self._marks(found[0])
                case _:  # removed
                    pass
        self._put(text[at:], self._sgr.role)
        return self._out

    def _marks(self, marks: str) -> None:
        if not self._cells:
            self._put("<>" if self._ascii_only else "◌", CONTROL)  # a base for the marks
        self._put(marks[:MARKS_MAX], self._sgr.role)
        if len(marks) > MARKS_MAX:
            more = f"+{len(marks) - MARKS_MAX}"
            self._put(f"<{more}>" if self._ascii_only else f"\u2039{more}\u203a", CONTROL)

    def _put(self, text: str, role: str) -> None:
        if not text:
            return
        self._cells += cell_len(text)
        if self._out and self._out[-1][1] == role and role != NEWLINE:
            self._out[-1] = (self._out[-1][0] + text, role)
        else:
            self._out.append((text, role))


class _Sgr:
    """The colour and the attributes that SGR sequences have set.

    Backgrounds, blinking and concealment are ignored, since they can hide text.
    """

    _ON: Final = {1: "b", 2: "d", 3: "i", 4: "u", 7: "r", 9: "s", 21: "u"}
    _OFF: Final = {22: "bd", 23: "i", 24: "u", 27: "r", 29: "s"}

    def __init__(self) -> None:
        self._colour = ""
        self._flags: set[str] = set()
        self.role = MESSAGE

    def apply(self, sequence: str) -> None:
        codes = sequence[2:-1].split(";")[:_SGR_PARAMETERS_MAX]
        while codes:
            code = codes.pop(0)
            if ":" in code:
                self._one_with_colons(code)
            elif code in ("38", "48", "58"):
                colour = _extended(codes)
                if code == "38":
                    self._colour = colour
            else:
                self._one(int(code[:4] or 0))
        plain = not self._colour and not self._flags
        flags = "".join(sorted(self._flags))
        self.role = MESSAGE if plain else f"sgr:{self._colour}:{flags}"

    def _one(self, code: int) -> None:
        if code == 0:
            self._colour = ""
            self._flags.clear()
        elif code in self._ON:
            self._flags.add(self._ON[code])
        elif code in self._OFF:
            self._flags.difference_update(self._OFF[code])
        elif 30 <= code <= 37 or 90 <= code <= 97:  # noqa: PLR2004 - ECMA-48 and aixterm
            self._colour = str(code - 30 if code < 40 else code - 82)  # noqa: PLR2004
        elif code == 39:  # noqa: PLR2004
            self._colour = ""

    def _one_with_colons(self, code: str) -> None:
        first, *rest = code.split(":")
        if first == "38":
            # ISO 8613-6 has a colour space before red: 38:2::r:g:b; many leave it out.
            if rest[:1] == ["2"] and len(rest) > 4:  # noqa: PLR2004
                del rest[1]
            self._colour = _extended(rest)
        elif first == "4":
            self._one(24 if rest[:1] == ["0"] else 4)


def _extended(codes: list[str]) -> str:
    """Remove the parameters of an extended colour from the front of ``codes``; the colour."""
    kind = codes.pop(0) if codes else ""
    count = {"5": 1, "2": 3}.get(kind, 0)
    numbers = [min(int(code[:4]), 255) if code.isdigit() else 0 for code in codes[:count]]
    del codes[:count]
    if not count or len(numbers) < count:
        return ""
    if count == 1:
        return str(numbers[0])
    return "#{:02x}{:02x}{:02x}".format(*numbers)
