"""The AWS account, Region and endpoint that a command reads, and reading them."""

from __future__ import annotations

import asyncio
import configparser
import contextlib
import gc
import getpass
import hashlib
import json
import os
import re
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import click
import msgspec

from gapless.terminal import say

if TYPE_CHECKING:
    from forwarder.cloudwatch.reader import CloudWatch
    from forwarder.config import AwsOptions

_Result = TypeVar("_Result")

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
"""Variables of the AWS SDK that choose account, Region or endpoint; none of them is a secret."""

_SILENCE_LOOK_S: Final = 0.5
"""Interval of looks whether CloudWatch answers."""

_ARN_PARTS: Final = 6

_SECRETS: Final = ("aws_secret_access_key", "aws_session_token")


ACCOUNTS: Final = "accounts"
"""Folder of the state directory with a folder for each account, Region and endpoint."""

JOURNALS: Final = "journals"
"""Folder of a background forwarder's journals, in that of its account."""


class AwsChoice(msgspec.Struct, frozen=True, kw_only=True):
    """The AWS options of the command line; None: the SDK's own settings decide."""

    profile: str | None = None
    region: str | None = None
    endpoint_url: str | None = None

    def arguments(self) -> list[str]:
        """Return the options as arguments for another command."""
        pairs = (
            ("--profile", self.profile),
            ("--region", self.region),
            ("--endpoint-url", self.endpoint_url),
        )
        return [text for name, value in pairs if value is not None for text in (name, value)]


def choices_of(
    profiles: Sequence[str], regions: Sequence[str], endpoint_url: str | None
) -> tuple[AwsChoice, ...]:
    """Return every combination of a profile and a Region, each once; one without any."""
    return tuple(
        AwsChoice(profile=profile, region=region, endpoint_url=endpoint_url)
        for profile in dict.fromkeys(profiles or (None,))
        for region in dict.fromkeys(regions or (None,))
    )


def region_of(choice: AwsChoice, env: Mapping[str, str]) -> str | None:
    """Return the Region that the AWS SDK would use, without importing it; None if unknown."""
    named = choice.region or env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION")
    return named or _setting(choice, "region", env)


def account_of(choice: AwsChoice, env: Mapping[str, str]) -> str | None:
    """Return the account that a profile's settings name, by a role or single sign-on."""
    if not choice.profile and env.get("AWS_ACCESS_KEY_ID"):
        return None  # the variables take precedence over a profile
    role = (_setting(choice, "role_arn", env) or "").split(":")
    if len(role) == _ARN_PARTS:
        return role[4]
    return _setting(choice, "sso_account_id", env)


def _setting(choice: AwsChoice, name: str, env: Mapping[str, str]) -> str | None:
    pairs = [pair for one in _profile_settings(_profile_of(choice, env), env) for pair in one]
    return next((value for key, value in pairs if key == name and value), None)


def _profile_of(choice: AwsChoice, env: Mapping[str, str]) -> str:
    profile = choice.profile or env.get("AWS_PROFILE") or env.get("AWS_DEFAULT_PROFILE")
    return profile or "default"


def account_folder(choice: AwsChoice, env: Mapping[str, str]) -> str:
    """Name a folder for one account, Region and endpoint; ends in a digest of 16 digits.

    Taken from what the AWS SDK would read, without importing it and without a call: an access
    key id, a role or a single sign-on account belongs to one account. Two ways to the same
    account may get two names, which costs a second forwarder; two accounts never share one.
    """
    parts = (_named_profile(choice, env), choice.region or env.get("AWS_REGION"))
    name = _slug("-".join(part for part in parts if part)) or "default"
    return f"{name}-{_digest(_settings_seen(choice, env))}"


def group_folder(choice: AwsChoice, group: str, env: Mapping[str, str]) -> str:
    """Name a folder for one account, Region, endpoint and log group; likewise.

    Saved cursors are named by it, so it must stay the same from version to version.
    """
    return f"{_slug(group)}-{_digest({'group': group, **_settings_seen(choice, env)})}"


def _settings_seen(choice: AwsChoice, env: Mapping[str, str]) -> dict[str, object]:
    profile = _named_profile(choice, env)
    return {
        "profile": profile,
        "region": choice.region,
        "endpoint": choice.endpoint_url,
        "variables": {name: env[name] for name in _VARIABLES if env.get(name)},
        "settings": _profile_settings(profile or "default", env),
    }


def _named_profile(choice: AwsChoice, env: Mapping[str, str]) -> str | None:
    return choice.profile or env.get("AWS_PROFILE") or env.get("AWS_DEFAULT_PROFILE")


def _digest(seen: dict[str, object]) -> str:
    data = json.dumps(seen, sort_keys=True).encode()
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")[:60]


