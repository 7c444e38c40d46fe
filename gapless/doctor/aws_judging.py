"""Judges what AWS answered: credentials, Region, account, permissions, clock and quota. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from forwarder.cloudwatch.clock import REPORTED_MS
from forwarder.cloudwatch.rate_limit import DEFAULT_SHARE, filter_quota
from forwarder.cloudwatch.remedies import AwsPlace
from forwarder.errors import (
    AccessDeniedError,
    AwsSettingsError,
    ClockWrongError,
    CloudWatchError,
    CredentialsError,
    CredentialsExpiredError,
    EndpointNotFoundError,
    GroupNotFoundError,
    ThrottledError,
    TruncatedResponseError,
    UnreachableError,
)
from gapless.doctor.findings import Finding, State, divide

REQUIRED: Final = ("logs:DescribeLogGroups", "logs:DescribeLogStreams", "logs:FilterLogEvents")
"""Actions without which nothing can be read; the others serve the live path and executions."""

USES: Final = {
    "logs:DescribeSubscriptionFilters": "lines are polled, not pushed through Kinesis",
    "kinesis:ListShards": "lines are polled, not pushed through Kinesis",
    "kinesis:GetShardIterator": "lines are polled, not pushed through Kinesis",
    "kinesis:GetRecords": "lines are polled, not pushed through Kinesis",
    "ecs:DescribeTasks": "the end of a task is known by its silence alone",
    "ecs:DescribeTaskDefinition": "the end of a task of several containers is known by its silence",
}
"""What the other actions are for: how gapless works without them."""

REJECTED_SKEW_MS: Final = 300_000
"""Skew from which on AWS rejects signatures (Signature Version 4: five minutes)."""

SET_CLOCK: Final = "set it, for example with `timedatectl set-ntp true`"
_NOT_CHECKED: Final = "not checked, since AWS could not be asked"


class Call(msgspec.Struct, frozen=True):
    """One call that was tried.

    Attributes:
        action: Its IAM action.
        resource: What a policy must allow it for.
        error: Why it failed; None if AWS answered it.
    """

    action: str
    resource: str = "*"
    error: CloudWatchError | None = None


class AwsFacts(msgspec.Struct, frozen=True):
    """What the probe of AWS found out.

    Attributes:
        place: Region, account and profile.
        identity: ARN of the caller; empty if AWS STS did not tell.
        where: The endpoint URL; empty if the SDK chooses it.
        setup: Why no call could be made at all.
        identity_error: Why AWS STS did not tell.
        calls: The calls that were tried.
        group: The log group that they named.
        skew_ms: By how much this machine's clock is ahead, at least; None if unknown.
        limit: Calls per second that the user set; None: the default.
    """

    place: AwsPlace
    identity: str = ""
    where: str = ""
    setup: CloudWatchError | None = None
    identity_error: CloudWatchError | None = None
    calls: Sequence[Call] = ()
    group: str = ""
    skew_ms: int | None = None
    limit: float | None = None


def judge_aws(facts: AwsFacts) -> list[Finding]:
    """Return the findings, from the most basic on."""
    return [
        _credentials(facts),
        _region(facts),
        _account(facts),
        *_group(facts),
        *_permissions(facts),
        _clock(facts),
        _quota(facts),
    ]


def policy_line(action: str, resource: str) -> str:
    """Return the statement of an IAM policy that allows one action."""
    return json.dumps({"Effect": "Allow", "Action": action, "Resource": resource})


def _first(
    facts: AwsFacts, kinds: type[CloudWatchError] | tuple[type[CloudWatchError], ...]
) -> CloudWatchError | None:
    errors = [facts.setup, *(one.error for one in facts.calls), facts.identity_error]
    return next((one for one in errors if isinstance(one, kinds)), None)


def _has_answer(facts: AwsFacts) -> bool:
    """Whether AWS accepted the credentials of a call, allowed or not."""
    accepted = (AccessDeniedError, GroupNotFoundError, ThrottledError)
    return any(one.error is None or isinstance(one.error, accepted) for one in facts.calls)


def _failed(check: str, error: CloudWatchError) -> Finding:
    return Finding(check, "fail", *divide(str(error)))


def _credentials(facts: AwsFacts) -> Finding:
    check = "credentials"
    error = _first(facts, CredentialsError)
    if error is not None and not _has_answer(facts):
        found = _failed(check, error)
        if isinstance(error, CredentialsExpiredError) or error is facts.setup:
            return found
        hint = "a Region that the account has not enabled answers the same: check --region"
        return msgspec.structs.replace(found, remedy=f"{found.remedy}; {hint}")
    if _has_answer(facts):
        return Finding(check, "ok", facts.identity or "AWS accepts them")
    return Finding(check, "warn", _NOT_CHECKED)


def _region(facts: AwsFacts) -> Finding:
    check, place = "Region", facts.place
    error = _first(facts, AwsSettingsError)
    if error is None and not _has_answer(facts):
        error = _first(facts, (EndpointNotFoundError, UnreachableError, TruncatedResponseError))
    if error is not None:
        return _failed(check, error)
    if not place.region:
        return Finding(check, "warn", "not known", "give --region or set AWS_REGION")
    where = f" at {facts.where}" if facts.where else ""
    return Finding(check, "ok", f"{place.region}{where}")


def _account(facts: AwsFacts) -> Finding:
    place = facts.place
    profile = f" (profile {place.profile})" if place.profile else ""
    if place.account:
        return Finding("account", "ok", f"{place.account}{profile}")
    if facts.identity_error is None or not _has_answer(facts):
        return Finding("account", "warn", f"not known{profile}")
    what, _ = divide(str(facts.identity_error))
    remedy = "allow network access to AWS STS; without it messages lack the account's number"
    return Finding("account", "warn", f"not known{profile}; {what}", remedy)


def _group(facts: AwsFacts) -> Iterator[Finding]:
    """Yield whether the log group that the user named exists."""
    if not facts.group:
        return
    errors = [one.error for one in facts.calls]
    # The call that lists log groups names none.
    found = [one for one in errors if isinstance(one, GroupNotFoundError) and one.group]
    if found:
        yield _failed("log group", found[0])
    elif any(one.error is None and facts.group in one.resource for one in facts.calls):
        yield Finding("log group", "ok", facts.group)


def _permissions(facts: AwsFacts) -> Iterator[Finding]:
    if not _has_answer(facts):
        yield Finding("permissions", "warn", _NOT_CHECKED)
        return
    for call in facts.calls:
        yield _permission(call, facts)


def _permission(call: Call, facts: AwsFacts) -> Finding:
    if isinstance(call.error, AccessDeniedError):
        state: State = "fail" if call.action in REQUIRED else "warn"
        use = f"; {USES[call.action]}" if call.action in USES else ""
        line = policy_line(call.action, call.resource)
        remedy = f"add to the policy of {facts.identity or 'these credentials'} {line}"
        if "explicit deny" in str(call.error):
            remedy = f"remove the explicit deny of {call.action} (policy, boundary or SCP)"
        return Finding(call.action, state, f"AWS denies it{use}", remedy)
    if call.error is None or isinstance(call.error, GroupNotFoundError | ThrottledError):
        return Finding(call.action, "ok", "allowed")
    return Finding(call.action, "warn", "not checked", str(call.error))


def _clock(facts: AwsFacts) -> Finding:
    check = "clock"
    error = _first(facts, ClockWrongError)
    if error is not None:
        return _failed(check, error)
    if facts.skew_ms is None:
        return Finding(check, "warn", _NOT_CHECKED)
    seconds = abs(facts.skew_ms) / 1000
    if abs(facts.skew_ms) < REPORTED_MS:
        return Finding(check, "ok", f"agrees with CloudWatch's within {REPORTED_MS // 1000} s")
    side = "ahead of" if facts.skew_ms > 0 else "behind"
    state: State = "fail" if abs(facts.skew_ms) >= REJECTED_SKEW_MS else "warn"
    return Finding(check, state, f"{seconds:.0f} s {side} CloudWatch's", SET_CLOCK)


def _quota(facts: AwsFacts) -> Finding:
    quota = filter_quota(facts.place.region)
    limit = facts.limit or DEFAULT_SHARE * quota
    what = f"{quota:g} FilterLogEvents calls a second, of which a forwarder makes at most {limit:g}"
    if _first(facts, ThrottledError) is not None:
        remedy = "find out what else calls CloudWatch Logs, or give a lower --calls-per-second"
        return Finding("quota", "warn", f"AWS throttles calls; the quota is {what}", remedy)
    if limit > quota:
        return Finding("quota", "warn", what, f"give --calls-per-second {DEFAULT_SHARE * quota:g}")
    return Finding("quota", "ok", what)
