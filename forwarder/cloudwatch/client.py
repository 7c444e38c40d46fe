"""Clients of the SDK: made when first needed, and again once AWS refuses their credentials.

Each has a session of its own, which looks through the whole chain of credentials as it is made.

What botocore raises, as the forwarder's own errors: one line that says what to do.

Where another service of AWS is, given where CloudWatch Logs is. Pure.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Final, Generic, Protocol, TypeVar
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.config import Config as BotoConfig
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

from forwarder.cloudwatch.rate_limit import SLOTS_MAX
from forwarder.config import AwsOptions
from forwarder.errors import (
    AccessDeniedError,
    AwsSettingsError,
    CloudWatchError,
    CredentialsError,
    EndpointNotFoundError,
    GroupNotFoundError,
    PageTokenError,
    RequestRejectedError,
    ThrottledError,
    TruncatedResponseError,
    UnreachableError,
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
        return CredentialsError(f"no AWS credentials ({text}): {_HOW_CREDENTIALS}")
    return AwsSettingsError(f"{text}: check --profile, --region and --endpoint-url")


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
        return RequestRejectedError(f"{service} could not be asked: {text}")
    # What is left is botocore's parser on a reply that no CloudWatch sends, a middlebox's page
    # for one: it then raises whatever the shape of the reply leads to.
    return TruncatedResponseError(f"{where} sent a reply that can't be read: {text}")


def _unreachable(error: Exception, where: str, text: str, service: str) -> UnreachableError:
    if isinstance(error, EndpointConnectionError):
        cause = error.kwargs.get("error")
        if isinstance(cause, NameResolutionError):
            how = "check --region and --endpoint-url"
            return EndpointNotFoundError(f"{where} is not known to the name service: {how}")
    return UnreachableError(f"can't reach {service} at {where}: {text}")


def _refusal(
    error: ClientError, group: str | None, service: str, *, with_token: bool
) -> CloudWatchError:
    details = error.response.get("Error", {})
    code = str(details.get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    said = " ".join(str(details.get("Message", "")).split())[:_TEXT_MAX] or code
    known: CloudWatchError | None = None
    if code in _THROTTLED or status == _HTTP_TOO_MANY:
        known = ThrottledError(f"{service} asks for fewer calls ({code or status})")
    elif code == "ResourceNotFoundException":
        how = "`gapless groups` lists what there is"
        known = GroupNotFoundError(f"there is no log group {group!r}: {how}" if group else said)
    elif code in _DENIED:
        known = AccessDeniedError(f"AWS denies access: {said}")
    elif code in _CREDENTIALS_REFUSED:
        how = f"({said}): {_HOW_CREDENTIALS}"
        known = CredentialsError(f"AWS does not accept the credentials {how}")
    elif code == "InvalidParameterException" and with_token:
        known = PageTokenError(f"{service} refused a page token: {said}")
    elif status >= _HTTP_SERVER_ERROR:
        known = UnreachableError(f"{service} fails ({code or status}): {said}")
    return known or RequestRejectedError(
        f"{service} refuses the request ({code or status}): {said}"
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:_TEXT_MAX].rstrip(". ") or type(error).__name__


CONNECT_TIMEOUT_S: Final = 5
READ_TIMEOUT_S: Final = 15
"""A page takes a second or two; beyond this the connection is taken for dead."""

BOTO_CONFIG: Final = BotoConfig(
    connect_timeout=CONNECT_TIMEOUT_S,
    read_timeout=READ_TIMEOUT_S,
    max_pool_connections=SLOTS_MAX,
    retries={"mode": "standard", "total_max_attempts": 1},
    tcp_keepalive=True,
    user_agent_extra="gapless",
)
"""Of every client: one attempt, short timeouts."""


class Closable(Protocol):
    """Any client of the SDK."""

    def close(self) -> None:
        """Close the connections."""
        ...


_Client = TypeVar("_Client", bound=Closable)


class AwsClient(Generic[_Client]):
    """One service's client."""

    def __init__(self, make: Callable[[], _Client]) -> None:
        """Nothing is made yet; ``make`` blocks, and may raise a ``CloudWatchError``."""
        self._make = make
        self._client: _Client | None = None
        self._making = asyncio.Lock()

    async def get(
        self, in_thread: Callable[[Callable[[], _Client]], Awaitable[_Client]]
    ) -> _Client:
        """The client, made by ``in_thread`` if need be.

        Raises:
            CloudWatchError: it can't be made.

        """
        async with self._making:
            if self._client is None:
                self._client = await in_thread(self._make)
            return self._client

    def failed(self, client: _Client, error: Exception) -> None:
        """A call of ``client`` failed; where its credentials are at fault, it is not used again.

        A session keeps the credentials that it has found until the time at which they said they
        expire; who logs in again, or writes other ones, is not noticed by it.
        """
        if isinstance(error, CredentialsError) and self._client is client:
            # Other calls of it may be under way: it is left to them, not closed.
            self._client = None

    def close(self) -> None:
        """Close the connections; the next ``get`` makes a client again."""
        client, self._client = self._client, None
        if client is not None:
            client.close()


def make_client(
    service: str,
    aws: AwsOptions,
    *,
    endpoint_url: str | None,
    region: str | None = None,
    parser_factory: object = None,
) -> Any:  # noqa: ANN401 - the SDK makes the class of each service's client as it is asked for
    """A client; blocks, since it reads files and may ask the instance's metadata for credentials.

    Args:
        service: as the SDK names it.
        aws: profile and Region.
        endpoint_url: where the service is; None: where the SDK finds it.
        region: goes before that of ``aws``.
        parser_factory: in place of the SDK's own.

    Raises:
        AwsSettingsError: no such profile, no Region, an impossible endpoint.
        CredentialsError: none are found.

    """
    try:
        base = botocore.session.get_session()
        if parser_factory is not None:
            base.register_component("response_parser_factory", parser_factory)
        session = boto3.Session(
            botocore_session=base, profile_name=aws.profile, region_name=region or aws.region
        )
        # The stubs know the names of services only where they are written out.
        client = session.client(
            service,  # type: ignore[call-overload]
            endpoint_url=endpoint_url,
            config=BOTO_CONFIG,
        )
        credentials = session.get_credentials()
    except Exception as error:  # the SDK's, and whatever its files and plug-ins raise
        raise translate_setup(error) from error
    if credentials is None:
        raise translate_setup(NoCredentialsError())
    return client


def sibling_endpoint(service: str, endpoint_url: str | None, env: Collection[str]) -> str | None:
    """Where ``service`` is, if CloudWatch Logs is at ``endpoint_url``; None: the SDK finds it.

    An endpoint that stands in for AWS has the other services as well, one of AWS itself is of a
    single one. What ``AWS_ENDPOINT_URL_SERVICE`` says goes before it.
    """
    if endpoint_url is None or f"AWS_ENDPOINT_URL_{service.upper()}" in env:
        return None
    host = urlsplit(endpoint_url).hostname or ""
    is_aws = host.endswith((".amazonaws.com", ".amazonaws.com.cn", ".api.aws"))
    return None if is_aws else endpoint_url
