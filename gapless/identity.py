"""Whose logs a command reads: what tells one account, Region and endpoint from another.

Taken from what the AWS SDK would read, without importing it and without a call: an access key
id, a role or a single sign-on account belongs to one account. Where two ways lead to the same
account they may be told apart needlessly, which costs a second forwarder; two accounts are
never taken for one.
"""

from __future__ import annotations

import configparser
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

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
