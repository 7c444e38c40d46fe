"""Turns roles into styles whose colours are legible on the current theme; and two themes. Pure.

A role is a name of one or two parts: ``time``, ``message.error``, ``stream.7``. Three kinds of
terminal are served: full colour, the terminal's own sixteen colours (themes ``ansi-*``), and no
colour (``NO_COLOR``), where bold, reverse and underline replace it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import cos, pi, sin
from typing import Final, Literal

import msgspec
from rich.color import Color as RichColor
from rich.color import ColorSystem, ColorType
from rich.console import COLOR_SYSTEMS
from rich.segment import Segment as Cell
from rich.style import Style
from textual.color import Color, ColorParseError
from textual.strip import Strip
from textual.theme import Theme

from tui.render.group_names import STREAM_HUES
from tui.render.line_format import STREAM_COLOURS
from tui.render.safe_text import Segment

Rgb = tuple[int, int, int]
Surface = Literal["log", "bar", "cursor", "panel", "dim", "selected"]
"""Background of a row; ``dim`` is for context lines."""
Depth = Literal["full", "ansi", "none"]

CONTRAST_MIN: Final = 4.5
"""Contrast of text by WCAG 2 AA; muted text has ``CONTRAST_MIN_MUTED``."""

CONTRAST_MIN_MUTED: Final = 3.0

_HUES: Final[dict[str, str]] = {
    "level.fatal": "error",
    "level.error": "error",
    "level.warn": "warning",
    "level.info": "accent",
    "message.fatal": "error",
    "message.error": "error",
    "message.warn": "warning",
    "gutter.backfill": "accent",
    "gutter.repair": "success",
    "gutter.late": "warning",
    "gutter.unconfirmed": "error",
    "rule.bad": "error",
    "rule.warn": "warning",
    "rule.ok": "success",
    "rule.note": "accent",
    "bar.error": "error",
    "bar.warn": "warning",
    "bar.line": "accent",
    "shade.gap": "error",
    "shade.offline": "warning",
    "shade.backfill": "accent",
    "ok": "success",
    "warn": "warning",
    "bad": "error",
    "accent": "accent",
    "key": "accent",
}
_MUTED: Final = frozenset(
    {"time", "muted", "newline", "level.debug", "level.trace", "message.debug", "message.trace"}
    | {"control", "rule.bad.bar", "rule.warn.bar", "rule.ok.bar", "rule.note.bar", "track"}
)
_BOLD: Final = frozenset(
    {"level.fatal", "level.error", "level.warn", "message.fatal", "match", "strong", "key"}
    | {"rule.bad", "ok", "warn", "bad", "badge", "gutter.unconfirmed"}
)
_REVERSED: Final[frozenset[Surface]] = frozenset({"cursor", "selected"})
"""Surfaces shown in reverse on terminals whose background colour is not set."""

_ASCII_SIGNS: Final = str.maketrans("·…\u2039\u203a─↑↓→←≠⏎◌⋯", "-~<>-^v><!^o~") | dict.fromkeys(
    range(0x2400, 0x2422), "^"
)
_BADGES: Final = {"ok": "success", "warn": "warning", "bad": "error", "accent": "accent"}
_ANSI: Final = {"success": "green", "warning": "yellow", "error": "red", "accent": "cyan"}
_ANSI_STREAMS: Final = ("cyan", "green", "magenta", "blue", "yellow", "bright_cyan")
_XTERM_DARK: Final[tuple[Rgb, ...]] = (
    (0x80, 0x80, 0x80), (0xE0, 0x6C, 0x75), (0x98, 0xC3, 0x79), (0xE5, 0xC0, 0x7B),
    (0x61, 0xAF, 0xEF), (0xC6, 0x78, 0xDD), (0x56, 0xB6, 0xC2), (0xD0, 0xD4, 0xDA),
)  # fmt: skip


class ThemeTones(msgspec.Struct, frozen=True):
    """The colours of a theme from which the palette is mixed."""

    background: Rgb
    panel: Rgb
    foreground: Rgb
    accent: Rgb
    success: Rgb
    warning: Rgb
    error: Rgb
    dark: bool = True

    @classmethod
    def of(cls, variables: Mapping[str, str], *, dark: bool) -> ThemeTones:
        """Read the colours from the CSS variables of a Textual theme."""

        def rgb(name: str, fallback: Rgb) -> Rgb:
            try:
                found = Color.parse(variables.get(name, ""))
            except ColorParseError:
                return fallback
            return fallback if found.ansi is not None or found.is_transparent else found.rgb

        back: Rgb = (18, 18, 18) if dark else (240, 240, 240)
        return cls(
            background=rgb("background", back),
            panel=rgb("surface", back),
            foreground=rgb("foreground", (224, 224, 224) if dark else (31, 31, 31)),
            accent=rgb("primary", (87, 165, 226)),
            success=rgb("success", (78, 191, 113)),
            warning=rgb("warning", (254, 166, 43)),
            error=rgb("error", (224, 90, 110)),
            dark=dark,
        )


class Palette:
    """The styles of one theme, by role and surface.

    Args:
        tones: Colours of the theme.
        depth: Colours that the terminal may be sent.
        ascii_only: Whether to draw the viewer's own signs with ASCII characters.
    """

    def __init__(
        self, tones: ThemeTones, depth: Depth = "full", *, ascii_only: bool = False
    ) -> None:
        self.ascii_only = ascii_only
        """Whether the terminal can draw no more than ASCII."""
        self._signs = _ASCII_SIGNS if ascii_only else None
        self._tones = tones
        self._depth = depth
        self._styles: dict[tuple[str, Surface], Style] = {}
        self._codes: dict[tuple[Surface, str | None], _Codes] = {}
        self._edges: dict[tuple[Segment, str | None], str] = {}
        cursor = mix(tones.background, tones.accent, 0.22 if tones.dark else 0.16)
        self._surfaces: dict[Surface, Rgb] = {
            "log": tones.background,
            "bar": tones.panel,
            "panel": tones.panel,
            "dim": tones.background,
            "selected": mix(tones.background, tones.accent, 0.12 if tones.dark else 0.09),
            "cursor": cursor,
        }

    def style(self, role: str, surface: Surface = "log") -> Style:
        """The style of a role, with its background."""
        found = self._styles.get((role, surface))
        if found is None:
            found = (
                self._full(role, surface) if self._depth == "full" else self._plain(role, surface)
            )
            self._styles[role, surface] = found
        return found

    def cells(self, line: Iterable[Segment], surface: Surface = "log") -> list[Cell]:
        """The segments of a line as Rich segments, for a strip."""
        style, signs = self.style, self._signs
        if signs is not None:
            line = [(text.translate(signs), role) for text, role in line]
        return [Cell(text, style(role, surface)) for text, role in line if text]

    def adapt(self, text: str) -> str:
        """A text of the viewer's own, with its signs in ASCII if the terminal needs that."""
        return text if self._signs is None else text.translate(self._signs)

    def ansi(self, line: Iterable[Segment], surface: Surface, system: str | None) -> str:
        """The segments of a line as text with escape sequences.

        Args:
            line: The segments.
            surface: Their background.
            system: Rich's name of the terminal's colour system.
        """
        codes = self._codes.get((surface, system))
        if codes is None:
            codes = self._codes[surface, system] = _Codes(self, surface, system)
        signs = self._signs
        if signs is not None:
            line = [(text.translate(signs), role) for text, role in line]
        pieces = [(text, codes[role]) for text, role in line if text]
        return "".join([f"{begin}{text}{end}" for text, (begin, end) in pieces])

    def ansi_edge(self, edge: Segment, system: str | None) -> str:
        """``ansi`` for a cell of the scroll bar, cached, since there are only a few kinds."""
        found = self._edges.get((edge, system))
        if found is None:
            found = self._edges[edge, system] = self.ansi([edge], "log", system)
        return found

    def _full(self, role: str, surface: Surface) -> Style:
        ground = self._surfaces[surface]
        head, _, rest = role.partition(".")
        if head == "badge":
            tone = (
                self._tone(_BADGES[rest])
                if rest in _BADGES
                else mix(ground, self._tones.foreground, 0.25)
            )
            return _style(legible(tone, tone, CONTRAST_MIN), tone, "b")
        if role == "match":
            ground = (255, 214, 10)
            return _style((0, 0, 0), ground, "b")
        flags = "b" if role in _BOLD else ""
        if role.startswith("sgr:"):
            return self._sgr(role, ground)
        hue = self._hue(role, ground)
        if surface == "dim":
            return _style(legible(mix(hue, ground, 0.5), ground, CONTRAST_MIN_MUTED), ground, "")
        contrast = CONTRAST_MIN_MUTED if role in _MUTED else CONTRAST_MIN
        return _style(legible(hue, ground, contrast), ground, flags)

    def _hue(self, role: str, ground: Rgb) -> Rgb:
        head, _, rest = role.partition(".")
        if head == "stream":
            return oklch(0.8 if self._tones.dark else 0.48, 0.1, int(rest) / STREAM_COLOURS)
        if role in _HUES:
            tone = self._tone(_HUES[role])
            return mix(tone, self._tones.foreground, 0.35) if head == "message" else tone
        if role in _MUTED:
            return mix(self._tones.foreground, ground, 0.45)
        return self._tones.foreground

    def _sgr(self, role: str, ground: Rgb) -> Style:
        _, colour, flags = role.split(":")
        hue = self._tones.foreground if not colour else self._sgr_colour(colour)
        if "d" in flags:
            hue = mix(hue, ground, 0.4)
        return _style(legible(hue, ground, CONTRAST_MIN_MUTED), ground, flags)

    def _sgr_colour(self, colour: str) -> Rgb:
        if colour.startswith("#"):
            return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
        index = int(colour)
        if index < 16:  # noqa: PLR2004 - the first sixteen are the terminal's to choose
            return _XTERM_DARK[index % 8]
        red, green, blue = RichColor.from_ansi(index).get_truecolor()
        return red, green, blue

    def _tone(self, name: str) -> Rgb:
        tone: Rgb = getattr(self._tones, name)
        return tone

    def _plain(self, role: str, surface: Surface) -> Style:
        """The style for terminals with sixteen colours of their own, or without colour."""
        head, _, rest = role.partition(".")
        flags = _plain_flags(role, surface)
        colour: str | None = None
        if role.startswith("sgr:"):
            _, sgr, sgr_flags = role.split(":")
            flags += sgr_flags
            colour = f"color({sgr})" if sgr.isdigit() else None
        elif head == "stream":
            colour = _ANSI_STREAMS[STREAM_HUES.index(int(rest)) % len(_ANSI_STREAMS)]
        elif head == "badge":
            colour = _ANSI.get(_BADGES.get(rest, ""))
        elif role in _HUES:
            colour = _ANSI[_HUES[role]]
        if surface in _REVERSED:
            colour = None  # in reverse, each segment would have a background of its own
        if self._depth == "none":
            colour = None
            if role == "badge.quiet":  # or it would be as loud as the others: off beside ON
                flags = "r" if surface in _REVERSED else ""
            if role in ("level.error", "level.fatal", "bad"):
                flags += "u"
        default = RichColor("default", ColorType.DEFAULT)
        parsed = default if colour is None else RichColor.parse(colour)
        return Style.from_color(parsed, default) + _flags(flags)


