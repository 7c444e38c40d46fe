"""Tries the calls that gapless makes, each once, side by side."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import msgspec

from common.concurrency import in_thread
from forwarder.cloudwatch.client import make_client, sibling_endpoint, translate
from forwarder.cloudwatch.clock import ServerClock, timer_ms, wall_clock_ms
from forwarder.cloudwatch.reader import is_arn
from forwarder.cloudwatch.remedies import find_place
from forwarder.config import AwsOptions, parse_stream
from forwarder.errors import CloudWatchError, UnreachableError
from gapless.doctor.aws_judging import AwsFacts, Call

WITHIN_S: Final = 12.0
"""Longest wait for an answer: with the SDK's own limits, a call may take twenty seconds."""

ABSENT_GROUP: Final = "/gapless/doctor"
"""Named where no log group is known: AWS judges permissions before it looks for the log group."""

ABSENT_TASK: Final = "00000000000000000000000000000000"
_ARN_PARTS: Final = 6


class AwsProbe:
    """The probe of one account, Region and endpoint.

    Args:
        aws: Profile, Region and endpoint.
        group: The log group to try; empty: the first one that is listed.
        cluster: The ECS cluster of ``--lifecycle``; empty: no call of ECS.
        limit: Calls per second that the user set.
    """

    def __init__(
        self, aws: AwsOptions, *, group: str = "", cluster: str = "", limit: float | None = None
    ) -> None:
        self._aws = aws
        self._group = group
        self._cluster = cluster
        self._limit = limit
        self._place = find_place(aws)
        self._clock = ServerClock()
        self._has_date = False
        self._clients: dict[str, Any] = {}

    async def run(self) -> AwsFacts:
        """Make the calls and return what came back; raises nothing that AWS leads to."""
        try:
            client = await in_thread(partial(self._client, "logs"))
        except CloudWatchError as error:
            return AwsFacts(self._place, setup=error, limit=self._limit)
        self._place = find_place(self._aws, client.meta.region_name or "")
        try:
            (identity, identity_error), (listed, listing_error) = await asyncio.gather(
                self._identify(), self._ask("logs", "describe_log_groups", {"limit": 1})
            )
            first: dict[str, Any] = next(iter(listed.get("logGroups") or ()), {})
            calls = [
                Call("logs:DescribeLogGroups", "*", listing_error),
                *await self._try_calls(identity or str(first.get("arn", "")), first),
            ]
        finally:
            for one in self._clients.values():
                one.close()
        skew_ms = self._clock.skew_ms(wall_clock_ms(), timer_ms()) if self._has_date else None
        return AwsFacts(
            place=self._place,
            identity=identity,
            where=self._aws.endpoint_url or "",
            identity_error=identity_error,
            calls=[*calls],
            group=self._group,
            skew_ms=skew_ms,
            limit=self._limit,
        )

    async def _identify(self) -> tuple[str, CloudWatchError | None]:
        answer, error = await self._ask("sts", "get_caller_identity", {})
        arn = str(answer.get("Arn", ""))
        parts = arn.split(":")
        if len(parts) >= _ARN_PARTS:
            self._place = msgspec.structs.replace(self._place, account=parts[4])
        return arn, error

    async def _try_calls(self, arn: str, first: Mapping[str, Any]) -> list[Call]:
        """Try the calls that read a log group; ``arn`` names the account and its partition."""
        group = self._group or str(first.get("logGroupName") or ABSENT_GROUP)
        key = "logGroupIdentifier" if is_arn(group) else "logGroupName"
        named: dict[str, Any] = {key: group}
        resource = self._resource(arn)
        streams, events, live_path, tasks = await asyncio.gather(
            self._try("logs:DescribeLogStreams", resource, {**named, "limit": 1}),
            self._try("logs:FilterLogEvents", resource, {**named, "limit": 1}),
            self._try_live_path(group, resource),
            self._try_ecs(),
        )
        return [streams, events, *live_path, *tasks]

    def _resource(self, arn: str) -> str:
        """Return what a policy must name; ``*`` where no log group was named."""
        if is_arn(self._group):
            return f"{self._group}:*"
        parts = arn.split(":")
        if not self._group or len(parts) < _ARN_PARTS:
            return "*"
        place = ("arn", parts[1], "logs", self._place.region, parts[4])
        return ":".join((*place, "log-group", self._group, "*"))

    async def _try(self, action: str, resource: str, parameters: Mapping[str, Any]) -> Call:
        service, _, name = action.partition(":")
        _, error = await self._ask(service, _method(name), parameters)
        return Call(action, resource, error)

    async def _try_live_path(self, group: str, resource: str) -> list[Call]:
        """Try the calls of the live path, those of Kinesis where a subscription filter leads."""
        if is_arn(group):
            return []  # that call takes no ARN
        named = {"logGroupName": group}
        answer, error = await self._ask("logs", "describe_subscription_filters", named)
        calls = [Call("logs:DescribeSubscriptionFilters", resource, error)]
        arns = [str(one.get("destinationArn")) for one in answer.get("subscriptionFilters") or ()]
        for arn in [arn for arn in arns if parse_stream(arn) is not None][:1]:
            calls += await self._try_kinesis(arn)
        return calls

    async def _try_kinesis(self, arn: str) -> list[Call]:
        listed, error = await self._ask("kinesis", "list_shards", {"StreamARN": arn})
        shard = next((one["ShardId"] for one in listed.get("Shards") or ()), "shardId-000000000000")
        start = {"StreamARN": arn, "ShardId": shard, "ShardIteratorType": "LATEST"}
        found, second = await self._ask("kinesis", "get_shard_iterator", start)
        calls = [
            Call("kinesis:ListShards", arn, error),
            Call("kinesis:GetShardIterator", arn, second),
        ]
        if "ShardIterator" in found:
            records = {"ShardIterator": found["ShardIterator"], "Limit": 1, "StreamARN": arn}
            _, third = await self._ask("kinesis", "get_records", records)
            calls.append(Call("kinesis:GetRecords", arn, third))
        return calls

    async def _try_ecs(self) -> list[Call]:
        if not self._cluster:
            return []
        tasks = {"cluster": self._cluster, "tasks": [ABSENT_TASK]}
        return list(
            await asyncio.gather(
                self._try("ecs:DescribeTasks", "*", tasks),
                self._try("ecs:DescribeTaskDefinition", "*", {"taskDefinition": "gapless:1"}),
            )
        )

    async def _ask(
        self, service: str, method: str, parameters: Mapping[str, Any]
    ) -> tuple[dict[str, Any], CloudWatchError | None]:
        """Make one call; return the answer, empty with the error if there is none."""
        call = partial(self._call, service, method, parameters)
        try:
            async with asyncio.timeout(WITHIN_S):
                return await in_thread(call), None
        except TimeoutError:
            hint = "check the network, the proxy and --endpoint-url"
            where = self._aws.endpoint_url or f"AWS in {self._place.region}"
            return {}, UnreachableError(f"no answer from {where} within {WITHIN_S:g} s: {hint}")
        except CloudWatchError as error:
            return {}, error

    def _call(self, service: str, method: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        client = self._client(service)
        function: Callable[..., dict[str, Any]] = getattr(client, method)
        asked_ms = timer_ms()
        try:
            answer = function(**parameters)
        except Exception as error:  # botocore raises whatever a malformed reply leads to
            self._note_date(getattr(error, "response", None), asked_ms)
            where = client.meta.endpoint_url
            group = str(
                parameters.get("logGroupName") or parameters.get("logGroupIdentifier") or ""
            )
            name = "CloudWatch Logs" if service == "logs" else service.upper()
            raise translate(
                error, where=where, group=group or None, service=name, place=self._place
            ) from error
        self._note_date(answer, asked_ms)
        return answer

    def _note_date(self, answer: object, asked_ms: int) -> None:
        if not isinstance(answer, dict):
            return  # no answer came
        headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        self._has_date = self._has_date or "date" in headers
        self._clock.observe(
            headers.get("date"), asked_at_ms=asked_ms, at_ms=timer_ms(), wall_ms=wall_clock_ms()
        )

    def _client(self, service: str) -> Any:  # noqa: ANN401 - the SDK makes the class
        if service not in self._clients:
            endpoint = self._aws.endpoint_url
            if service != "logs":
                endpoint = sibling_endpoint(service, endpoint, os.environ)
            self._clients[service] = make_client(service, self._aws, endpoint_url=endpoint)
        return self._clients[service]


def _method(action: str) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in action)[1:]
