"""The commands of a Markdown page, as they are written there. Pure."""

from __future__ import annotations

import re
import shlex
from typing import Final

import click

_FENCE: Final = re.compile(r"^```(?P<kind>\w*)\s*$")
_SHELLS: Final = frozenset({"sh", "bash", "shell"})

PORT_WORD: Final = "PORT"
"""Stands in a page for the port that a program has printed."""

_OPERATORS: Final = frozenset("|&;<>()")


def shell_commands(text: str) -> list[str]:
    """Return the commands of a page's shell blocks; a command continued on the next line is one.

    Comments of their own and blank lines are left out; a comment behind a command stays, since
    the shell skips it.
    """
    commands: list[str] = []
    kind: str | None = None
    begun = ""
    for line in text.splitlines():
        fence = _FENCE.match(line)
        if fence is not None:
            kind = None if kind is not None else fence["kind"]
            continue
        if kind not in _SHELLS:
            continue
        begun += line.strip()
        if begun.endswith("\\"):
            begun = begun.removesuffix("\\")
        elif begun and not begun.startswith("#"):
            commands.append(begun)
            begun = ""
        else:
            begun = ""
    return commands


def gapless_arguments(command: str) -> list[str] | None:
    """Return the arguments of a ``gapless`` command up to a pipe or the like; else None."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in lexer:
        if set(word) <= _OPERATORS:
            break
        words.append(word)
    while words and re.fullmatch(r"\w+=.*", words[0]):
        words.pop(0)  # a variable set for this command
    if not words or words[0].rpartition("/")[2] != "gapless":
        return None
    return words[1:]


def parse_problem(root: click.Group, arguments: list[str]) -> str:
    """Return why a command line is not valid, without running it; empty if it is."""
    try:
        command: click.Command = root
        context = root.make_context(root.name, [*arguments])
        while isinstance(command, click.Group):
            words = [*context._protected_args, *context.args]  # noqa: SLF001 - its face is deprecated
            name, found, rest = command.resolve_command(context, words)
            assert found is not None
            command, context = found, found.make_context(name, rest, parent=context)
    except click.exceptions.Exit:
        return ""  # --help and --version
    except click.ClickException as error:
        return error.format_message()
    return ""