class _Codes(dict[str, tuple[str, str]]):
    """Escape sequences before and after a segment, by role; computed at first use."""

    def __init__(self, palette: Palette, surface: Surface, system: str | None) -> None:
        super().__init__()
        self._palette = palette
        self._surface: Surface = surface
        self._system = COLOR_SYSTEMS.get(system or "", ColorSystem.TRUECOLOR)

    def __missing__(self, role: str) -> tuple[str, str]:
        style = self._palette.style(role, self._surface)
        begin, _, end = Strip.render_style(style, "\0", self._system).partition("\0")
        self[role] = begin, end
        return begin, end


def _plain_flags(role: str, surface: Surface) -> str:
    is_badge = role.partition(".")[0] == "badge"
    flags = "b" if role in _BOLD or is_badge else ""
    if surface == "dim":
        flags = "d"
    elif role in _MUTED:
        flags += "d"
    return flags + ("r" if (is_badge or role == "match") != (surface in _REVERSED) else "")


def _style(colour: Rgb, ground: Rgb, flags: str) -> Style:
    return Style.from_color(RichColor.from_rgb(*colour), RichColor.from_rgb(*ground)) + _flags(
        flags
    )


def _flags(flags: str) -> Style:
    return Style(
        bold="b" in flags or None,
        dim="d" in flags or None,
        italic="i" in flags or None,
        underline="u" in flags or None,
        reverse="r" in flags or None,
        strike="s" in flags or None,
    )


