"""What a message about a refused call names: Region, account, profile and the helping command."""

from __future__ import annotations

from pathlib import Path

import pytest
from botocore import exceptions as boto

from forwarder.cloudwatch.client import translate, translate_setup
from forwarder.cloudwatch.remedies import AwsPlace, find_place
from forwarder.config import AwsOptions
from forwarder.errors import CredentialsExpiredError

CONFIG = """
[profile dev]
region = eu-west-1
sso_session = company
sso_account_id = 123456789012
sso_role_name = Reader
[profile base]
login_session = arn:aws:iam::123456789012:user/ada
[profile ops]
role_arn = arn:aws:iam::210987654321:role/Ops
source_profile = dev
[profile keys]
aws_access_key_id = AKIA
aws_secret_access_key = secret
[sso-session company]
sso_region = eu-west-1
sso_start_url = https://company.awsapps.com/start
"""


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config"
    path.write_text(CONFIG)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("profile", "text", "renewal"),
    [
        (
            "dev",
            "eu-west-1 (account 123456789012, profile dev)",
            "run `aws sso login --profile dev`",
        ),
        ("base", "the configured Region (profile base)", "run `aws login --profile base`"),
        (
            "ops",
            "the configured Region (account 210987654321, profile ops)",
            "run `aws sso login --profile dev`",
        ),
        (
            "keys",
            "the configured Region (profile keys)",
            "renew the credentials of profile keys, or give another --profile",
        ),
    ],
)
def test_the_profile_decides_what_helps(profile: str, text: str, renewal: str) -> None:
    place = find_place(AwsOptions(profile=profile), env={})
    assert (place.text, place.renewal) == (text, renewal)


def test_credentials_in_variables_belong_to_no_profile() -> None:
    env = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_PROFILE": "dev"}
    place = find_place(AwsOptions(), "us-east-1", env)
    assert place == AwsPlace("us-east-1")
    assert "AWS_ACCESS_KEY_ID" in place.renewal


def test_unreadable_settings_name_what_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").write_text("[no")
    assert find_place(AwsOptions(profile="dev"), "r", {}).text == "r (profile dev)"
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    assert find_place(AwsOptions(profile="dev"), "r", {}).text == "r (profile dev)"


def refused(code: str, message: str) -> boto.ClientError:
    return boto.ClientError({"Error": {"Code": code, "Message": message}}, "FilterLogEvents")


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (
            refused("ExpiredTokenException", "The security token included is expired"),
            "credentials_expired",
            "AWS credentials expired: run `aws sso login --profile dev`",
        ),
        (
            boto.UnauthorizedSSOTokenError(),
            "credentials_expired",
            "AWS credentials expired: run `aws sso login --profile dev`",
        ),
        (refused("UnrecognizedClientException", "x"), "credentials_refused", "aws sso login"),
        (
            refused("AccessDeniedException", "User: arn:x is not authorized"),
            "access_denied",
            "AWS denies access: User: arn:x is not authorized; allow it in eu-west-1 (account 12",
        ),
        (
            refused("ResourceNotFoundException", "gone"),
            "group_missing",
            "there is no log group '/app' in eu-west-1 (account 123456789012, profile dev)",
        ),
        (
            refused("InvalidSignatureException", "Signature expired: 2026 is now earlier than"),
            "clock_wrong",
            "this machine's clock is wrong: set it",
        ),
        (refused("RequestTimeTooSkewed", "x"), "clock_wrong", "this machine's clock is wrong"),
        (refused("ThrottlingException", "Rate exceeded"), "throttled", "throttles calls in eu-w"),
        (boto.ReadTimeoutError(endpoint_url="https://x"), "unreachable", "check the network"),
    ],
)
def test_each_refusal_has_a_code_and_a_remedy(error: Exception, code: str, text: str) -> None:
    ours = translate(
        error,
        where="https://x",
        group="/app",
        place=find_place(AwsOptions(profile="dev"), "eu-west-1", {}),
    )
    assert ours.code == code
    assert text in str(ours)


def test_a_lost_login_at_the_start_names_the_command() -> None:
    place = find_place(AwsOptions(profile="dev"), env={})
    ours = translate_setup(boto.SSOTokenLoadError(error_msg="expired"), place)
    assert type(ours) is CredentialsExpiredError
    assert str(ours).startswith("AWS credentials expired: run `aws sso login --profile dev` (")
