"""What the settings of profiles say about MFA and logging in."""

from __future__ import annotations

import pytest

from forwarder.cloudwatch.credentials import open_session
from forwarder.cloudwatch.profiles import code_command, login_command, needs_code
from forwarder.config import AwsOptions

MFA = "arn:aws:iam::123456789012:mfa/ada"
PROFILES = {
    "default": {"role_arn": "arn:1", "source_profile": "keys", "mfa_serial": MFA},
    "keys": {"aws_access_key_id": "AKIA"},
    "plain": {"role_arn": "arn:2", "source_profile": "keys"},
    "ops": {"role_arn": "arn:3", "source_profile": "plain", "mfa_serial": MFA},
    "chained": {"role_arn": "arn:4", "source_profile": "ops"},
    "serial": {"mfa_serial": MFA},
    "loop": {"role_arn": "arn:5", "source_profile": "loop", "mfa_serial": MFA},
    "sso": {"sso_session": "company"},
    "both": {"role_arn": "arn:6", "source_profile": "sso", "mfa_serial": MFA},
}


@pytest.mark.parametrize(
    ("profile", "needed", "command"),
    [
        ("", True, "gapless groups"),
        ("keys", False, ""),
        ("plain", False, ""),
        ("ops", True, "gapless groups --profile ops"),
        ("chained", True, "gapless groups --profile chained"),
        ("serial", False, ""),
        ("loop", True, "gapless groups --profile loop"),
        ("both", True, "aws sso login --profile sso"),
        ("missing", False, ""),
    ],
)
def test_the_chain_of_profiles_decides(profile: str, *, needed: bool, command: str) -> None:
    def settings(name: str) -> dict[str, str]:
        return PROFILES.get(name, {})

    assert needs_code(profile or "default", settings) is needed
    assert login_command(profile, settings) == command


def test_the_command_for_a_code_names_the_profile() -> None:
    assert code_command("ops") == "gapless groups --profile ops"
    assert code_command("") == "gapless groups"


@pytest.mark.parametrize(
    ("given", "region"),
    [(AwsOptions(region="eu-west-3"), "eu-west-3"), (AwsOptions(), "eu-west-1")],
)
def test_aws_region_counts_as_for_the_aws_cli(
    given: AwsOptions, region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-2")
    assert open_session(given).get_config_variable("region") == region
    monkeypatch.setenv("AWS_REGION", "")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert open_session(AwsOptions(region=region)).get_config_variable("region") == region
