"""The forwarder's errors: the text of each is one line that says what to do."""

from __future__ import annotations

from http import HTTPStatus
from typing import ClassVar, Final

from common.errors import EXIT_CANNOT_CONNECT, EXIT_USAGE, GaplessError
from wire.messages import UpstreamCode

NOT_COVERED: Final = "the token does not cover this log group"
"""Text of the ``RequestError`` for a log group that a client may not read."""


class RequestError(Exception):
    """An HTTP request or WebSocket upgrade that the server refuses."""

    def __init__(
        self,
        status: HTTPStatus,
        text: str,
        epoch: str | None = None,
        *,
        retry_after_s: int | None = None,
        code: UpstreamCode | None = None,
    ) -> None:
        """Describe the refusal.

        Args:
            status: status of the response.
            text: what is wrong, and what to do about it.
            epoch: the current epoch, where the request's cursor is not valid.
            retry_after_s: when to try again, where that helps.
            code: why CloudWatch can't be read, where that is the reason.
        """
        super().__init__(text)
        self.status = status
        self.text = text
        self.epoch = epoch
        self.retry_after_s = retry_after_s
        self.code = code


class ForwarderError(GaplessError):
    """An error that stops the forwarder or one of its operations."""


class JournalError(ForwarderError):
    """The journal can't be opened, read or written; its contents are unchanged."""


class JournalInUseError(JournalError):
    """Another process has the journal's file open."""


class JournalFullError(JournalError):
    """The journal can't be written now: no disk space, or its replicated log is away. Transient.

    Earlier commits stay readable. Events of the failed write are not in the journal, so that the
    next scan brings them again.
    """


class NotOwnedError(ForwarderError):
    """Another forwarder has, or may take, the lease of a log group: an ordinary state."""


class NotFollowedError(ForwarderError):
    """A server of a replicated journal does not have all of a log group's journal yet."""


class LifecycleError(ForwarderError):
    """The ``--lifecycle`` rule is invalid. A usage error."""

    exit_code = EXIT_USAGE


class GroupLimitError(ForwarderError):
    """The forwarder serves as many log groups as it may."""


class ListingLimitError(ForwarderError):
    """Too many patterns of log groups are listed at the same time. Transient."""


class GroupStoppedError(ForwarderError):
    """A log group is not started: it is not wanted any more, or the forwarder is shutting down.

    Transient.
    """


class InvalidEventError(ForwarderError):
    """CloudWatch (or an endpoint in its place) sent an event that the protocol can't express."""


class ConfigError(ForwarderError):
    """The configuration can't work; the text names the option. A usage error."""

    exit_code = EXIT_USAGE


class TargetError(ConfigError):
    """A text names no log group and is no pattern of names. A usage error."""


class CloudWatchError(ForwarderError):
    """CloudWatch Logs, or another AWS service, can't be used; the subclass says why."""

    exit_code = EXIT_CANNOT_CONNECT
    code: ClassVar[UpstreamCode] = "unreachable"
    """How heartbeats and metrics name it."""


class AwsSettingsError(CloudWatchError):
    """The profile, Region or endpoint is invalid. A usage error."""

    exit_code = EXIT_USAGE


class CredentialsError(CloudWatchError):
    """No credentials were found, or AWS does not accept them."""

    code: ClassVar[UpstreamCode] = "credentials_refused"


class CredentialsExpiredError(CredentialsError):
    """The credentials or the single sign-on session have expired."""

    code = "credentials_expired"


class ClockWrongError(CloudWatchError):
    """AWS rejects the signature's time: this machine's clock is minutes off."""

    code = "clock_wrong"


class AccessDeniedError(CloudWatchError):
    """The credentials do not allow the call."""

    code = "access_denied"


class GroupNotFoundError(CloudWatchError):
    """The log group does not exist."""

    code = "group_missing"

    def __init__(self, text: str, *, group: str = "") -> None:
        """Join the text to one line; ``group`` is the log group's name, where it is known."""
        super().__init__(text)
        self.group = group


class FilterPatternError(CloudWatchError):
    """AWS refuses a filter pattern. A usage error."""

    exit_code = EXIT_USAGE


class RequestRejectedError(CloudWatchError):
    """AWS rejects a request for a reason without a class of its own; the text quotes it."""


class ThrottledError(CloudWatchError):
    """AWS throttled the call. Transient."""

    code = "throttled"


class UnreachableError(CloudWatchError):
    """No connection, no reply in time, or a server error. Transient if the endpoint is right."""


class EndpointNotFoundError(UnreachableError):
    """The endpoint's name can't be resolved: a wrong Region or URL, or no network."""


class TruncatedResponseError(CloudWatchError):
    """A reply was cut short, lacks its fields, or is not from CloudWatch at all. Transient."""


class PageTokenError(CloudWatchError):
    """A page token expired or was refused; the scan continues by time."""


class ScanInconclusiveError(CloudWatchError):
    """A scan reached its last page, but its answers prove nothing. Retried later."""


class ScanStuckError(CloudWatchError):
    """A scan restarted several times without progress. Retried later."""
