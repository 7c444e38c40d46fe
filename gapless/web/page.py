"""The page, and what it may load: from here, and from nowhere else. Pure, but for its files."""

from __future__ import annotations

from html import escape
from importlib.resources import files
from string import Template
from typing import Final

import textual_serve

FONT_SIZE: Final = 15
"""In pixels; a browser's own zoom is there for everything else."""

FILES: Final = {
    "page.css": ("gapless.web", "page.css", "text/css"),
    "page.js": ("gapless.web", "page.js", "text/javascript"),
    "xterm.css": (textual_serve.__name__, "static/css/xterm.css", "text/css"),
    "textual.js": (textual_serve.__name__, "static/js/textual.js", "text/javascript"),
    "RobotoMono.ttf": (
        textual_serve.__name__,
        "static/fonts/RobotoMono-VariableFont_wght.ttf",
        "font/ttf",
    ),
    "RobotoMono-Italic.ttf": (
        textual_serve.__name__,
        "static/fonts/RobotoMono-Italic-VariableFont_wght.ttf",
        "font/ttf",
    ),
}
"""What the page loads: package, file in it, media type."""


def page(title: str, host: str, secret: str) -> str:
    """The page as HTML.

    Args:
        title: What is watched.
        host: The ``Host`` that it was asked for by, name and port.
        secret: Its place below that host.

    """
    text = files("gapless.web").joinpath("page.html").read_text(encoding="utf-8")
    return Template(text).substitute(
        title=escape(title),
        websocket=escape(f"ws://{host}/{secret}/ws"),
        font_size=FONT_SIZE,
    )


def content(name: str) -> tuple[bytes, str] | None:
    """A file that the page loads, with its media type; None where there is none of that name."""
    if name not in FILES:
        return None
    package, path, kind = FILES[name]
    return files(package).joinpath(path).read_bytes(), kind


def headers(host: str) -> dict[str, str]:
    """What goes with every answer: the browser itself holds the page to its own origin.

    The terminal sets styles on its elements, hence ``unsafe-inline`` for those alone; older
    browsers don't count a WebSocket as ``'self'``.
    """
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
        f"font-src 'self'; img-src 'self' data:; connect-src 'self' ws://{host}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
