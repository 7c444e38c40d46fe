"""The viewer's own two themes; every Textual theme can be chosen in the palette as well."""

from __future__ import annotations

from typing import Final

from textual.theme import Theme

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
