"""What botocore raises, as the forwarder's own errors: one line that says what to do."""

from __future__ import annotations

from typing import Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    EndpointConnectionError,
    EndpointProviderError,
    HTTPClientError,
    InvalidRegionError,
    LoginError,
    NoAuthTokenError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
    UnknownEndpointError,
)
from botocore.exceptions import (
    ConnectionError as BotoConnectionError,
)
from urllib3.exceptions import NameResolutionError

from forwarder.errors import (
    AccessDenied,
    BadAwsSettings,
    CloudWatchError,
    GroupNotFound,
    NoCredentials,
    Refused,
    Throttled,
    TokenRefused,
    TruncatedResponse,
    UnknownEndpoint,
    Unreachable,
)

_THROTTLED: Final = frozenset(
    {
        "LimitExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
    }
)
_DENIED: Final = frozenset(
    {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "OptInRequired"}
)
_CREDENTIALS_REFUSED: Final = frozenset(
    {
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_NO_CREDENTIALS: Final = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    NoAuthTokenError,
    TokenRetrievalError,
    SSOError,
    LoginError,
)
_BAD_SETTINGS: Final = (
    ProfileNotFound,
    NoRegionError,
    InvalidRegionError,
    UnknownEndpointError,
    EndpointProviderError,
)
_HTTP_TOO_MANY: Final = 429
_HTTP_SERVER_ERROR: Final = 500
_TEXT_MAX: Final = 300

_HOW_CREDENTIALS: Final = "give --profile, set AWS_PROFILE, or log in again"


def translate_setup(error: Exception) -> CloudWatchError:
    """Our error for what the making of a session or client raised."""
    text = _one_line(error)
    if isinstance(error, _NO_CREDENTIALS):
        return NoCredentials(f"no AWS credentials ({text}): {_HOW_CREDENTIALS}")
    return BadAwsSettings(f"{text}: check --profile, --region and --endpoint-url")


def translate(
    error: Exception,
    *,
    where: str,
    group: str | None = None,
    with_token: bool = False,
    service: str = "CloudWatch Logs",
) -> CloudWatchError:
    """Our error for what a call raised.

    Args:
        error: of botocore, or of what lies below it.
        where: the endpoint URL, or the Region.
        group: the log group that was asked for.
        with_token: whether the call carried a ``nextToken`` that may be what was refused.
        service: who was asked.

    """
    if isinstance(error, CloudWatchError):
        return error
    if isinstance(error, ClientError):
        return _refusal(error, group, service, with_token=with_token)
    text = _one_line(error)
    if isinstance(error, (BotoConnectionError, HTTPClientError, OSError)):
        return _unreachable(error, where, text, service)
    if isinstance(error, (*_NO_CREDENTIALS, *_BAD_SETTINGS)):
        return translate_setup(error)
    if isinstance(error, BotoCoreError):
        return Refused(f"{service} could not be asked: {text}")
    # What is left is botocore's parser on a reply that no CloudWatch sends, a middlebox's page
    # for one: it then raises whatever the shape of the reply leads to.
    return TruncatedResponse(f"{where} sent a reply that can't be read: {text}")


def _unreachable(error: Exception, where: str, text: str, service: str) -> Unreachable:
    if isinstance(error, EndpointConnectionError):
        cause = error.kwargs.get("error")
        if isinstance(cause, NameResolutionError):
            how = "check --region and --endpoint-url"
            return UnknownEndpoint(f"{where} is not known to the name service: {how}")
    return Unreachable(f"can't reach {service} at {where}: {text}")


def _refusal(
    error: ClientError, group: str | None, service: str, *, with_token: bool
) -> CloudWatchError:
    details = error.response.get("Error", {})
    code = str(details.get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    said = " ".join(str(details.get("Message", "")).split())[:_TEXT_MAX] or code
    known: CloudWatchError | None = None
    if code in _THROTTLED or status == _HTTP_TOO_MANY:
        known = Throttled(f"{service} asks for fewer calls ({code or status})")
    elif code == "ResourceNotFoundException":
        how = "`gapless groups` lists what there is"
        known = GroupNotFound(f"there is no log group {group!r}: {how}" if group else said)
    elif code in _DENIED:
        known = AccessDenied(f"AWS denies access: {said}")
    elif code in _CREDENTIALS_REFUSED:
        how = f"({said}): {_HOW_CREDENTIALS}"
        known = NoCredentials(f"AWS does not accept the credentials {how}")
    elif code == "InvalidParameterException" and with_token:
        known = TokenRefused(f"{service} refused a page token: {said}")
    elif status >= _HTTP_SERVER_ERROR:
        known = Unreachable(f"{service} fails ({code or status}): {said}")
    return known or Refused(f"{service} refuses the request ({code or status}): {said}")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:_TEXT_MAX].rstrip(". ") or type(error).__name__
