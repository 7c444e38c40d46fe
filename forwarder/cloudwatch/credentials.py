"""Sessions of the AWS SDK that share the AWS CLI's cache of assumed roles and ask for MFA codes.

The CLI keeps the credentials of roles in ``~/.aws/cli/cache``. With the same files, a role that
``aws`` has assumed needs no new MFA code here, and the other way round.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import botocore.session
from botocore.config import Config as BotoConfig
from botocore.credentials import create_credential_resolver
from botocore.exceptions import ClientError, ParamValidationError
from botocore.utils import JSONFileCache, parse_timestamp

from common.files import open_regular, read_regular
from forwarder.cloudwatch.profiles import code_command, needs_code
from forwarder.cloudwatch.rate_limit import SLOTS_MAX
from forwarder.config import AwsOptions
from forwarder.errors import CredentialsError, CredentialsExpiredError

AskCode = Callable[[str], str]
"""Shows a prompt and returns the MFA code that the user enters."""

_ENTRY_KEYS: Final = ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")
_ROLE_METHOD: Final = "assume-role"

CONNECT_TIMEOUT_S: Final = 5
READ_TIMEOUT_S: Final = 15
"""A page takes a second or two; after this long the connection counts as dead."""

BOTO_CONFIG: Final = BotoConfig(
    connect_timeout=CONNECT_TIMEOUT_S,
    read_timeout=READ_TIMEOUT_S,
    max_pool_connections=SLOTS_MAX,
    retries={"mode": "standard", "total_max_attempts": 1},
    tcp_keepalive=True,
    user_agent_extra="gapless",
)
"""Settings of every client: one attempt, short timeouts."""

# It logs each failed refresh with a traceback; the error itself is reported anyway.
logging.getLogger("botocore.credentials").setLevel(logging.CRITICAL)


class CliCache(JSONFileCache):
    """The AWS CLI's cache of credentials: a JSON file for each role, readable by the user alone."""

    def __init__(self) -> None:
        """Use ``~/.aws/cli/cache``, which the first written entry creates."""
        self._folder = Path("~/.aws/cli/cache").expanduser()
        super().__init__(str(self._folder))

    def __contains__(self, key: str) -> bool:
        """Whether there is a usable entry: a damaged file counts as none, and is replaced."""
        try:
            entry = self[key]["Credentials"]
            if not all(isinstance(entry[name], str) for name in _ENTRY_KEYS):
                return False
            # botocore compares it with an aware time.
            return parse_timestamp(entry["Expiration"]).tzinfo is not None
        except (KeyError, TypeError, ValueError, OverflowError):
            return False

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401 - JSON
        """Return an entry.

        Raises:
            KeyError: there is none that can be read.
        """
        try:
            return json.loads(read_regular(self._path(key)))
        except (OSError, ValueError) as error:
            raise KeyError(key) from error

    def __setitem__(self, key: str, value: object) -> None:
        """Keep an entry; where that is impossible, the role is assumed again at the next start."""
        try:
            if self._path(key).exists():
                # botocore would wait for the reader of a named pipe.
                os.close(open_regular(self._path(key), os.O_RDWR))
            super().__setitem__(key, value)
        except OSError as error:
            text = "cannot keep the role's credentials in ~/.aws/cli/cache (%s): check its mode"
            logging.getLogger("gapless.forwarder").warning(text, error.strerror)

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.json"


def open_session(
    aws: AwsOptions, region: str | None = None, ask_code: AskCode | None = None
) -> Any:  # noqa: ANN401 - botocore is untyped
    """Open a botocore session; makes no call.

    Args:
        aws: profile and Region.
        region: overrides the Region of ``aws``.
        ask_code: asks for an MFA code; None: a needed code is a ``CredentialsExpiredError``,
            since a background process must not read the terminal.
    """
    session = botocore.session.get_session()
    # As the AWS CLI; botocore itself reads AWS_DEFAULT_REGION alone.
    region = region or aws.region or os.environ.get("AWS_REGION")
    for name, value in (("profile", aws.profile), ("region", region)):
        if value:
            session.set_config_variable(name, value)
    session.set_default_client_config(BOTO_CONFIG)
    profile = session.get_config_variable("profile") or ""
    region = session.get_config_variable("region")
    cache: Any = CliCache()  # the stubs know dictionaries alone
    resolver = create_credential_resolver(session, cache=cache, region_name=region)

    def refuse(prompt: str) -> str:
        serial = prompt.removeprefix("Enter MFA code for ").removesuffix(": ")
        hint = f"run `{code_command(profile)}` on a terminal"
        msg = f"AWS credentials expired, and an MFA code for {serial} is needed: {hint}"
        raise CredentialsExpiredError(msg)

    # botocore's own prompter reads the terminal, in background processes too.
    provider: Any = resolver.get_provider("assume-role")
    provider._prompter = ask_code or refuse  # noqa: SLF001 - only a constructor takes it
    session.register_component("credential_provider", resolver)
    return session


def find_credentials(session: Any) -> Any:  # noqa: ANN401 - botocore is untyped
    """Find a session's credentials, those of an MFA role valid to their very end; None if none.

    botocore refreshes credentials 15 minutes before they expire, which fails without a code.
    """
    credentials = session.get_credentials()
    profiles = session.full_config.get("profiles", {})
    profile = session.get_config_variable("profile") or "default"
    method = getattr(credentials, "method", "")
    if method == _ROLE_METHOD and needs_code(profile, lambda name: profiles.get(name, {})):
        credentials._advisory_refresh_timeout = 0  # noqa: SLF001 - no argument sets it
        credentials._mandatory_refresh_timeout = 0  # noqa: SLF001
    return credentials


def assume_role(aws: AwsOptions, ask_code: AskCode | None) -> None:
    """Assume the profile's role, with an MFA code if no valid credentials are cached.

    Raises:
        CredentialsError: the code is refused, or there is no way to ask for one.
        Exception: botocore's, for ``client.translate``.
    """
    credentials = open_session(aws, ask_code=ask_code).get_credentials()
    try:
        if credentials is not None:
            credentials.get_frozen_credentials()
    except ParamValidationError as error:
        msg = "that is no MFA code: enter the six digits that the device shows"
        raise CredentialsError(msg) from error
    except ClientError as error:
        text = " ".join(str(error.response.get("Error", {}).get("Message", "")).split())
        if error.operation_name != "AssumeRole" or "MultiFactorAuthentication" not in text:
            raise
        hint = "wait for the device's next code, then try again"
        msg = f"AWS rejects the MFA code: {hint} ({text})"
        raise CredentialsError(msg) from error