def mix(one: Rgb, other: Rgb, share: float) -> Rgb:
    """Mix two colours: ``share`` (0 to 1) is the part of ``other``."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def luminance(colour: Rgb) -> float:
    """Relative luminance, 0 to 1 (WCAG 2)."""
    parts = (part / 255 for part in colour)
    red, green, blue = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)  # noqa: PLR2004
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: Rgb, other: Rgb) -> float:
    """The contrast ratio of two colours, 1 to 21 (WCAG 2)."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def legible(colour: Rgb, ground: Rgb, ratio: float) -> Rgb:
    """A colour, moved towards black or white until its contrast to ``ground`` is ``ratio``."""
    white, black = (255, 255, 255), (0, 0, 0)
    goal = white if contrast(white, ground) >= contrast(black, ground) else black
    for step in range(21):
        moved = mix(colour, goal, step / 20)
        if contrast(moved, ground) >= ratio:
            return moved
    return goal


def oklch(lightness: float, chroma: float, turn: float) -> Rgb:
    """A colour by perceived lightness, chroma and hue (0 to 1 around the circle).

    Unlike in HSL, equal steps look equal. Björn Ottosson, "A perceptual color space for
    image processing", 2020.
    """
    a, b = chroma * cos(2 * pi * turn), chroma * sin(2 * pi * turn)
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )
    red, green, blue = (_gamma(part) for part in linear)
    return red, green, blue


def _gamma(part: float) -> int:
    part = min(1.0, max(0.0, part))
    curved = 12.92 * part if part <= 0.0031308 else 1.055 * part ** (1 / 2.4) - 0.055  # noqa: PLR2004
    return round(255 * curved)


DARK: Final = Theme(
    name="gapless-dark",
    primary="#5fb0f2",
    secondary="#7c8cff",
    accent="#5fb0f2",
    foreground="#d6dae0",
    background="#0e1116",
    surface="#171c24",
    panel="#1e2530",
    success="#4ec98a",
    warning="#f0b44c",
    error="#f2707a",
    dark=True,
)

LIGHT: Final = Theme(
    name="gapless-light",
    primary="#0b62b8",
    secondary="#4a4fc4",
    accent="#0b62b8",
    foreground="#1f2328",
    background="#ffffff",
    surface="#eef1f5",
    panel="#e3e8ee",
    success="#1a7f45",
    warning="#8a5a00",
    error="#b4232f",
    dark=False,
)
