from __future__ import annotations

import pytest

from forwarder.cloudwatch.endpoints import sibling_endpoint


@pytest.mark.parametrize(
    ("endpoint", "env", "where"),
    [
        (None, {}, None),
        ("http://127.0.0.1:5000", {}, "http://127.0.0.1:5000"),
        ("http://127.0.0.1:5000", {"AWS_ENDPOINT_URL_ECS"}, None),
        ("http://127.0.0.1:5000", {"AWS_ENDPOINT_URL_KINESIS"}, "http://127.0.0.1:5000"),
        ("https://logs.eu-west-1.amazonaws.com", {}, None),
        ("https://vpce-1.logs.eu-west-1.vpce.amazonaws.com", {}, None),
    ],
)
def test_where_another_service_is(endpoint: str | None, env: set[str], where: str | None) -> None:
    assert sibling_endpoint("ecs", endpoint, env) == where
