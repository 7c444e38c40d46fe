"""Makes text from a log harmless: it cannot control the terminal, or hide or shift other text.

All text from outside (messages, stream names, reasons) passes through here before it is drawn.
Control characters are replaced by pictures of them, invisible and direction-changing ones by
their code points. Joiners and selectors of variants and skin tones, whose width depends on the
terminal, are removed. Colours (SGR) become roles, which the palette turns into legible styles;
the escape sequences themselves are never sent. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Final

from rich._unicode_data import load as load_cell_table
from rich.cells import cell_len

from common.text import COLOUR_CODE, without_colours

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
# that are drawn as nothing (Unicode's Default_Ignorable_Code_Point); noncharacters. Escape and
# carriage return are apart, since they may begin a sequence.
_SHOWN_ALONE: Final = "\x1b\r"
_SHOWN: Final = (
    "\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f\xad\u034f\u061c\u070f\u115f\u1160\u17b4\u17b5\u180b-\u180f"
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


_ZERO_WIDTH: Final = _zero_width()
_SPECIAL: Final = re.compile(
    rf"(?P<sgr>{COLOUR_CODE})"
    r"|(?P<newline>\r?\n)"
    r"|(?P<tabs>\t+)"
    rf"|(?P<removed>[{_REMOVED}]+)"
    rf"|(?P<shown>[{_SHOWN_ALONE}]|[{_SHOWN}]+)"
    rf"|(?P<marks>[{_ZERO_WIDTH}]+)"
)
_REMOVED_RUN: Final = re.compile(f"[{_REMOVED}]+")
_SHOWN_CHAR: Final = re.compile(f"[{_SHOWN_ALONE}{_SHOWN}]")
_ZERO_WIDTH_CHAR: Final = re.compile(f"[{_ZERO_WIDTH}]")
_BARE_MARKS: Final = re.compile(f"^(?=[{_ZERO_WIDTH}])", re.MULTILINE)
_MARKS_BEYOND: Final = re.compile(f"([{_ZERO_WIDTH}]{{{MARKS_MAX}}})([{_ZERO_WIDTH}]+)")
_CELLS_APART: Final = re.compile(r"[^\t\n]+|\t+|\n")
_SGR: Final = re.compile(COLOUR_CODE)
_SGR_PARAMETERS_MAX: Final = 32
_CODE_CHARS_MAX: Final = 16 << 10
"""Characters of colour codes that are read beside a text; more would make a screen slow."""
_REPLACEMENTS_MAX: Final = 1 << 16
_FILLER: Final = "\0"


def segments(
    text: str,
    *,
    ascii_only: bool = False,
    chars_max: int | None = None,
    cells_max: int | None = None,
    newlines_max: int | None = None,
) -> list[Segment]:
    """A message as segments of the roles message, control, newline and ``sgr:COLOUR:FLAGS``.

    COLOUR is empty, a number below 256 or ``#rrggbb``; FLAGS are some of ``bdiusr`` (bold, dim,
    italic, underline, strike, reverse). A trailing newline, which most writers add, is dropped.

    Args:
        text: The message.
        ascii_only: Whether to show control characters with ASCII only.
        chars_max: Characters of ``text`` to read, apart from colour codes.
        cells_max: Cells after which to stop; the last segment may go beyond them.
        newlines_max: Newlines after which to stop.
    """
    if chars_max is not None:
        if "\x1b" in text[:chars_max]:
            chars_max = _chars_with_codes(text, chars_max)
        text = text[: chars_max + len("\r\n")]
    text = _without_last_newline(text)[:chars_max]
    if text.isascii() and text.isprintable():
        return [(text, MESSAGE)] if text else []
    return _Writer(ascii_only=ascii_only).write(text, cells_max, newlines_max)


def _chars_with_codes(text: str, chars_max: int) -> int:
    """Count the characters of a beginning of ``text`` with ``chars_max`` beside its colour codes.

    Colour codes take no cells: many of them would leave a row blank although text follows, and
    a limit inside of one would show its half as text.
    """
    end, left = 0, chars_max
    for code in _SGR.finditer(text[: chars_max + 2 * _CODE_CHARS_MAX]):
        if code.start() - end >= left:
            break
        left -= code.start() - end
        if code.end() > chars_max + _CODE_CHARS_MAX:
            return code.start()
        end = code.end()
    return end + left


def harmless(text: str, *, ascii_only: bool = False) -> str:
    """A harmless text on one line, without roles: for names and reasons."""
    text = _without_last_newline(text)
    if text.isascii() and text.isprintable():
        return text
    sign = _newline_sign(ascii_only=ascii_only)
    return harmless_lines(text, sign, ascii_only=ascii_only)


def harmless_lines(text: str, newline: str, *, ascii_only: bool = False) -> str:
    """The text of ``segments`` without the roles, and with ``newline`` in place of newlines.

    Without roles, each kind of character can be replaced in the whole text at once; that is
    several times as fast for a text in which kinds alternate.
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    if "\x1b" in text:
        text = without_colours(text)
    if not text.isascii():
        text = _REMOVED_RUN.sub("", text)
        text = _MARKS_BEYOND.sub(
            lambda found: found[1] + _marks_beyond(len(found[2]), ascii_only=ascii_only), text
        )
        text = _BARE_MARKS.sub(_base_of_marks(ascii_only=ascii_only), text)
    if _SHOWN_CHAR.search(text):
        text = text.translate(_PICTURES[ascii_only])
    if "\t" in text:
        text = _expand_tabs(text)
    return text.replace("\n", newline)


