from __future__ import annotations

import pytest
from rich.color import ColorType
from rich.style import Style
from textual.theme import BUILTIN_THEMES, Theme

from tui.render import line_format as fmt
from tui.render import palette as themes
from tui.render.palette import (
    CONTRAST_MIN,
    CONTRAST_MIN_MUTED,
    Palette,
    Rgb,
    Surface,
    ThemeTones,
    contrast,
    legible,
    mix,
    oklch,
)

ROLES = (
    "message",
    "message.error",
    "message.warn",
    "level.error",
    "level.info",
    "stream.0",
    "stream.7",
    "stream.13",
    "stream.23",
    "gutter.late",
    "gutter.backfill",
    "rule.ok",
    "rule.bad",
    "rule.warn",
    "ok",
    "warn",
    "bad",
    "key",
    "badge.ok",
    "badge.bad",
    "badge.warn",
    "badge.accent",
    "badge.quiet",
    "match",
)
MUTED = ("time", "muted", "message.debug", "control", "sgr:0:", "sgr:15:", "sgr:#000001:d")
SURFACES: tuple[Surface, ...] = ("log", "bar", "cursor", "panel")
ALL_THEMES = [
    theme for theme in (*BUILTIN_THEMES.values(), themes.DARK, themes.LIGHT) if not theme.ansi
]


def palette_of(theme: Theme) -> Palette:
    return Palette(ThemeTones.of(theme.to_color_system().generate(), dark=theme.dark))


def ratio(style: Style) -> float:
    def rgb(colour: object) -> Rgb:
        red, green, blue = colour.triplet  # type: ignore[attr-defined] # a Rich colour in full
        return red, green, blue

    return contrast(rgb(style.color), rgb(style.bgcolor))


@pytest.mark.parametrize("theme", ALL_THEMES, ids=lambda theme: theme.name)
def test_every_role_is_legible_on_every_theme(theme: Theme) -> None:
    palette = palette_of(theme)
    for surface in SURFACES:
        for role in ROLES:
            assert ratio(palette.style(role, surface)) >= CONTRAST_MIN - 0.05, (role, surface)
        for role in MUTED:
            assert ratio(palette.style(role, surface)) >= CONTRAST_MIN_MUTED - 0.05, (role, surface)


def test_green_is_not_the_colour_of_anything_else() -> None:
    palette = palette_of(themes.DARK)
    green = palette.style("ok", "bar").color
    others = ("warn", "bad", "badge.accent", "muted", "strong", "text", "accent")
    assert all(palette.style(role, "bar").color != green for role in others)


def test_streams_differ() -> None:
    palette = palette_of(themes.DARK)
    colours = {palette.style(f"stream.{number}").color for number in range(fmt.STREAM_COLOURS)}
    assert len(colours) == fmt.STREAM_COLOURS


@pytest.mark.parametrize("role", [*ROLES, *MUTED])
@pytest.mark.parametrize("surface", SURFACES)
def test_no_colour_means_none(role: str, surface: Surface) -> None:
    tones = ThemeTones.of({}, dark=True)
    style = Palette(tones, "none").style(role, surface)
    assert style.color is not None
    assert style.color.type is ColorType.DEFAULT
    assert style.bgcolor is not None
    assert style.bgcolor.type is ColorType.DEFAULT


def test_without_colour_bold_and_reverse_replace_it() -> None:
    palette = Palette(ThemeTones.of({}, dark=True), "none")
    assert palette.style("badge.bad", "bar").reverse
    assert palette.style("message", "cursor").reverse
    assert palette.style("match").reverse
    assert not palette.style("match", "cursor").reverse
    assert palette.style("bad", "bar").underline
    assert palette.style("ok", "bar").bold


def test_without_colour_a_quiet_badge_is_not_as_loud_as_another() -> None:
    palette = Palette(ThemeTones.of({}, dark=True), "none")
    assert palette.style("badge.bad", "log").reverse
    assert not palette.style("badge.quiet", "log").reverse
    assert palette.style("badge.quiet", "cursor").reverse


def test_the_terminals_own_colours() -> None:
    palette = Palette(ThemeTones.of({}, dark=True), "ansi")
    for role in (*ROLES, *MUTED):
        colour = palette.style(role).color
        assert colour is not None
        if not role.startswith("sgr:#"):
            assert colour.type in (ColorType.DEFAULT, ColorType.STANDARD), role


def test_mixing() -> None:
    assert mix((0, 0, 0), (255, 255, 255), 0.5) == (128, 128, 128)
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert contrast(legible((20, 20, 20), (18, 18, 18), 4.5), (18, 18, 18)) >= 4.5
    assert oklch(1.0, 0.0, 0.0) == (255, 255, 255)
    assert oklch(0.0, 0.0, 0.0) == (0, 0, 0)


def test_a_theme_without_colours_gets_defaults() -> None:
    tones = ThemeTones.of(
        {"background": "ansi_default", "foreground": "what?", "success": "transparent"}, dark=False
    )
    assert contrast(tones.foreground, tones.background) > CONTRAST_MIN
