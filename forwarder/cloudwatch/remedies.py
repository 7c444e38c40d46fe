"""What to do when AWS refuses a call: the Region, profile and login command for error messages.

Files are read only after an error, and no call is made.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

import botocore.session
import msgspec

from forwarder.cloudwatch.profiles import login_command
from forwarder.config import AwsOptions

_UNKNOWN_REGION: Final = "the configured Region"


class AwsPlace(msgspec.Struct, frozen=True):
    """Account, Region and profile of a call, as far as they are known without another call.

    Attributes:
        region: The Region; empty if unknown.
        profile: The profile; empty if the credentials come from elsewhere.
        account: The account's number; empty if unknown.
        login: The command that renews the credentials; empty if there is none.
    """

    region: str = ""
    profile: str = ""
    account: str = ""
    login: str = ""

    @property
    def text(self) -> str:
        """The place in words: ``eu-west-1 (account 123456789012, profile dev)``."""
        known = [
            f"{what} {value}"
            for what, value in (("account", self.account), ("profile", self.profile))
            if value
        ]
        region = self.region or _UNKNOWN_REGION
        return f"{region} ({', '.join(known)})" if known else region

    @property
    def renewal(self) -> str:
        """How to get valid credentials, as the end of a message."""
        if self.login:
            return f"run `{self.login}`"
        if self.profile:
            return f"renew the credentials of profile {self.profile}, or give another --profile"
        return "give --profile, set AWS_PROFILE, or renew AWS_ACCESS_KEY_ID and its companions"


def find_place(aws: AwsOptions, region: str = "", env: Mapping[str, str] = os.environ) -> AwsPlace:
    """Find out where calls go, from the options, the environment and the SDK's settings.

    Args:
        aws: Profile and Region of the command line.
        region: The Region that a client uses.
        env: Environment variables.
    """
    profile = aws.profile or env.get("AWS_PROFILE") or env.get("AWS_DEFAULT_PROFILE") or ""
    if not aws.profile and env.get("AWS_ACCESS_KEY_ID"):
        return AwsPlace(region or aws.region or "")  # the variables take precedence over a profile
    settings = _settings_of(profile or "default")
    return AwsPlace(
        region or aws.region or str(settings.get("region", "")),
        profile,
        _account_of(settings),
        login_command(profile, _settings_of),
    )


def _settings_of(profile: str) -> dict[str, Any]:
    try:
        full = botocore.session.Session().full_config
        found: dict[str, Any] = full.get("profiles", {}).get(profile, {})
    except Exception:  # noqa: BLE001 - unreadable settings must not replace the error to explain
        return {}
    return found


def _account_of(settings: Mapping[str, Any]) -> str:
    role = str(settings.get("role_arn", "")).split(":")
    return role[4] if len(role) > 5 else str(settings.get("sso_account_id", ""))  # noqa: PLR2004 - an ARN's account
