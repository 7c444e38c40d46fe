"""Settings from ``GAPLESS_*`` variables and a TOML file: flag beats variable beats file.

An option ``--since`` of ``tail`` is read from ``GAPLESS_TAIL_SINCE``, else ``GAPLESS_SINCE``; in
the file it is ``since`` under ``[tail]``, else ``since`` at the top. Options that may be given
several times are one a line in a variable and an array in the file.

Whose logs a command reads: what tells one account, Region and endpoint from another.

Taken from what the AWS SDK would read, without importing it and without a call: an access key
id, a role or a single sign-on account belongs to one account. Where two ways lead to the same
account they may be told apart needlessly, which costs a second forwarder; two accounts are
never taken for one.
"""

from __future__ import annotations

import configparser
import hashlib
import json
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from common.errors import UsageError

CONFIG_VARIABLE: Final = "GAPLESS_CONFIG"


def add_variables(command: click.Command) -> None:
    """Give every visible option of a command its two variables."""
    assert command.name is not None
    for option in command.params:
        if isinstance(option, click.Option) and option.name and not option.hidden:
            name = option.name.upper()
            option.envvar = [f"GAPLESS_{command.name.upper()}_{name}", f"GAPLESS_{name}"]


def settings_file(env: Mapping[str, str]) -> Path:
    """The file that ``GAPLESS_CONFIG`` names, else ``config.toml`` in the user's settings."""
    named = env.get(CONFIG_VARIABLE)
    if named:
        return Path(named)
    import platformdirs  # noqa: PLC0415 - not needed for --help

    return platformdirs.user_config_path("gapless", appauthor=False) / "config.toml"


def defaults_of(command: click.Command, path: Path) -> dict[str, Any]:
    """What the settings file says for one command, by the names of its parameters.

    Raises:
        UsageError: the file can't be read, is no TOML, or has a setting in the command's own
            table that the command does not know.

    """
    settings = _read(path)
    own = settings.get(command.name or "", {})
    if not isinstance(own, dict):
        msg = f"{path}: {command.name} must be a table, written [{command.name}]"
        raise UsageError(msg)
    known = {
        one.name: one
        for one in command.params
        if isinstance(one, click.Option) and one.name and not one.hidden
    }
    for key in own:
        if _name(key) not in known:
            msg = f"{path}: [{command.name}] has no setting {key!r}: see gapless {command.name} -h"
            raise UsageError(msg)
    common = {key: value for key, value in settings.items() if not isinstance(value, dict)}
    merged = {_name(key): value for key, value in (*common.items(), *own.items())}
    return {
        name: [value] if known[name].multiple and not isinstance(value, list) else value
        for name, value in merged.items()
        if name in known
    }


def setting_of(command: str, option: str, env: Mapping[str, str]) -> str | None:
    """What variables or file set for an option of a command that is not the one that runs.

    Raises:
        UsageError: the file can't be read, or is no TOML.

    """
    for variable in (f"GAPLESS_{command}_{option}".upper(), f"GAPLESS_{option}".upper()):
        if env.get(variable):
            return env[variable]
    settings = _read(settings_file(env))
    own = settings.get(command)
    value = (own if isinstance(own, dict) else {}).get(option, settings.get(option))
    return None if value is None else str(value)


def _name(key: str) -> str:
    return key.replace("-", "_")


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        if os.environ.get(CONFIG_VARIABLE):
            msg = f"the settings file {path} of {CONFIG_VARIABLE} does not exist"
            raise UsageError(msg) from None
        return {}
    except OSError as error:
        msg = f"cannot read the settings file {path} ({error.strerror}): mend it or move it away"
        raise UsageError(msg) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        msg = f"the settings file {path} is not TOML: {error}"
        raise UsageError(msg) from error


_VARIABLES: Final = (
    "AWS_ACCESS_KEY_ID",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS",
    "AWS_ENDPOINT_URL_LOGS",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_REGION",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
)
"""Variables of the AWS SDK that choose account, Region or endpoint; no secrets among them."""

_SECRETS: Final = ("aws_secret_access_key", "aws_session_token")


class AwsChoice(msgspec.Struct, frozen=True, kw_only=True):
    """The AWS options of the command line; None leaves it to the SDK's own settings."""

    profile: str | None = None
    region: str | None = None
    endpoint_url: str | None = None

    def arguments(self) -> list[str]:
        """As arguments for another command."""
        pairs = (
            ("--profile", self.profile),
            ("--region", self.region),
            ("--endpoint-url", self.endpoint_url),
        )
        return [text for name, value in pairs if value is not None for text in (name, value)]


def group_folder(choice: AwsChoice, group: str, env: Mapping[str, str]) -> str:
    """The name of a folder that is one account's, Region's, endpoint's and log group's."""
    profile = choice.profile or env.get("AWS_PROFILE") or env.get("AWS_DEFAULT_PROFILE")
    seen = {
        "group": group,
        "profile": profile,
        "region": choice.region,
        "endpoint": choice.endpoint_url,
        "variables": {name: env[name] for name in _VARIABLES if env.get(name)},
        "settings": _profile_settings(profile or "default", env),
    }
    digest = hashlib.blake2b(json.dumps(seen, sort_keys=True).encode(), digest_size=8)
    name = re.sub(r"[^A-Za-z0-9]+", "-", group).strip("-")[:60]
    return f"{name}-{digest.hexdigest()}"


def _profile_settings(profile: str, env: Mapping[str, str]) -> list[list[tuple[str, str]]]:
    """What the SDK's two files say of a profile, secrets left out."""
    home = Path(env.get("HOME", "~")).expanduser()
    files = (
        (env.get("AWS_CONFIG_FILE") or home / ".aws/config", f"profile {profile}"),
        (env.get("AWS_SHARED_CREDENTIALS_FILE") or home / ".aws/credentials", profile),
    )
    found = []
    for path, section in files:
        parser = configparser.RawConfigParser()
        try:
            parser.read(Path(path).expanduser(), encoding="utf-8")
        except (configparser.Error, OSError, UnicodeError):
            continue  # the SDK will say what is wrong with it
        for name in (section, profile):
            if parser.has_section(name):
                pairs = sorted(parser.items(name))
                found.append([pair for pair in pairs if pair[0] not in _SECRETS])
                break
    return found
