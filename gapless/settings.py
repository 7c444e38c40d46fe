"""Settings from ``GAPLESS_*`` variables and a TOML file: flag beats variable beats file.

An option ``--since`` of ``tail`` is read from ``GAPLESS_TAIL_SINCE``, else ``GAPLESS_SINCE``; in
the file it is ``since`` under ``[tail]``, else ``since`` at the top. An option that may be
repeated is one value a line in a variable and an array in the file.

A mistake in the file is an error, never ignored: a filter or a Region that does not count would be
missed too late. So is a setting that only a later version knows. Checked are the top of the file
and the table of the command that runs. A mistake in the name of a variable is only reported, since
others set variables too, for programs of their own.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from datetime import date, time
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import click

from common.errors import UsageError
from common.files import read_regular
from common.state import STATE_DIR_VARIABLE

CONFIG_VARIABLE: Final = "GAPLESS_CONFIG"

OTHER_VARIABLES: Final = (CONFIG_VARIABLE, STATE_DIR_VARIABLE, "GAPLESS_TOKENS")
"""Variables that are no settings; the last one is read by the container image."""

_PREFIX: Final = "GAPLESS_"
_OF_SERVICE: Final = re.compile(
    r"\w+_(SERVICE_HOST|SERVICE_PORT\w*|PORT_[0-9]+_(TCP|UDP|SCTP)\w*)=|\w+_PORT=[a-z]+://"
)
"""What Kubernetes gives to every container about a Service, such as one that is called gapless."""


class SettingType(click.ParamType[Any]):
    """A type of options whose values are text in the settings file, or of ``toml_types``."""

    toml_types: tuple[type, ...] = ()


def add_variables(command: click.Command) -> None:
    """Let every visible option of a command be read from its variables."""
    for option in visible_options(command):
        option.envvar = _variables(str(command.name), setting_names(option))


def _variables(command: str, names: Iterable[str]) -> list[str]:
    """Return the variables of a command's option with these names, the ones that count first."""
    prefixes = (f"{_PREFIX}{command}_", _PREFIX)
    return [f"{prefix}{name}".upper() for prefix in prefixes for name in names]


def unknown_variables(
    command: click.Command, env: Mapping[str, str], root: click.Group
) -> list[str]:
    """Return a line about each ``GAPLESS_*`` variable that no command of ``root`` reads.

    The other commands are imported only if ``command`` does not read one of those that are set.
    """
    own = {*OTHER_VARIABLES, *_variables_of(command)}
    others = [
        name
        for name, value in sorted(env.items())
        if name.startswith(_PREFIX)
        and name not in own
        and value
        and not _OF_SERVICE.match(f"{name}={value}")
    ]
    if not others:
        return []
    known = own.union(*map(_variables_of, _commands(root)))
    short = [one.removeprefix(_PREFIX) for one in known]
    unknown = [one for one in others if one not in known]
    hints = [_similar(one.removeprefix(_PREFIX).upper(), short, "GAPLESS_{}") for one in unknown]
    return [
        f"the variable {name} has no effect: {hint or 'docs/configuration.md lists all'}"
        for name, hint in zip(unknown, hints, strict=True)
    ]


def _variables_of(command: click.Command) -> list[str]:
    return _variables(str(command.name), _options(command))


def _commands(root: click.Group) -> list[click.Command]:
    context = click.Context(root)
    found = [root.get_command(context, one) for one in root.list_commands(context)]
    return [one for one in found if one is not None]


def visible_options(command: click.Command) -> list[click.Option]:
    """Return the options of a command that its help names."""
    return [
        one
        for one in command.params
        if isinstance(one, click.Option) and one.name and not one.hidden
    ]


def setting_names(option: click.Option) -> list[str]:
    """Return the names of an option as a setting, the usual one first.

    They are its long forms (``allow_host``), and the name that earlier versions read.
    """
    assert option.name is not None
    long = [one.removeprefix("--") for one in option.opts if one.startswith("--")]
    return list(dict.fromkeys([*map(_name, long), option.name]))


def settings_file(env: Mapping[str, str]) -> Path:
    """Return the file that ``GAPLESS_CONFIG`` names, else the user's ``config.toml``."""
    named = env.get(CONFIG_VARIABLE)
    if named:
        return Path(named)
    import platformdirs  # noqa: PLC0415 - not needed for --help

    return platformdirs.user_config_path("gapless", appauthor=False) / "config.toml"


