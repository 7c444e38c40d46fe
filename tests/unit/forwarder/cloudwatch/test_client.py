"""Translation of botocore's errors into one line that says what to do."""

from __future__ import annotations

import pytest
from botocore import exceptions as boto
from urllib3.exceptions import NameResolutionError

from forwarder.cloudwatch.client import sibling_endpoint, translate, translate_setup
from forwarder.errors import (
    AwsSettingsError,
    CloudWatchError,
    CredentialsError,
    CredentialsExpiredError,
    EndpointNotFoundError,
    GroupNotFoundError,
    PageTokenError,
    RequestRejectedError,
    TruncatedResponseError,
    UnreachableError,
)

WHERE = "https://logs.eu-west-1.amazonaws.com"
UNKNOWN_NAME = NameResolutionError("host", None, OSError("who?"))  # type: ignore[arg-type] # no connection needed


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (boto.NoCredentialsError(), CredentialsError),
        (boto.PartialCredentialsError(provider="env", cred_var="x"), CredentialsError),
        (boto.CredentialRetrievalError(provider="sso", error_msg="x"), CredentialsError),
        (boto.SSOTokenLoadError(error_msg="expired"), CredentialsExpiredError),
        (boto.UnauthorizedSSOTokenError(), CredentialsExpiredError),
        (
            boto.EndpointConnectionError(endpoint_url=WHERE, error=UNKNOWN_NAME),
            EndpointNotFoundError,
        ),
        (boto.EndpointConnectionError(endpoint_url=WHERE, error=OSError()), UnreachableError),
        (boto.ReadTimeoutError(endpoint_url=WHERE), UnreachableError),
        (boto.ConnectTimeoutError(endpoint_url=WHERE), UnreachableError),
        (boto.ConnectionClosedError(endpoint_url=WHERE), UnreachableError),
        (boto.SSLError(endpoint_url=WHERE, error=OSError("certificate")), UnreachableError),
        (boto.ProxyConnectionError(proxy_url="http://proxy"), UnreachableError),
        (boto.ResponseStreamingError(error="cut"), UnreachableError),
        (TimeoutError("timed out"), UnreachableError),
        (boto.NoRegionError(), AwsSettingsError),
        (boto.ParamValidationError(report="startTime\nis wrong"), RequestRejectedError),
        (AttributeError("'list' object has no attribute 'get'"), TruncatedResponseError),
        (UnreachableError("ours already"), UnreachableError),
    ],
)
def test_calls(error: Exception, ours: type[CloudWatchError]) -> None:
    told = translate(error, where=WHERE, group="g")
    assert type(told) is ours
    assert "\n" not in str(told)
    assert str(told)


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (boto.ProfileNotFound(profile="p"), AwsSettingsError),
        (boto.NoRegionError(), AwsSettingsError),
        (ValueError("Invalid endpoint: x"), AwsSettingsError),
        (boto.NoCredentialsError(), CredentialsError),
    ],
)
def test_setup(error: Exception, ours: type[CloudWatchError]) -> None:
    assert type(translate_setup(error)) is ours


def refused(code: str, status: int = 400) -> boto.ClientError:
    return boto.ClientError(
        {
            "Error": {"Code": code, "Message": "two\nlines"},
            "ResponseMetadata": {
                "HTTPStatusCode": status,
                "RequestId": "1",
                "HostId": "",
                "HTTPHeaders": {},
                "RetryAttempts": 0,
            },
        },
        "FilterLogEvents",
    )


def test_only_a_call_with_a_token_can_have_its_token_refused() -> None:
    error = refused("InvalidParameterException")
    assert type(translate(error, where=WHERE, with_token=True)) is PageTokenError
    assert type(translate(error, where=WHERE)) is RequestRejectedError


@pytest.mark.parametrize(
    ("message", "detail"),
    [("", "InternalFailure"), ("InternalFailure", "InternalFailure"), ("x", "InternalFailure: x")],
)
def test_an_internal_failure_says_what_it_means(message: str, detail: str) -> None:
    error = refused("InternalFailure", 500)
    error.response["Error"]["Message"] = message
    start = f"CloudWatch Logs has an internal failure ({detail}): this usually passes by itself"
    assert str(translate(error, where=WHERE)).startswith(start)


def test_a_missing_log_group_is_named_if_known() -> None:
    error = refused("ResourceNotFoundException")
    assert "'/my/group'" in str(translate(error, where=WHERE, group="/my/group"))
    assert str(translate(error, where=WHERE)) == "two lines"
    assert type(translate(error, where=WHERE)) is GroupNotFoundError


def test_a_missing_region_is_reported_with_every_way_to_set_it() -> None:
    for told in (translate_setup(boto.NoRegionError()), translate(boto.NoRegionError(), where="x")):
        for way in ("--region", "AWS_REGION", "AWS_DEFAULT_REGION", "~/.aws/config"):
            assert way in str(told)


def test_usage_errors_end_with_2_the_rest_with_3() -> None:
    assert translate_setup(boto.NoRegionError()).exit_code == 2
    assert translate(boto.NoCredentialsError(), where=WHERE).exit_code == 3


@pytest.mark.parametrize(
    ("endpoint", "env", "where"),
    [
        (None, {}, None),
        ("http://127.0.0.1:5000", {}, "http://127.0.0.1:5000"),
        ("http://127.0.0.1:5000", {"AWS_ENDPOINT_URL_ECS"}, None),
        ("http://127.0.0.1:5000", {"AWS_ENDPOINT_URL_KINESIS"}, "http://127.0.0.1:5000"),
        ("https://logs.eu-west-1.amazonaws.com", {}, None),
        ("https://vpce-1.logs.eu-west-1.vpce.amazonaws.com", {}, None),
    ],
)
def test_the_endpoint_of_another_service(
    endpoint: str | None, env: set[str], where: str | None
) -> None:
    assert sibling_endpoint("ecs", endpoint, env) == where
