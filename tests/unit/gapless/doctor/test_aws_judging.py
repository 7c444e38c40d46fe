from __future__ import annotations

import json

import pytest

from forwarder.cloudwatch.remedies import AwsPlace
from forwarder.errors import (
    AccessDeniedError,
    AwsSettingsError,
    CloudWatchError,
    CredentialsError,
    CredentialsExpiredError,
    RequestRejectedError,
    UnreachableError,
)
from gapless.doctor.aws_judging import (
    REQUIRED,
    USES,
    AwsFacts,
    Call,
    judge_aws,
    policy_line,
)
from gapless.doctor.findings import Finding

PLACE = AwsPlace("eu-west-1", "dev", "123456789012")
ACTIONS = (*REQUIRED, *USES)


def facts(*errors: CloudWatchError | None, **others: object) -> AwsFacts:
    """The calls of all actions; ``errors`` are those of the first ones."""
    padded = [*errors, *[None] * (len(ACTIONS) - len(errors))]
    calls = [Call(action, "*", error) for action, error in zip(ACTIONS, padded, strict=True)]
    given = {"place": PLACE, "identity": "arn:me", "calls": calls, "skew_ms": 0, **others}
    return AwsFacts(**given)  # type: ignore[arg-type]


def judged(given: AwsFacts) -> dict[str, Finding]:
    return {one.check: one for one in judge_aws(given)}


def test_where_every_call_is_answered_all_is_ok() -> None:
    found = judged(facts())
    assert {one.state for one in found.values()} == {"ok"}
    assert found["account"].what == "123456789012 (profile dev)"
    assert found["Region"].what == "eu-west-1"
    assert found["quota"].what.startswith("10 FilterLogEvents calls a second")


@pytest.mark.parametrize("action", ACTIONS)
def test_a_denied_call_fails_only_where_nothing_works_without_it(action: str) -> None:
    calls = [Call(one, "*", AccessDeniedError("no") if one == action else None) for one in ACTIONS]
    found = judged(facts(calls=calls))[action]
    assert found.state == ("fail" if action in REQUIRED else "warn")
    assert found.remedy == f"add to the policy of arn:me {policy_line(action, '*')}"
    assert json.loads(policy_line(action, "*"))["Action"] == action


def test_an_explicit_deny_is_not_solved_by_allowing() -> None:
    error = AccessDeniedError("AWS denies access: with an explicit deny in a policy")
    found = judged(facts(error))["logs:DescribeLogGroups"]
    assert (
        found.remedy
        == "remove the explicit deny of logs:DescribeLogGroups (policy, boundary or SCP)"
    )


@pytest.mark.parametrize(
    ("error", "check"),
    [
        (CredentialsExpiredError("expired: log in"), "credentials"),
        (AwsSettingsError("no such profile: check --profile"), "Region"),
    ],
)
def test_what_prevents_every_call_fails_alone(error: CloudWatchError, check: str) -> None:
    found = judged(AwsFacts(PLACE, setup=error))
    assert [one.check for one in found.values() if one.state == "fail"] == [check]
    assert found[check].remedy
    assert found["permissions"].state == "warn"
    assert found["clock"].state == "warn"


def test_refused_credentials_may_be_those_of_another_region() -> None:
    errors = [CredentialsError("rejected: renew them")] * len(ACTIONS)
    found = judged(facts(*errors))["credentials"]
    assert found.state == "fail"
    assert "check --region" in found.remedy


@pytest.mark.parametrize(
    ("skew_ms", "state", "what"),
    [
        (1_999, "ok", "agrees"),
        (2_000, "warn", "2 s ahead of"),
        (-2_000, "warn", "2 s behind"),
        (300_000, "fail", "300 s ahead of"),
        (None, "warn", "not checked"),
    ],
)
def test_the_clock(skew_ms: int | None, state: str, what: str) -> None:
    found = judged(facts(skew_ms=skew_ms))["clock"]
    assert found.state == state
    assert what in found.what
    if skew_ms and state != "ok":
        assert "timedatectl" in found.remedy


def test_a_limit_above_the_quota_is_named() -> None:
    assert judged(facts(limit=9))["quota"].state == "ok"
    found = judged(facts(limit=11))["quota"]
    assert (found.state, found.remedy) == ("warn", "give --calls-per-second 5")


def test_without_sts_the_account_alone_is_unknown() -> None:
    place = AwsPlace("eu-west-1")
    found = judged(facts(place=place, identity="", identity_error=UnreachableError("no way: x")))
    assert [one.check for one in found.values() if one.state != "ok"] == ["account"]
    assert "no way" in found["account"].what


def test_another_failure_of_a_call_is_quoted() -> None:
    found = judged(facts(None, None, RequestRejectedError("rejects the call (Odd): odd")))
    assert found["logs:FilterLogEvents"].state == "warn"
    assert "Odd" in found["logs:FilterLogEvents"].remedy


def test_an_unknown_region_is_asked_for() -> None:
    found = judged(facts(place=AwsPlace()))["Region"]
    assert (found.state, found.remedy) == ("warn", "give --region or set AWS_REGION")