def _without_last_newline(text: str) -> str:
    if text.endswith("\n"):
        return text[: -2 if text.endswith("\r\n") else -1]
    return text


def _expand_tabs(text: str) -> str:
    """Replace tabs by blanks up to the next tab stop, counting cells instead of characters.

    No control characters but tabs and newlines may be left in the text.
    """
    if text.isascii():
        return text.expandtabs(TAB_CELLS)
    if not _ZERO_WIDTH_CHAR.search(text):
        # With a filler behind each wide character, characters count as cells.
        return text.translate(_FILLED).expandtabs(TAB_CELLS).replace(_FILLER, "")
    out: list[str] = []
    cells = 0
    for piece in _CELLS_APART.findall(text):
        if piece == "\n":
            cells = 0
        elif piece[0] == "\t":
            blanks = _tab_cells(len(piece), cells)
            cells += blanks
            out.append(" " * blanks)
            continue
        else:
            cells += cell_len(piece)
        out.append(piece)
    return "".join(out)


def _tab_cells(tabs: int, cells: int) -> int:
    """The blanks that some tabs after a number of cells amount to."""
    return TAB_CELLS * tabs - cells % TAB_CELLS


def _newline_sign(*, ascii_only: bool) -> str:
    return "^J" if ascii_only else "⏎"


def _base_of_marks(*, ascii_only: bool) -> str:
    """What combining marks at the beginning of a line are drawn on."""
    return "<>" if ascii_only else "◌"


def _marks_beyond(count: int, *, ascii_only: bool) -> str:
    """What is shown in place of marks beyond ``MARKS_MAX``."""
    return f"<+{count}>" if ascii_only else f"\u2039+{count}\u203a"


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


class _Replacements(dict[int, str]):
    """A table for ``str.translate`` that finds each replacement when it is first needed.

    It keeps characters without one as well: an entry takes a tenth of the time of a miss.
    """

    def __init__(self, replace: Callable[[str], str]) -> None:
        super().__init__()
        self._replace = replace

    def __missing__(self, code: int) -> str:
        replaced = self._replace(chr(code))
        if len(self) < _REPLACEMENTS_MAX:
            self[code] = replaced
        return replaced


def _visible(char: str, *, ascii_only: bool) -> str:
    return picture(char, ascii_only=ascii_only) if _SHOWN_CHAR.match(char) else char


_PICTURES: Final = (
    _Replacements(partial(_visible, ascii_only=False)),
    _Replacements(partial(_visible, ascii_only=True)),
)
_FILLED: Final = _Replacements(lambda char: char + _FILLER * (cell_len(char) - 1))


class _Writer:
    """Writes segments in one pass, keeping track of the colour and of the cell.

    The pieces of a segment are joined once, when it ends: to append each to the segment before
    would copy it again and again.
    """

    def __init__(self, *, ascii_only: bool) -> None:
        self._ascii_only = ascii_only
        self._sgr = _Sgr()
        self._out: list[Segment] = []
        self._pieces: list[str] = []
        self._role = MESSAGE
        self._cells = 0
        self._cells_before = 0  # in earlier lines
        self._marks = 0  # on the last character

    def write(self, text: str, cells_max: int | None, newlines_max: int | None) -> list[Segment]:
        at = newlines = 0
        for found in _SPECIAL.finditer(text):
            if found.start() > at:
                self._put(text[at : found.start()], self._sgr.role)
            at = found.end()
            match found.lastgroup:
                case "sgr":
                    self._sgr.apply(found[0])
                case "newline":
                    self._put(_newline_sign(ascii_only=self._ascii_only), NEWLINE)
                    self._cells_before += self._cells
                    self._cells = 0
                    newlines += 1
                    if newlines == newlines_max:
                        break
                case "tabs":
                    self._end_marks()  # its sign takes cells too
                    self._put(" " * _tab_cells(at - found.start(), self._cells), self._sgr.role)
                case "shown":
                    self._put(found[0].translate(_PICTURES[self._ascii_only]), CONTROL)
                case "marks":
                    self._put_marks(found[0])
                case _:  # removed
                    pass
            if cells_max is not None and self._cells_before + self._cells > cells_max:
                break
        else:
            self._put(text[at:], self._sgr.role)
        self._end_marks()
        self._end_segment()
        return self._out

    def _put_marks(self, marks: str) -> None:
        if not self._cells:
            self._put(_base_of_marks(ascii_only=self._ascii_only), CONTROL)
        room = max(0, MARKS_MAX - self._marks)
        self._append(marks[:room], self._sgr.role)
        self._marks += len(marks)

    def _end_marks(self) -> None:
        """Say how many marks were left out, once the stack ends: a colour does not end it."""
        beyond, self._marks = self._marks - MARKS_MAX, 0
        if beyond > 0:
            sign = _marks_beyond(beyond, ascii_only=self._ascii_only)
            self._append(sign, CONTROL)
            self._cells += len(sign)

    def _put(self, text: str, role: str) -> None:
        if not text:
            return
        if self._marks:
            self._end_marks()
        self._cells += cell_len(text)
        self._append(text, role)

    def _append(self, text: str, role: str) -> None:
        if not text:
            return
        if role != self._role or role == NEWLINE:
            self._end_segment()
            self._role = role
        self._pieces.append(text)

    def _end_segment(self) -> None:
        if self._pieces:
            self._out.append(("".join(self._pieces), self._role))
            self._pieces = []


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