def defaults_of(command: click.Command, path: Path, root: click.Group) -> dict[str, Any]:
    """Return the settings of the file for one command of ``root``, by parameter name.

    Raises:
        UsageError: the file cannot be read or is not TOML; a table is named after no command; no
            command has a setting of the top, or the command itself none of its table; or a value
            is none of its setting.
    """
    settings = _read(path)
    options = _options(command)
    tables = root.list_commands(click.Context(root))
    for key, value in settings.items():
        if isinstance(value, dict) and key not in tables:
            hint = _similar(key, tables, "[{}]") or f"tables are {', '.join(tables)}"
            msg = f"{path}: no command is called {key!r}, so that [{key}] has no effect: {hint}"
            raise UsageError(msg)
        if key in tables and not isinstance(value, dict) and key not in options:
            msg = f"{path}: {key} must be a table, written [{key}]"
            raise UsageError(msg)
    own = settings.get(command.name or "", {})
    own = own if isinstance(own, dict) else {}
    for key in own:
        if _name(key) not in options:
            hint = _similar(key, options) or f"see gapless {command.name} -h"
            msg = f"{path}: [{command.name}] has no setting {key!r}: {hint}"
            raise UsageError(msg)
    common = {key: value for key, value in settings.items() if not isinstance(value, dict)}
    _check_names([key for key in common if _name(key) not in options], path, root)
    places = [("", *one) for one in common.items()]
    places += [(f"[{command.name}] ", *one) for one in own.items()]
    chosen: dict[str, tuple[str, str, Any]] = {}
    for table, key, value in places:
        if (option := options.get(_name(key))) is not None:
            before = chosen.get(str(option.name))
            if before is not None and before[0] == table:
                msg = f"{path}: {table}{before[1]} and {key} are the same setting: leave one out"
                raise UsageError(msg)
            chosen[str(option.name)] = (table, key, value)
    return {
        name: _checked(options[_name(key)], value, f"{path}: {table}{key}")
        for name, (table, key, value) in chosen.items()
    }


def _check_names(keys: Iterable[str], path: Path, root: click.Group) -> None:
    """Check that some command has each setting of the top.

    Raises:
        UsageError: none has.
    """
    if not keys:
        return  # Importing every command takes a moment, which few files cost.
    known = {name for one in _commands(root) for name in _options(one)}
    for key in keys:
        if _name(key) not in known:
            hint = _similar(key, known) or "docs/configuration.md lists all"
            msg = f"{path}: no command has a setting {key!r}: {hint}"
            raise UsageError(msg)


def _options(command: click.Command) -> dict[str, click.Option]:
    return {name: one for one in visible_options(command) for name in setting_names(one)}


def _similar(key: str, names: Iterable[str], form: str = "{}") -> str:
    found = get_close_matches(_name(key), sorted(names), n=1)
    return f"did you mean {form.format(found[0])}?" if found else ""


def _checked(option: click.Option, value: Any, where: str) -> Any:  # noqa: ANN401 - any type that TOML has
    """Check a value of the file; return it as click takes it for the option.

    Raises:
        UsageError: the option takes no such value; the text begins with ``where``.
    """
    if isinstance(value, list):
        if not option.multiple:
            msg = f"{where} takes one value, not an array: write it without [ ]"
            raise UsageError(msg)
        return [_checked_one(option, one, where) for one in value]
    one = _checked_one(option, value, where)
    return [one] if option.multiple else one


def _checked_one(option: click.Option, value: Any, where: str) -> Any:  # noqa: ANN401 - likewise
    kind = option.type
    wanted, types = _takes(option)
    if type(value) not in types:
        msg = f"{where} must be {wanted}, and is {_shown(value)}"
        raise UsageError(msg)
    if option.is_flag or isinstance(kind, click.Path):
        return value  # A file that is missing does not matter if a flag names another.
    text = value.isoformat() if isinstance(value, date | time) else value
    given = str(text) if isinstance(kind, SettingType) else text
    try:
        kind.convert(given, None, None)
    except click.BadParameter as error:
        msg = f"{where}: {error.message}"
        raise UsageError(msg) from error
    return given


def _takes(option: click.Option) -> tuple[str, tuple[type, ...]]:
    """Return what the file may have as an option's value: in words, and the types of TOML."""
    kind = option.type
    if option.is_flag:
        return "true or false", (bool,)
    if isinstance(kind, click.types.FloatParamType):
        return "a number", (int, float)
    if isinstance(kind, click.types.IntParamType):
        return "a whole number", (int,)
    more = kind.toml_types if isinstance(kind, SettingType) else ()
    return "a text in quotes", (str, *more)


def _shown(value: Any) -> str:  # noqa: ANN401 - likewise
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "an array"
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)[:80]


def setting_of(command: str, option: str, env: Mapping[str, str]) -> str | None:
    """Return the setting of an option of another command than the one that runs; None if unset.

    Raises:
        UsageError: the file cannot be read, or is not TOML, or has no value of the option.
    """
    for variable in _variables(command, [option]):
        if env.get(variable):
            return env[variable]
    path = settings_file(env)
    settings = {_name(key): value for key, value in _read(path).items()}
    own = settings.get(command)
    owned = {_name(key): value for key, value in own.items()} if isinstance(own, dict) else {}
    value = owned.get(option, settings.get(option))
    if value is None:
        return None
    module = import_module(f"gapless.commands.{command}")
    table = f"[{command}] " if option in owned else ""
    return str(_checked(_options(module.command)[option], value, f"{path}: {table}{option}"))


def _name(key: str) -> str:
    return key.replace("-", "_")


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_regular(path).decode("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        if os.environ.get(CONFIG_VARIABLE):
            msg = f"the settings file {path} of {CONFIG_VARIABLE} does not exist"
            raise UsageError(msg) from None
        return {}
    except OSError as error:
        msg = f"cannot read the settings file {path} ({error.strerror}): fix it or move it away"
        raise UsageError(msg) from error
    except (ValueError, RecursionError) as error:  # also numbers of thousands of digits
        msg = f"the settings file {path} is not TOML: {error}"
        raise UsageError(msg) from error
