"""Each of botocore's errors becomes one of ours: one line that says what to do."""

from __future__ import annotations

import pytest
from botocore import exceptions as boto
from urllib3.exceptions import NameResolutionError

from forwarder.cloudwatch.client import sibling_endpoint, translate, translate_setup
from forwarder.errors import (
    BadAwsSettings,
    CloudWatchError,
    GroupNotFound,
    NoCredentials,
    Refused,
    TokenRefused,
    TruncatedResponse,
    UnknownEndpoint,
    Unreachable,
)

WHERE = "https://logs.eu-west-1.amazonaws.com"
UNKNOWN_NAME = NameResolutionError("host", None, OSError("who?"))  # type: ignore[arg-type] # no connection needed


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (boto.NoCredentialsError(), NoCredentials),
        (boto.PartialCredentialsError(provider="env", cred_var="x"), NoCredentials),
        (boto.CredentialRetrievalError(provider="sso", error_msg="x"), NoCredentials),
        (boto.SSOTokenLoadError(error_msg="expired"), NoCredentials),
        (boto.UnauthorizedSSOTokenError(), NoCredentials),
        (boto.EndpointConnectionError(endpoint_url=WHERE, error=UNKNOWN_NAME), UnknownEndpoint),
        (boto.EndpointConnectionError(endpoint_url=WHERE, error=OSError()), Unreachable),
        (boto.ReadTimeoutError(endpoint_url=WHERE), Unreachable),
        (boto.ConnectTimeoutError(endpoint_url=WHERE), Unreachable),
        (boto.ConnectionClosedError(endpoint_url=WHERE), Unreachable),
        (boto.SSLError(endpoint_url=WHERE, error=OSError("certificate")), Unreachable),
        (boto.ProxyConnectionError(proxy_url="http://proxy"), Unreachable),
        (boto.ResponseStreamingError(error="cut"), Unreachable),
        (TimeoutError("timed out"), Unreachable),
        (boto.NoRegionError(), BadAwsSettings),
        (boto.ParamValidationError(report="startTime\nis wrong"), Refused),
        (AttributeError("'list' object has no attribute 'get'"), TruncatedResponse),
        (Unreachable("ours already"), Unreachable),
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
        (boto.ProfileNotFound(profile="p"), BadAwsSettings),
        (boto.NoRegionError(), BadAwsSettings),
        (ValueError("Invalid endpoint: x"), BadAwsSettings),
        (boto.NoCredentialsError(), NoCredentials),
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
    assert type(translate(error, where=WHERE, with_token=True)) is TokenRefused
    assert type(translate(error, where=WHERE)) is Refused


def test_what_is_not_found_is_named_if_it_is_known() -> None:
    error = refused("ResourceNotFoundException")
    assert "'/my/group'" in str(translate(error, where=WHERE, group="/my/group"))
    assert str(translate(error, where=WHERE)) == "two lines"
    assert type(translate(error, where=WHERE)) is GroupNotFound


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
def test_where_another_service_is(endpoint: str | None, env: set[str], where: str | None) -> None:
    assert sibling_endpoint("ecs", endpoint, env) == where
