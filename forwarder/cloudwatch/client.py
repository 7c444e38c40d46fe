"""Clients of the SDK: made when first needed, and again once AWS refuses their credentials.

Each has a session of its own, which looks through the whole chain of credentials as it is made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, Protocol, TypeVar

import boto3
import botocore.session
from botocore.config import Config as BotoConfig
from botocore.exceptions import NoCredentialsError

from forwarder.cloudwatch.botocore_errors import translate_setup
from forwarder.cloudwatch.rate_limit import SLOTS_MAX
from forwarder.config import AwsOptions
from forwarder.errors import NoCredentials

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
        if isinstance(error, NoCredentials) and self._client is client:
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
        BadAwsSettings: no such profile, no Region, an impossible endpoint.
        NoCredentials: none are found.

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
