"""Replacements for parts of moto, in this process only.

``install`` substitutes moto's log group, log stream, subscription filter and Kinesis shard, and
caches the list of moto's modules, which moto otherwise reads from disk at each request. Moto's
handlers then work on our storage; ``simulator.cloudwatch.app`` answers the most frequent calls
itself. Everything else is unchanged moto: ``StartLiveTail`` sends one update with all history and
ends; Logs Insights reads everything.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import timedelta
from typing import Any, ClassVar, Final, Self

from moto import backends
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.utils import unix_time_millis
from moto.kinesis import models as kinesis_models
from moto.kinesis.models import Record, Shard
from moto.logs import models
from moto.logs.exceptions import InvalidParameterException, LimitExceededException

from simulator.cloudwatch.delivery import Delivery
from simulator.cloudwatch.logs import (
    KEY_BITS,
    KEY_END,
    Event,
    GroupStore,
    Logs,
    StreamStore,
    Subscription,
)
from simulator.cloudwatch.parameters import STREAM, AwsRefusal

RECORDS_MAX: Final = 100_000
BYTES_MAX: Final = 64 * 1024 * 1024
"""Limits of a shard; AWS keeps a day. A client that reads within minutes reaches neither."""


class Untracked:
    """Base of classes that moto would otherwise register and keep forever."""

    def __new__(cls, *_: Any, **__: Any) -> Self:  # noqa: ANN401 - moto's own
        """Allocate without registering the instance."""
        return object.__new__(cls)


class UntrackedRecord(Untracked, Record):
    """Moto's record, without moto's list of every instance ever made."""


class BoundedShard(Shard):
    """A shard with consecutive sequence numbers, so that a record is found by its number.

    Moto inspects every record of a shard at each put and get, and keeps them forever.
    """

    _bytes = 0
    _last = 0

    def put_record(self, partition_key: str, data: str, explicit_hash_key: str) -> str:
        """Append a record; removes the oldest ones beyond the limits."""
        self._last = number = max(self._last, self.get_max_sequence_number()) + 1
        self.records[number] = UntrackedRecord(partition_key, data, number, explicit_hash_key)
        self._bytes += len(data)
        while len(self.records) > RECORDS_MAX or (
            self._bytes > BYTES_MAX and len(self.records) > 1
        ):
            _, oldest = self.records.popitem(last=False)  # type: ignore[call-arg] # an OrderedDict
            self._bytes -= len(oldest.data)
        return str(number)

    def get_records(
        self, last_sequence_id: str, limit: int | None
    ) -> tuple[list[Record], int, int]:
        """Records after a number, the number to continue from, and ms behind the newest."""
        after = int(last_sequence_id)
        first, newest = self.get_min_sequence_number(), self.get_max_sequence_number()
        start = max(after + 1, first)
        stop = newest + 1 if limit is None else min(newest + 1, start + limit)
        found = [self.records[number] for number in range(start, stop) if number in self.records]
        if not found:
            return [], after, 0
        behind_s = self.records[newest].created_at - found[-1].created_at
        return found, found[-1].sequence_number, int(behind_s * 1_000)

    def get_min_sequence_number(self) -> int:
        """Number of the oldest record; 0 without records."""
        return next(iter(self.records), 0)

    def get_max_sequence_number(self) -> int:
        """Number of the newest record; 0 without records."""
        return next(reversed(self.records), 0) if self.records else 0


DAY_MS: Final = 24 * 3_600_000
SUBSCRIPTIONS_MAX: Final = 2
"""Most subscription filters per log group."""

RETENTION_DAYS: Final = frozenset(
    (
        *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557),
        *(2922, 3288, 3653),
    )
)
"""Values that PutRetentionPolicy accepts (botocore's model)."""


class MotoEvent(Untracked, models.LogEvent):
    """One of our events in moto's form, made on demand."""

    def __init__(self, event: Event, identity: str) -> None:
        """Skip moto's constructor, which would number it as a new event."""
        key, self.ingestion_time, _, self.message = event
        self.timestamp = key >> KEY_BITS
        self.event_id = identity  # type: ignore[assignment] # moto's is a number


class FaithfulStream(Untracked, models.LogStream):
    """Moto's log stream, backed by our storage."""

    log_group: FaithfulGroup

    def __init__(self, log_group: FaithfulGroup, name: str) -> None:
        self.kept = StreamStore()
        super().__init__(log_group, name)
        self.kept.arn = self.arn
        self.kept.created_ms = int(unix_time_millis(self.creation_time))

    @property
    def events(self) -> list[models.LogEvent]:
        """All readable events, for the parts of moto that read them all."""
        ids = self.log_group.logs.ids
        found = self.kept.events.between(0, KEY_END)
        return [MotoEvent(event, ids.of(event[0])) for event in found]

    @events.setter
    def events(self, _: list[models.LogEvent]) -> None:
        """Ignored: moto's constructor assigns an empty list."""

    @property
    def stored_bytes(self) -> int:
        """Total size of all messages."""
        return self.kept.stored_bytes

    @stored_bytes.setter
    def stored_bytes(self, _: int) -> None:
        """Ignored: moto's constructor assigns 0."""

    def put_log_events(self, log_events: list[dict[str, Any]]) -> str:
        """Store events that other parts of moto write."""
        group = self.log_group
        pairs = [(one["timestamp"], one["message"]) for one in log_events]
        with group.logs.lock:
            stored = group.logs.put(group.store, self.log_stream_name, pairs)
            if stored:
                group.delivery.offer(group.store, stored, stored[0][1])
        return ""


class FaithfulGroup(Untracked, models.LogGroup):
    """Moto's log group, backed by our storage."""

    logs: ClassVar[Logs]
    delivery: ClassVar[Delivery]

    def __init__(self, account_id: str, region: str, name: str, **kwargs: Any) -> None:  # noqa: ANN401
        self.store = GroupStore(name)
        super().__init__(account_id, region, name, **kwargs)
        self.set_retention_policy(self.retention_in_days)

    def create_log_stream(self, log_stream_name: str) -> None:
        """Create a log stream, if its name is allowed."""
        try:
            STREAM.check("logStreamName", log_stream_name)
        except AwsRefusal as error:
            raise InvalidParameterException(error.message) from error
        super().create_log_stream(log_stream_name)
        stream = self.streams[log_stream_name]
        assert isinstance(stream, FaithfulStream)
        self.store.streams[log_stream_name] = stream.kept

    def delete_log_stream(self, log_stream_name: str) -> None:
        """Delete a log stream and its events."""
        super().delete_log_stream(log_stream_name)
        self.store.delete_stream(log_stream_name)

    def set_retention_policy(self, retention_in_days: Any) -> None:  # noqa: ANN401 - moto: str
        """Set the retention in days; None = forever."""
        if retention_in_days is not None and int(retention_in_days) not in RETENTION_DAYS:
            raise InvalidParameterException(
                constraint=f"Member must satisfy enum value set: {sorted(RETENTION_DAYS)}",
                parameter="retentionInDays",
                value=retention_in_days,
            )
        super().set_retention_policy(retention_in_days)
        self.store.retention_ms = (
            None if retention_in_days is None else int(retention_in_days) * DAY_MS
        )

    def put_subscription_filter(
        self, filter_name: str, filter_pattern: str, destination_arn: str, role_arn: str
    ) -> None:
        """Create or change a subscription filter; a Kinesis destination is probed."""
        if (
            filter_name not in self.subscription_filters
            and len(self.subscription_filters) >= SUBSCRIPTIONS_MAX
        ):
            raise LimitExceededException
        made = FaithfulFilter(filter_name, self.name, filter_pattern, destination_arn, role_arn)
        self.subscription_filters[filter_name] = made
        one = Subscription(filter_name, filter_pattern, destination_arn)
        self.store.subscriptions[filter_name] = one
        if service_of(destination_arn) == "kinesis":
            self.delivery.probe(one, self.logs.now_ms())

    def delete_subscription_filter(self, filter_name: str) -> None:
        """Delete a subscription filter; nothing more is sent to it."""
        super().delete_subscription_filter(filter_name)
        self.store.subscriptions.pop(filter_name, None)

    def set_distribution(self, filter_name: str, distribution: str) -> None:
        """Set ``Random`` or ``ByLogStream``, which moto's handler drops."""
        found = self.subscription_filters[filter_name]
        assert isinstance(found, FaithfulFilter)
        found.distribution = distribution
        one = self.store.subscriptions[filter_name]
        self.store.subscriptions[filter_name] = one._replace(is_random=distribution == "Random")


class FaithfulFilter(Untracked, models.SubscriptionFilter):
    """Moto's subscription filter with a settable ``distribution``; moto's is always ByLogStream."""

    distribution = "ByLogStream"

    def to_json(self) -> dict[str, Any]:
        """The filter as DescribeSubscriptionFilters returns it."""
        return {**super().to_json(), "distribution": self.distribution}


def install(logs: Logs, delivery: Delivery) -> Callable[[], None]:
    """Substitute our classes for moto's; the returned function undoes it."""
    modules = frozenset(backends.list_of_moto_modules())
    group = type("LogGroup", (FaithfulGroup,), {"logs": logs, "delivery": delivery})
    replaced: list[tuple[Any, str, object]] = [
        (models, "LogGroup", group),
        (models, "LogStream", FaithfulStream),
        (kinesis_models, "Shard", BoundedShard),
        (backends, "list_of_moto_modules", lambda: modules),
    ]
    originals = [(where, name, getattr(where, name)) for where, name, _ in replaced]
    for where, name, ours in replaced:
        setattr(where, name, ours)

    def undo() -> None:
        for where, name, original in originals:
            setattr(where, name, original)

    return undo


def find_group(region: str, name: str, account: str = "") -> FaithfulGroup | None:
    """The log group with that name, of our own account or another one; None if there is none."""
    wanted = account or DEFAULT_ACCOUNT_ID
    if wanted not in models.logs_backends:  # asking moto for an account creates it
        return None
    try:
        found = models.logs_backends[wanted][region].groups.get(name)
    except KeyError:
        return None  # no such Region
    return found if isinstance(found, FaithfulGroup) else None


def backdate(region: str, name: str, by_ms: int) -> None:
    """Backdate the creation of a log group by ``by_ms``."""
    group = find_group(region, name)
    assert group is not None
    group.creation_time -= timedelta(milliseconds=by_ms)


def list_linked(region: str, prefix: str, accounts: Collection[str] | None) -> list[dict[str, Any]]:
    """Log groups of our own and of all linked accounts, as DescribeLogGroups returns them.

    Every account that moto knows counts as linked. ``accounts`` limits them; None: all.
    """
    found = [
        group
        for account, regions in models.logs_backends.items()
        if accounts is None or account in accounts
        for name, group in regions[region].groups.items()
        if name.startswith(prefix)
    ]
    return [group.to_describe_dict() for group in sorted(found, key=lambda one: one.name)]


def find_store(region: str, name: str, account: str = "") -> GroupStore | None:
    """Storage of the log group with that name; None if there is none."""
    found = find_group(region, name, account)
    return None if found is None else found.store


def all_groups() -> list[FaithfulGroup]:
    """Every log group of every Region."""
    return [
        group
        for accounts in models.logs_backends.values()
        for backend in accounts.values()
        for group in backend.groups.values()
        if isinstance(group, FaithfulGroup)
    ]


def recreate_group(group: FaithfulGroup) -> None:
    """Delete a log group and create it again, with its log streams and subscription filters."""
    backend = models.logs_backends[group.account_id][group.region]
    backend.delete_log_group(group.name)
    backend.create_log_group(group.name, {})
    fresh = backend.groups[group.name]
    for name in group.streams:
        fresh.create_log_stream(name)
    for one in group.store.subscriptions.values():
        fresh.put_subscription_filter(one.name, one.pattern, one.destination, "")
        if isinstance(fresh, FaithfulGroup) and one.is_random:
            fresh.set_distribution(one.name, "Random")


def service_of(arn: str) -> str:
    """Service name in an ARN, such as ``kinesis``."""
    return (arn.split(":") + [""] * 3)[2]
