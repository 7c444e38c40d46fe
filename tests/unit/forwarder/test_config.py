"""Validation of the configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from forwarder.config import AwsOptions, Config
from forwarder.errors import ConfigError


def test_defaults_are_those_of_the_command_line() -> None:
    config = Config(groups=("/aws/ecs/web",))
    assert (config.host, config.port, config.live) == ("127.0.0.1", 8765, "auto")
    assert (config.retain_ms, config.retain_bytes) == (24 * 3_600_000, 2 * 1024**3)
    assert (config.poll_ms, config.allowance_ms) == (1_000, 2_000)
    assert config.journal is None
    assert config.aws == AwsOptions()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"groups": ()}, "no log group"),
        ({"groups": ("",)}, "name of a log group"),
        ({"groups": ("two words",)}, "name of a log group"),
        ({"groups": ("x" * 513,)}, "name of a log group"),
        ({"groups": ("a", "b", "a")}, "twice"),
        ({"live": "kinesis:a stream"}, "not the name or ARN of a Kinesis stream"),
        ({"live": "kinesis:"}, "not the name or ARN of a Kinesis stream"),
        ({"live": "push"}, "use auto, poll or kinesis:STREAM"),
        ({"port": -1}, "port"),
        ({"port": 65_536}, "port"),
        ({"tls_cert": Path("cert.pem")}, "--tls-key"),
        ({"tls_key": Path("key.pem")}, "--tls-cert"),
        ({"poll_ms": 0}, "poll_ms"),
        ({"retain_bytes": 0}, "retain_bytes"),
        ({"allowance_ms": -1}, "allowance_ms"),
    ],
)
def test_an_invalid_value_is_refused_in_one_line(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told) as raised:
        Config(**{"groups": ("g",), **given})
    assert "\n" not in str(raised.value)
    assert raised.value.exit_code == 2


@pytest.mark.parametrize(
    "live",
    ["auto", "poll", "kinesis:s", "kinesis:arn:aws:kinesis:eu-west-1:123456789012:stream/s"],
)
def test_valid_live_paths(live: str) -> None:
    assert Config(groups=("g",), live=live).live == live


@pytest.mark.parametrize(
    "url", ["localhost:5000", "ftp://host", "http://", "http://host:port", "http://[::1", ""]
)
def test_an_endpoint_must_be_a_url(url: str) -> None:
    with pytest.raises(ConfigError, match="--endpoint-url"):
        AwsOptions(endpoint_url=url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:5000", "https://logs.example", "http://[::1]:1"])
def test_endpoints(url: str) -> None:
    assert AwsOptions(endpoint_url=url).endpoint_url == url


def test_a_config_goes_to_another_process_and_back() -> None:
    config = Config(groups=("g",), journal=Path("/tmp/j"), aws=AwsOptions(region="eu-west-1"))
    raw = msgspec.json.encode(config, enc_hook=str)
    back = msgspec.json.decode(raw, type=Config, dec_hook=lambda kind, value: kind(value))
    assert back == config
