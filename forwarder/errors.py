"""The forwarder's errors: each is one line that tells a person what to do."""

from __future__ import annotations

from http import HTTPStatus
from typing import ClassVar


class RequestError(Exception):
    """A request is refused; the text says what is wrong."""

    def __init__(
        self,
        status: HTTPStatus,
        text: str,
        epoch: str | None = None,
        *,
        retry_after_s: int | None = None,
    ) -> None:
        """Refuse with a status.

        Args:
            status: of the answer.
            text: what is wrong, and what to do about it.
            epoch: the present one where a cursor is no good.
            retry_after_s: when to come back, where that helps.

        """
        super().__init__(text)
        self.status = status
        self.text = text
        self.epoch = epoch
        self.retry_after_s = retry_after_s


class ForwarderError(Exception):
    """What stops the forwarder, or one of its requests; its text is one line for a person.

    Attributes:
        exit_code: what the command ends with when the error ends it (design, "command line").

    """

    exit_code: ClassVar[int] = 1

    def __init__(self, text: str) -> None:
        """Fold whatever the text holds into one line."""
        super().__init__(" ".join(text.split()))


class JournalError(ForwarderError):
    """The journal can't be opened, read or written; nothing that it holds was changed."""


class JournalFullError(JournalError):
    """There is no room for what was to be written, or the disk would not take it. Passes.

    What was committed before is there and can be read; what was not is not known, and comes again
    with the next scan.
    """


class LifecycleError(ForwarderError):
    """The rule that is to tell when an execution is over makes no sense."""

    exit_code: ClassVar[int] = 2


class InvalidEventError(ForwarderError):
    """CloudWatch (or what stands in for it) gave an event that the protocol has no place for."""


class ConfigError(ForwarderError):
    """What the forwarder was told can't work; the text names the option. A usage error."""

    exit_code = 2


class CloudWatchError(ForwarderError):
    """CloudWatch Logs could not be read."""

    exit_code = 3


class AwsSettingsError(CloudWatchError):
    """The profile, Region or endpoint is not one. A usage error."""

    exit_code = 2


class CredentialsError(CloudWatchError):
    """There are no credentials, or AWS does not accept them."""


class AccessDeniedError(CloudWatchError):
    """The credentials do not allow what is needed."""


class GroupNotFoundError(CloudWatchError):
    """There is no such log group."""


class RequestRejectedError(CloudWatchError):
    """CloudWatch refuses a request for another reason; the text has its words."""


class ThrottledError(CloudWatchError):
    """Too many calls: CloudWatch wants fewer. Passes."""


class UnreachableError(CloudWatchError):
    """No connection, no answer in time, or a server error. Passes, if the endpoint is right."""


class EndpointNotFoundError(UnreachableError):
    """The endpoint's name can't be resolved: a wrong Region or URL, or no network."""


class TruncatedResponseError(CloudWatchError):
    """A reply that is not whole: cut short, without ``events``, or not CloudWatch's. Passes."""


class PageTokenError(CloudWatchError):
    """A page token expired or was refused: the scan goes on by time."""


class ScanStuckError(CloudWatchError):
    """A scan began again and again without getting further. Retried later."""
