"""Man pages of a command and its subcommands, from what ``--help`` says. Pure.

click-man finds no command that is imported only when it is needed, shortens the line under NAME,
and knows no exit codes; hence this module.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import click

from common.errors import EXIT_CODES

_ENVIRONMENT: Final[Mapping[str, str]] = {
    "GAPLESS_OPTION, GAPLESS_COMMAND_OPTION": "Every option can be set by a variable: --since by "
    "GAPLESS_SINCE, for tail alone by GAPLESS_TAIL_SINCE.",
    "GAPLESS_CONFIG": "File with settings, in place of config.toml in the user's settings "
    'directory: since = "1h", under [tail] for tail alone.',
    "AWS_PROFILE, AWS_REGION, …": "Credentials, profile and Region, as for the AWS CLI.",
}


def build_pages(root: click.Group, version: str) -> dict[str, str]:
    """Return the text of each page in roff, by file name: ``gapless-tail.1`` and others."""
    assert root.name is not None
    context = click.Context(root, info_name=root.name)
    commands = dict(_walk(root, context))
    names = [_page_name(one) for one in commands.values()]
    return {
        f"{_page_name(one)}.1": _page(command, one, version, names)
        for command, one in commands.items()
    }


def _walk(
    command: click.Command, context: click.Context
) -> Iterator[tuple[click.Command, click.Context]]:
    yield command, context
    for name, one in _subcommands(command, context).items():
        yield from _walk(one, click.Context(one, info_name=name, parent=context))


def _subcommands(command: click.Command, context: click.Context) -> dict[str, click.Command]:
    if not isinstance(command, click.Group):
        return {}
    found = {name: command.get_command(context, name) for name in command.list_commands(context)}
    return {name: one for name, one in found.items() if one is not None and not one.hidden}


def _page_name(context: click.Context) -> str:
    return context.command_path.replace(" ", "-")


def _page(
    command: click.Command, context: click.Context, version: str, names: Iterable[str]
) -> str:
    name = _page_name(context)
    first, *others = _paragraphs(command.help or "")
    usage = " ".join(command.collect_usage_pieces(context))
    options = [
        record
        for one in command.get_params(context)
        if isinstance(one, click.Option) and (record := one.get_help_record(context)) is not None
    ]
    commands = [
        (f"{context.command_path} {key}", _paragraphs(one.help or "")[0])
        for key, one in _subcommands(command, context).items()
    ]
    lines = [
        f'.TH "{_text(name.upper())}" "1" "" "gapless {_text(version)}" "User Commands"',
        *_section("NAME", [f"{_text(name)} \\- {_text(first.rstrip('.'))}"]),
        *_section("SYNOPSIS", [f"\\fB{_text(context.command_path)}\\fR {_text(usage)}"]),
        *_section("DESCRIPTION", _joined([first, *others])),
        *_section("OPTIONS", _listed(options)),
        *_section("COMMANDS", _listed(commands)),
        *_section("ENVIRONMENT", _listed(_ENVIRONMENT.items())),
        *_section("EXIT STATUS", _listed((str(code), text) for code, text in EXIT_CODES.items())),
        *_section("SEE ALSO", [_text(", ".join(f"{one}(1)" for one in names if one != name))]),
    ]
    return "\n".join(lines) + "\n"


def _paragraphs(text: str) -> list[str]:
    """Divide a help text; click's marks of kept lines and of the end are left out."""
    shown = text.partition("\f")[0].replace("\b", "")
    return [" ".join(one.split()) for one in shown.split("\n\n") if one.strip()] or [""]


def _section(title: str, lines: list[str]) -> list[str]:
    return [f".SH {title}", *lines] if lines else []


def _joined(paragraphs: Iterable[str]) -> list[str]:
    return [line for one in paragraphs for line in (".PP", _text(one))]


def _listed(pairs: Iterable[tuple[str, str]]) -> list[str]:
    return [
        line
        for term, text in pairs
        for line in (".TP", f"\\fB{_text(term)}\\fR", _text(" ".join(text.split())))
    ]


def _text(text: str) -> str:
    """Escape what roff would read as a request, a dash of typography or the end of a line."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    escaped = "".join(char if char.isascii() else f"\\[u{ord(char):04X}]" for char in escaped)
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped
