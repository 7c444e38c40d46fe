"""Settings from ``GAPLESS_*`` variables and a TOML file: flag beats variable beats file.

An option ``--since`` of ``tail`` is read from ``GAPLESS_TAIL_SINCE``, else ``GAPLESS_SINCE``; in
the file it is ``since`` under ``[tail]``, else ``since`` at the top. An option that may be
repeated is one value a line in a variable and an array in the file.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click

from common.errors import UsageError
from common.files import read_regular

CONFIG_VARIABLE: Final = "GAPLESS_CONFIG"


def add_variables(command: click.Command) -> None:
    """Let every visible option of a command be read from its variables."""
    assert command.name is not None
    for option in visible_options(command):
        names = [name.upper() for name in setting_names(option)]
        prefixes = (f"GAPLESS_{command.name.upper()}", "GAPLESS")
        option.envvar = [f"{prefix}_{name}" for prefix in prefixes for name in names]


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


def defaults_of(command: click.Command, path: Path) -> dict[str, Any]:
    """Return the settings of the file for one command, by parameter name.

    Raises:
        UsageError: the file cannot be read, is not TOML, or has a setting in the command's own
            table that the command does not know.
    """
    settings = _read(path)
    own = settings.get(command.name or "", {})
    if not isinstance(own, dict):
        msg = f"{path}: {command.name} must be a table, written [{command.name}]"
        raise UsageError(msg)
    known = {name: one for one in visible_options(command) for name in setting_names(one)}
    for key in own:
        if _name(key) not in known:
            msg = f"{path}: [{command.name}] has no setting {key!r}: see gapless {command.name} -h"
            raise UsageError(msg)
    common = {key: value for key, value in settings.items() if not isinstance(value, dict)}
    merged = {_name(key): value for key, value in (*common.items(), *own.items())}
    return {
        str(known[name].name): (
            [value] if known[name].multiple and not isinstance(value, list) else value
        )
        for name, value in merged.items()
        if name in known
    }


def setting_of(command: str, option: str, env: Mapping[str, str]) -> str | None:
    """Return the setting of an option of another command than the one that runs; None if unset.

    Raises:
        UsageError: the file cannot be read, or is not TOML.
    """
    for variable in (f"GAPLESS_{command}_{option}".upper(), f"GAPLESS_{option}".upper()):
        if env.get(variable):
            return env[variable]
    settings = {_name(key): value for key, value in _read(settings_file(env)).items()}
    own = settings.get(command)
    owned = {_name(key): value for key, value in own.items()} if isinstance(own, dict) else {}
    value = owned.get(option, settings.get(option))
    return None if value is None else str(value)


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
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        msg = f"the settings file {path} is not TOML: {error}"
        raise UsageError(msg) from error
