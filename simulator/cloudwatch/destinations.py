"""Destinations of subscription filters: Kinesis as on AWS, other services through moto."""

from __future__ import annotations

import secrets
from typing import Final

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.kinesis.models import kinesis_backends
from moto.logs.models import logs_backends

from simulator.cloudwatch.delivery import DeliveryError, record_data
from simulator.cloudwatch.levers import Batch
from simulator.cloudwatch.logs import Logs
from simulator.cloudwatch.moto_logs import find_group, service_of

PARTITION_KEY_MAX: Final = 256
"""Kinesis' limit, in characters."""


def subscribe(region: str, group: str, stream_name: str) -> None:
    """Create a Kinesis stream with one shard and a subscription filter that sends everything."""
    stream = kinesis_backends[DEFAULT_ACCOUNT_ID][region].create_stream(stream_name, 1)
    role = f"arn:aws:iam::{DEFAULT_ACCOUNT_ID}:role/logs-to-kinesis"
    logs_backends[DEFAULT_ACCOUNT_ID][region].put_subscription_filter(
        group, stream_name, "", stream.arn, role
    )


def send(batch: Batch, logs: Logs) -> None:
    """Put a record into its destination.

    Raises:
        DeliveryError: The destination is gone, or its service failed.
    """
    parts = batch.destination.split(":", 5) + [""] * 5
    region, account = parts[3], parts[4]
    is_kinesis = service_of(batch.destination) == "kinesis"
    data = record_data(batch, account) if is_kinesis else ""
    with logs.lock:
        try:
            if is_kinesis:
                backend = kinesis_backends[account][region]
                stream = backend.describe_stream(batch.destination, None)
                stream.put_record(partition_key(batch), "", data)
            else:
                _send_elsewhere(batch, region)
        except Exception as error:  # moto's services raise many kinds of errors
            raise DeliveryError(str(error)) from error


def partition_key(batch: Batch) -> str:
    """The log stream, which keeps its records in one shard and in order, or a random key."""
    if batch.is_random:
        return secrets.token_hex(16)
    return batch.stream[:PARTITION_KEY_MAX] or "control"


def _send_elsewhere(batch: Batch, region: str) -> None:
    group = find_group(region, batch.group)
    stream = None if group is None else group.streams.get(batch.stream)
    if stream is None:
        msg = "the log stream is gone"
        raise DeliveryError(msg)
    stream._send_log_events(  # noqa: SLF001 - moto's only entry to these services
        service=service_of(batch.destination),
        destination_arn=batch.destination,
        filter_name=batch.filter_name,
        log_events=[
            {"id": identity, "timestamp": timestamp, "message": message}
            for identity, timestamp, message in batch.events
        ],
    )
