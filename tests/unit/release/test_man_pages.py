from __future__ import annotations

import re

import click
import pytest

from common import errors
from gapless.cli import cli
from release.man_pages import build_pages


@click.group("outer")
def group() -> None:
    """Do many things: -a and .b.

    \b
    kept
    lines
    \f
    Left out.
    """


@group.command("inner")
@click.argument("target")
@click.option("--so-much", type=int, metavar="N", default=3, show_default=True, help=".dot \\n…")
@click.option("--secret", hidden=True)
def inner(target: str, so_much: int, secret: str) -> None:
    """.begins with a dot."""


@group.command("unseen", hidden=True)
def unseen() -> None:
    """Not in any page."""


def test_each_visible_command_has_a_page() -> None:
    pages = build_pages(group, "1.2")
    assert set(pages) == {"outer.1", "outer-inner.1"}
    assert "unseen" not in "".join(pages.values())


def test_a_page_says_what_the_help_says() -> None:
    page = build_pages(group, "1.2")["outer-inner.1"]
    assert page.startswith('.TH "OUTER\\-INNER" "1" "" "gapless 1.2" "User Commands"\n')
    assert ".SH NAME\nouter\\-inner \\- \\&.begins with a dot\n" in page
    assert "\\fBouter inner\\fR [OPTIONS] TARGET\n" in page
    assert ".TP\n\\fB\\-\\-so\\-much N\\fR\n\\&.dot \\en\\[u2026] [default: 3]\n" in page
    assert "secret" not in page
    assert page.endswith(".SH SEE ALSO\nouter(1)\n")


def test_no_text_becomes_a_request_of_roff() -> None:
    pages = build_pages(group, "1.2")
    requests = {"TH", "SH", "PP", "TP"}
    for page in [*pages.values(), *build_pages(cli, "1.2").values()]:
        lines = [line for line in page.splitlines() if line.startswith((".", "'"))]
        assert {re.match(r"\.(\w*)", line)[1] for line in lines} <= requests  # type: ignore[index]
    assert "kept lines" in pages["outer.1"]
    assert "Left out" not in pages["outer.1"]


@pytest.mark.parametrize(
    "name", [one for one in dir(errors) if one.startswith("EXIT_") and one != "EXIT_CODES"]
)
def test_exit_codes_are_all_there(name: str) -> None:
    assert getattr(errors, name) in errors.EXIT_CODES
