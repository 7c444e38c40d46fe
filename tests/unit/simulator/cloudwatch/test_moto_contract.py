"""Every name of moto's that is replaced or relied on, with its parameters.

Fails when moto changes, so that whoever updates it looks at ``simulator/cloudwatch/moto_logs.py``
and ``shards.py`` before a simulation goes wrong.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import pytest
from moto import backends
from moto.core import models as core_models
from moto.core.common_models import BaseModel
from moto.kinesis import models as kinesis
from moto.logs import exceptions
from moto.logs import models as logs
from moto.logs.utils import EventMessageFilter
from moto.moto_server import werkzeug_app

from simulator.cloudwatch import moto_logs
from simulator.cloudwatch.moto_logs import BoundedShard, UntrackedRecord

SIGNATURES: list[tuple[Callable[..., Any], str]] = [
    (backends.list_of_moto_modules, ""),
    (werkzeug_app.create_backend_app, "service"),
    (werkzeug_app.DomainDispatcherApplication, "create_app"),
    (logs.LogEvent, "ingestion_time log_event"),
    (logs.LogEvent.to_filter_dict, "self"),
    (logs.LogEvent.to_response_dict, "self"),
    (logs.LogStream, "log_group name"),
    (logs.LogStream.put_log_events, "self log_events"),
    (
        logs.LogStream._send_log_events,
        "self service destination_arn filter_name log_events",
    ),
    (logs.LogGroup, "account_id region name kwargs"),
    (logs.LogGroup.create_log_stream, "self log_stream_name"),
    (logs.LogGroup.delete_log_stream, "self log_stream_name"),
    (logs.LogGroup.put_log_events, "self log_stream_name log_events"),
    (logs.LogGroup.set_retention_policy, "self retention_in_days"),
    (
        logs.LogGroup.put_subscription_filter,
        "self filter_name filter_pattern destination_arn role_arn",
    ),
    (logs.LogGroup.delete_subscription_filter, "self filter_name"),
    (
        logs.SubscriptionFilter,
        "name log_group_name filter_pattern destination_arn role_arn",
    ),
    (logs.SubscriptionFilter.to_json, "self"),
    (logs.LogsBackend.create_log_group, "self log_group_name tags kwargs"),
    (
        logs.LogsBackend.put_subscription_filter,
        "self log_group_name filter_name filter_pattern destination_arn role_arn",
    ),
    (exceptions.InvalidParameterException, "msg constraint parameter value"),
    (exceptions.LimitExceededException, ""),
    (kinesis.Record, "partition_key data sequence_number explicit_hash_key"),
    (kinesis.Shard, "shard_id starting_hash ending_hash parent adjacent_parent"),
    (kinesis.Shard.put_record, "self partition_key data explicit_hash_key"),
    (kinesis.Shard.get_records, "self last_sequence_id limit"),
    (kinesis.Shard.get_min_sequence_number, "self"),
    (kinesis.Shard.get_max_sequence_number, "self"),
    (kinesis.Stream.put_record, "self partition_key explicit_hash_key data"),
    (
        kinesis.KinesisBackend.create_stream,
        "self stream_name shard_count stream_mode retention_period_hours",
    ),
    (kinesis.KinesisBackend.describe_stream, "self stream_arn stream_name"),
]


def test_moto_is_the_one_that_was_looked_at() -> None:
    assert version("moto").split(".")[:2] == ["5", "2"]


@pytest.mark.parametrize(("found", "parameters"), SIGNATURES)
def test_names_have_the_parameters_that_are_relied_on(
    found: Callable[..., Any], parameters: str
) -> None:
    assert " ".join(inspect.signature(found).parameters) == parameters


def test_what_is_overridden_takes_the_same_parameters() -> None:
    compared = 0
    for ours, theirs in (
        (moto_logs.FaithfulGroup, logs.LogGroup),
        (moto_logs.FaithfulStream, logs.LogStream),
        (moto_logs.FaithfulFilter, logs.SubscriptionFilter),
        (BoundedShard, kinesis.Shard),
    ):
        for name, method in vars(ours).items():
            original = getattr(theirs, name, None)
            if inspect.isfunction(method) and original is not None and name != "__new__":
                compared += 1
                assert list(inspect.signature(method).parameters) == list(
                    inspect.signature(original).parameters
                ), f"{ours.__name__}.{name}"
    assert compared >= 12


def test_moto_finds_what_is_replaced_by_these_names() -> None:
    code = logs.LogsBackend.create_log_group.__code__.co_names
    assert "LogGroup" in code
    assert "LogStream" in logs.LogGroup.create_log_stream.__code__.co_names
    assert "Shard" in kinesis.Stream.init_shards.__code__.co_names
    names = werkzeug_app.DomainDispatcherApplication.get_backend_for_host.__code__.co_names
    assert {"backends", "list_of_moto_modules"} <= set(names)
    assert issubclass(logs.LogStream, BaseModel)
    assert issubclass(UntrackedRecord, BaseModel)
    assert core_models.DEFAULT_ACCOUNT_ID == "123456789012"


@pytest.mark.parametrize(
    ("pattern", "message", "in_moto"),
    [
        ("ERROR disk", "disk: ERROR", True),
        ("ERROR", "an error", False),
        ('"disk full"', "the disk full", True),
        # From here on moto differs from AWS, and from the stand-in, which answers itself.
        ("ERROR -timeout", "ERROR timeout", False),
        ("ERROR -timeout", "ERROR -timeout", True),
        ("?ERROR ?WARN", "INFO", True),
        ("-ERROR", "ERROR", True),
        ('"disk" "full"', "disk full", False),
        ("{ $.a = 1 }", '{"a": 2}', True),
        ("[a, b]", "one", True),
        ("%x%", "y", True),
        ("err:", "err: x", True),
    ],
)
def test_what_moto_itself_makes_of_a_filter_pattern(
    pattern: str,
    message: str,
    in_moto: bool,  # noqa: FBT001
) -> None:
    """Moto reads words, or one quoted phrase; every other pattern matches all messages."""
    assert EventMessageFilter(pattern).matches(message) is in_moto
