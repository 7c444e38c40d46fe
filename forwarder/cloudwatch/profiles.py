"""What the settings of AWS profiles say about logging in. Pure, and without the AWS SDK.

``profiles`` returns the settings of the profile of a name, empty if there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

Profiles = Callable[[str], Mapping[str, Any]]


def needs_code(profile: str, profiles: Profiles) -> bool:
    """Whether a role that the profile assumes, perhaps through others, requires an MFA code."""
    return any("role_arn" in one and "mfa_serial" in one for _, one in _chain(profile, profiles))


def login_command(profile: str, profiles: Profiles) -> str:
    """The command that renews a profile's credentials; empty if there is none.

    ``profile`` is empty for the default one, which commands need not name.
    """
    for name, settings in _chain(profile or "default", profiles):
        option = f" --profile {name}" if profile or name != "default" else ""
        if "sso_session" in settings or "sso_start_url" in settings:
            return f"aws sso login{option}"
        if "login_session" in settings:
            return f"aws login{option}"
    return code_command(profile) if needs_code(profile or "default", profiles) else ""


def code_command(profile: str) -> str:
    """The command that asks for an MFA code on a terminal, and keeps the role's credentials."""
    return f"gapless groups --profile {profile}" if profile else "gapless groups"


def _chain(profile: str, profiles: Profiles) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The profile and those whose credentials its role is assumed with; a loop ends it."""
    seen: set[str] = set()
    while profile and profile not in seen:
        seen.add(profile)
        settings = profiles(profile)
        yield profile, settings
        profile = str(settings.get("source_profile", ""))
