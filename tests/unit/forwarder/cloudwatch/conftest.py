"""A scripted CloudWatch, and a client of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from forwarder.cloudwatch.reader import CloudWatch
from forwarder.config import AwsOptions
from tests.support.forwarder.scripted_cloudwatch import ScriptedCloudWatch, scripted_cloudwatch
from tests.support.processes.moto_server import CREDENTIALS


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the credentials and Region that stand-ins accept."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def scripted() -> Iterator[ScriptedCloudWatch]:
    with scripted_cloudwatch() as server:
        yield server


@pytest.fixture
async def cloudwatch(scripted: ScriptedCloudWatch) -> AsyncIterator[CloudWatch]:
    """A client whose waits are the shortest possible."""
    async with CloudWatch(AwsOptions(endpoint_url=scripted.url)) as opened:
        opened.random = lambda: 0.0
        yield opened