def prepare_credentials(choice: AwsChoice, *, is_background: bool = False) -> None:
    """Ask for an MFA code on the terminal if the profile's role needs one.

    Call it before a screen, an event loop or a background process starts: those find the role's
    credentials in the cache of the AWS CLI. Other profiles cost nothing here.

    Args:
        choice: Profile and Region.
        is_background: Whether this process must not read the terminal.

    Raises:
        ForwarderError: the role cannot be assumed, or there is no terminal to ask on.
    """
    from forwarder.cloudwatch.profiles import needs_code  # noqa: PLC0415 - not for ws:// targets

    env = os.environ
    if choice.profile is None and env.get("AWS_ACCESS_KEY_ID"):
        return  # the variables take precedence over a profile
    profile = choice.profile or env.get("AWS_PROFILE") or env.get("AWS_DEFAULT_PROFILE")

    def settings_of(name: str) -> dict[str, str]:
        return dict(pair for pairs in reversed(_profile_settings(name, env)) for pair in pairs)

    if not needs_code(profile or "default", settings_of):
        return
    # botocore is slow to import, hence imported only here.
    from forwarder.cloudwatch.client import renew_role  # noqa: PLC0415

    can_ask = not is_background and sys.stdin is not None and sys.stdin.isatty()
    renew_role(_options(choice), _ask_code if can_ask else None)


def _ask_code(prompt: str) -> str:
    try:
        return getpass.getpass(prompt).strip()
    except EOFError:
        from forwarder.errors import CredentialsError  # noqa: PLC0415 - only here

        # Another class would count as a reply of AWS that cannot be read.
        click.echo(err=True)  # Ctrl+D leaves the cursor behind the prompt
        msg = "no MFA code was entered: run the command again with the device at hand"
        raise CredentialsError(msg) from None


def profile_names(env: Mapping[str, str]) -> list[str]:
    """Return the profiles of the SDK's two files, sorted."""
    return sorted(
        {
            section.removeprefix("profile ")
            for path in _settings_files(env)
            for section in _parse(path).sections()
            if not section.startswith(("sso-session ", "services "))
        }
    )


def _profile_settings(profile: str, env: Mapping[str, str]) -> list[list[tuple[str, str]]]:
    """Return a profile's settings in the SDK's two files, without secrets."""
    found = []
    for path, section in zip(_settings_files(env), (f"profile {profile}", profile), strict=True):
        parser = _parse(path)
        for name in (section, profile):
            if parser.has_section(name):
                pairs = sorted(parser.items(name))
                found.append([pair for pair in pairs if pair[0] not in _SECRETS])
                break
    return found


def _settings_files(env: Mapping[str, str]) -> tuple[Path, Path]:
    home = Path(env.get("HOME", "~")).expanduser()
    return (
        Path(env.get("AWS_CONFIG_FILE") or home / ".aws/config").expanduser(),
        Path(env.get("AWS_SHARED_CREDENTIALS_FILE") or home / ".aws/credentials").expanduser(),
    )


def _parse(path: Path) -> configparser.RawConfigParser:
    """Return the settings of a file; none if it is unreadable, which the SDK reports later."""
    parser = configparser.RawConfigParser()
    with contextlib.suppress(configparser.Error, OSError, UnicodeError):
        parser.read(path, encoding="utf-8")
    return parser


async def read_cloudwatch(
    choice: AwsChoice, read: Callable[[CloudWatch], Awaitable[_Result]]
) -> _Result:
    """Call ``read`` with a client of CloudWatch Logs, and close the client.

    Raises:
        ForwarderError: CloudWatch cannot be read; its exit code is the command's.
    """
    # botocore is slow to import, hence imported only here.
    from forwarder.cloudwatch.missing import explain_missing  # noqa: PLC0415
    from forwarder.cloudwatch.reader import CloudWatch  # noqa: PLC0415
    from forwarder.errors import GroupNotFoundError  # noqa: PLC0415

    async with CloudWatch(_options(choice)) as cloudwatch:
        watching = asyncio.create_task(_report_silence(cloudwatch))
        try:
            return await read(cloudwatch)
        except GroupNotFoundError as error:
            raise await explain_missing(cloudwatch, error) from error
        finally:
            watching.cancel()


def _options(choice: AwsChoice) -> AwsOptions:
    from forwarder.config import AwsOptions  # noqa: PLC0415 - not for every command

    return AwsOptions(
        profile=choice.profile, region=choice.region, endpoint_url=choice.endpoint_url
    )


async def _report_silence(cloudwatch: CloudWatch) -> None:
    """Print once that CloudWatch does not answer, while the call has not timed out yet."""
    from forwarder.cloudwatch.clock import timer_ms  # noqa: PLC0415 - with the reader

    while True:
        await asyncio.sleep(_SILENCE_LOOK_S)
        if silence := cloudwatch.silence(timer_ms()):
            say(f"{silence} (still trying)")
            return


async def read_each(
    choices: Sequence[AwsChoice], read: Callable[[CloudWatch, AwsChoice], Awaitable[_Result]]
) -> list[_Result]:
    """Call ``read`` with a client of each account and Region at the same time.

    Raises:
        ForwarderError: one of them cannot be read.
    """

    async def read_one(choice: AwsChoice) -> _Result:
        async def read_it(cloudwatch: CloudWatch) -> _Result:
            return await read(cloudwatch, choice)

        return await read_cloudwatch(choice, read_it)

    was_enabled = gc.isenabled()
    # Importing botocore leaves nothing to collect, and looking for it takes a sixth of the time.
    gc.disable()
    try:
        return list(await asyncio.gather(*(read_one(choice) for choice in choices)))
    finally:
        if was_enabled:
            gc.enable()
