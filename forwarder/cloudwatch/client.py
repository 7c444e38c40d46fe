"""The AWS SDK as the forwarder uses it: clients, calls in threads, and errors that say what to do.

Every call is made once, with short timeouts: the SDK's own retries would not count towards the
rate limit, and would multiply the forwarder's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Hashable
from functools import partial
from typing import Any, Final, Generic, Protocol, TypeVar
from urllib.parse import urlsplit

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
    RefreshWithMFAUnsupportedError,
    SSOError,
    TokenRetrievalError,
    UnknownEndpointError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError
from urllib3.exceptions import NameResolutionError

from common.concurrency import in_thread
from forwarder.cloudwatch.credentials import AskCode, assume_role, find_credentials, open_session
from forwarder.cloudwatch.fair_queue import Priority
from forwarder.cloudwatch.rate_limit import CallQueue, Turn
from forwarder.cloudwatch.remedies import AwsPlace, find_place
from forwarder.cloudwatch.sdk_data import LeanFiles
from forwarder.config import AwsOptions
from forwarder.errors import (
    AccessDeniedError,
    AwsSettingsError,
    ClockWrongError,
    CloudWatchError,
    CredentialsError,
    CredentialsExpiredError,
    EndpointNotFoundError,
    FilterPatternError,
    GroupNotFoundError,
    PageTokenError,
    RequestRejectedError,
    ThrottledError,
    TruncatedResponseError,
    UnreachableError,
)

CHECK_WITHIN_S: Final = 5.0
"""How long a start waits for Kinesis or ECS. botocore would try each address of the endpoint for
five seconds, and wait for a reply for fifteen, before viewers could connect."""

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
_EXPIRED: Final = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
_CLOCK_WRONG: Final = frozenset({"RequestInTheFuture", "RequestTimeTooSkewed"})
_CLOCK_WRONG_TEXTS: Final = ("signature expired", "signature not yet current")
"""Starts of the text with which AWS rejects a signature's time, under several codes."""
_CREDENTIALS_REFUSED: Final = frozenset(
    {
        "AuthFailure",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_LOGGED_OUT: Final = (
    NoAuthTokenError,
    TokenRetrievalError,
    SSOError,
    LoginError,
    RefreshWithMFAUnsupportedError,
)
_NO_CREDENTIALS: Final = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    *_LOGGED_OUT,
)
_BAD_SETTINGS: Final = (
    ProfileNotFound,
    NoRegionError,
    InvalidRegionError,
    UnknownEndpointError,
    EndpointProviderError,
)
_NO_REGION: Final = (
    "no AWS Region is set: give --region, set AWS_REGION or AWS_DEFAULT_REGION, or write "
    "'region = …' for the profile in ~/.aws/config"
)
_HTTP_TOO_MANY: Final = 429
_HTTP_SERVER_ERROR: Final = 500
_TEXT_MAX: Final = 300


def translate_setup(error: Exception, place: AwsPlace | None = None) -> CloudWatchError:
    """The forwarder's error for an exception raised while a session or client is created.

    ``place`` says where the calls would go; by default, what the environment says.
    """
    if isinstance(error, CloudWatchError):
        return error
    text = _one_line(error)
    if isinstance(error, _NO_CREDENTIALS):
        place = place or find_place(AwsOptions())
        if isinstance(error, _LOGGED_OUT):
            return CredentialsExpiredError(f"AWS credentials expired: {place.renewal} ({text})")
        return CredentialsError(f"no AWS credentials ({text}): {place.renewal}")
    if isinstance(error, NoRegionError):
        return AwsSettingsError(_NO_REGION)
    return AwsSettingsError(f"{text}: check --profile, --region and --endpoint-url")


def translate(
    error: Exception,
    *,
    where: str,
    group: str | None = None,
    pattern: str = "",
    with_token: bool = False,
    service: str = "CloudWatch Logs",
    place: AwsPlace | None = None,
) -> CloudWatchError:
    """The forwarder's error for an exception raised by a call.

    Args:
        error: from botocore, or from a layer below it.
        where: the endpoint URL, or the Region.
        group: the log group that the call named.
        pattern: the filter pattern that the call carried, which AWS may have refused.
        with_token: whether the call carried a ``nextToken``, which AWS may have refused.
        service: the service that was called.
        place: where the call went, for the text; by default, what the environment says.
    """
    if isinstance(error, CloudWatchError):
        return error
    if isinstance(error, ClientError):
        place = place or find_place(AwsOptions())
        refused = _refused_pattern(error, pattern) if pattern and not with_token else None
        return refused or _translate_response(error, group, service, place, with_token=with_token)
    text = _one_line(error)
    if isinstance(error, (BotoConnectionError, HTTPClientError, OSError)):
        return _translate_connection(error, where, text, service)
    if isinstance(error, (*_NO_CREDENTIALS, *_BAD_SETTINGS)):
        return translate_setup(error, place)
    if isinstance(error, BotoCoreError):
        return RequestRejectedError(f"the call of {service} failed: {text}")
    # The rest comes from botocore's parser on a reply that AWS does not send, for example the page
    # of a middlebox: it raises whatever the shape of that reply leads to.
    return TruncatedResponseError(f"{where} sent a reply that can't be read: {text}")


def _translate_connection(
    error: Exception, where: str, text: str, service: str
) -> UnreachableError:
    if isinstance(error, EndpointConnectionError):
        cause = error.kwargs.get("error")
        if isinstance(cause, NameResolutionError):
            hint = "check --region, --endpoint-url and the network"
            return EndpointNotFoundError(f"the name of {where} can't be resolved: {hint}")
    hint = "check the network and --endpoint-url"
    return UnreachableError(f"can't reach {service} at {where}: {hint} ({text})")


def _refused_pattern(error: ClientError, pattern: str) -> FilterPatternError | None:
    details = error.response.get("Error", {})
    if details.get("Code") != "InvalidParameterException":
        return None
    text = " ".join(str(details.get("Message", "")).split())[:_TEXT_MAX].rstrip(". ")
    hint = """quote terms that have other characters than letters, digits and _ ('"a-b"')"""
    return FilterPatternError(f"AWS refuses --filter-pattern {pattern[:100]!r}: {hint} ({text})")


def _translate_response(
    error: ClientError, group: str | None, service: str, place: AwsPlace, *, with_token: bool
) -> CloudWatchError:
    details = error.response.get("Error", {})
    code = str(details.get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    text = " ".join(str(details.get("Message", "")).split())[:_TEXT_MAX] or code
    known: CloudWatchError | None = None
    if code in _THROTTLED or status == _HTTP_TOO_MANY:
        hint = "the account's quota in the Region is used up; calls continue more slowly"
        known = ThrottledError(f"{service} throttles calls in {place.text}: {hint}")
    elif code == "ResourceNotFoundException":
        hint = "check --region and --profile; `gapless groups` lists the log groups"
        missing = f"there is no log group {group!r} in {place.text}: {hint}"
        known = GroupNotFoundError(missing if group else text, group=group or "")
    elif code in _DENIED:
        hint = f"allow it in {place.text}, or give another --profile"
        known = AccessDeniedError(f"AWS denies access: {text}; {hint}")
    elif code in _CLOCK_WRONG or text.lower().startswith(_CLOCK_WRONG_TEXTS):
        hint = "set it, for example with `timedatectl set-ntp true`"
        known = ClockWrongError(f"this machine's clock is wrong: {hint} ({text})")
    elif code in _EXPIRED:
        known = CredentialsExpiredError(f"AWS credentials expired: {place.renewal} ({text})")
    elif code in _CREDENTIALS_REFUSED:
        known = CredentialsError(f"AWS rejects the credentials: {place.renewal} ({text})")
    elif code == "InvalidParameterException" and with_token:
        known = PageTokenError(f"{service} refused a page token: {text}")
    elif status >= _HTTP_SERVER_ERROR:
        detail = f"{code or status}: {text}" if text not in ("", code) else code or status
        hint = "this usually passes by itself; https://health.aws.amazon.com lists outages"
        known = UnreachableError(f"{service} has an internal failure ({detail}): {hint}")
    return known or RequestRejectedError(f"{service} rejects the call ({code or status}): {text}")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:_TEXT_MAX].rstrip(". ") or type(error).__name__


class Closable(Protocol):
    """Any client of the SDK."""

    def close(self) -> None:
        """Close the connections."""


_Client = TypeVar("_Client", bound=Closable)
_T = TypeVar("_T")


class AwsClient(Generic[_Client]):
    """One service's SDK client, with calls in threads, paced by ``CallQueue``s if desired.

    The client is created at the first call, and created again after AWS rejected its credentials:
    a session keeps the credentials that it found until they expire, and does not notice that
    somebody logged in again.
    """

    def __init__(self, make: Callable[[], _Client]) -> None:
        """Create nothing yet; ``make`` creates the client, blocks, and may raise an error."""
        self._make = make
        self._client: _Client | None = None
        self._making = asyncio.Lock()

    async def open(self) -> _Client:
        """Create the client unless it exists.

        Raises:
            CloudWatchError: the client can't be created.
        """
        async with self._making:
            if self._client is None:
                self._client = await in_thread(self._make)
            return self._client

    async def call(
        self,
        function: Callable[[_Client], _T],
        *,
        translate: Callable[[Exception, _Client], Exception],
        queue: CallQueue | None = None,
        priority: Priority = Priority.SCAN,
        lane: Hashable = None,
        turn: Turn | None = None,
    ) -> _T:
        """Make one attempt at a call, in a thread.

        Args:
            function: calls the SDK, and reads the fields that it needs from the reply: of a reply
                that was cut short, botocore makes one without fields and without an error.
            translate: the forwarder's error for an exception of the call.
            queue: paces the call; None: it starts at once.
            priority: the call's purpose, for its queue.
            lane: whose call it is, for its queue.
            turn: a turn of that queue, instead of waiting for one.

        Raises:
            CloudWatchError: the client can't be created.
            Exception: the call failed; the result of ``translate``.
        """
        client = await self.open()
        try:
            call = partial(function, client)
            if queue is None:
                return await in_thread(call)
            return await queue.call(call, priority, lane, turn)
        except Exception as error:  # botocore raises whatever a malformed reply leads to
            ours = translate(error, client)
            if isinstance(ours, ThrottledError) and queue is not None:
                queue.record_throttling()
            if isinstance(ours, CredentialsError) and self._client is client:
                # Not closed: other calls of it may be running.
                self._client = None
            raise ours from error

    def close(self) -> None:
        """Close the connections; the next call creates a client again."""
        client, self._client = self._client, None
        if client is not None:
            client.close()


async def check_in_time(call: Awaitable[_T], where: str) -> _T:
    """Await the call that checks a service at the start, which the forwarder can do without.

    Raises:
        UnreachableError: there is no answer in time; ``where`` names the service.
        Exception: that of the call.
    """
    try:
        async with asyncio.timeout(CHECK_WITHIN_S):
            return await call
    except TimeoutError:
        hint = "check the network, the proxy and --endpoint-url"
        msg = f"{where} did not answer within {CHECK_WITHIN_S:g} s: {hint}"
        raise UnreachableError(msg) from None


def make_client(
    service: str,
    aws: AwsOptions,
    *,
    endpoint_url: str | None,
    region: str | None = None,
    parser_factory: object = None,
) -> Any:  # noqa: ANN401 - the SDK makes the class of each service's client as it is asked for
    """Create a client; blocks, since it reads files and may ask the instance metadata service.

    Args:
        service: name of the service in the SDK.
        aws: profile and Region.
        endpoint_url: the service's endpoint; None: the SDK chooses it.
        region: overrides the Region of ``aws``.
        parser_factory: replaces the SDK's own.

    Raises:
        AwsSettingsError: the profile, the Region or the endpoint is invalid.
        CredentialsError: no credentials are found.
    """
    try:
        base = open_session(aws, region)
        base.get_component("data_loader").file_loader = LeanFiles()
        if parser_factory is not None:
            base.register_component("response_parser_factory", parser_factory)
        client = base.create_client(service, endpoint_url=endpoint_url)
        credentials = find_credentials(base)
    except Exception as error:  # the SDK's own, and whatever its files and plug-ins raise
        raise translate_setup(error, find_place(aws, region or "")) from error
    if credentials is None:
        raise translate_setup(NoCredentialsError(), find_place(aws, region or ""))
    return client


def renew_role(aws: AwsOptions, ask_code: AskCode | None) -> None:
    """Assume the profile's role unless its cached credentials are valid; blocks.

    Raises:
        CloudWatchError: the role can't be assumed, or needs a code and ``ask_code`` is None.
    """
    try:
        assume_role(aws, ask_code)
    except Exception as error:  # the SDK's own, and whatever its files and plug-ins raise
        place = find_place(aws)
        raise translate(error, where=place.region, service="AWS STS", place=place) from error


def sibling_endpoint(service: str, endpoint_url: str | None, env: Collection[str]) -> str | None:
    """The endpoint of ``service``, given that of CloudWatch Logs; None: the SDK chooses it.

    An endpoint in place of AWS serves all services, an endpoint of AWS only its own. The
    environment variable ``AWS_ENDPOINT_URL_<SERVICE>`` has precedence.
    """
    if endpoint_url is None or f"AWS_ENDPOINT_URL_{service.upper()}" in env:
        return None
    host = urlsplit(endpoint_url).hostname or ""
    is_aws = host.endswith((".amazonaws.com", ".amazonaws.com.cn", ".api.aws"))
    return None if is_aws else endpoint_url
