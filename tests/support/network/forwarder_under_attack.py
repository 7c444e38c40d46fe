"""A real forwarder for tests with malicious clients, and an honest viewer of it.

The forwarder requires a token and logs at level DEBUG. At the end the tests check that it is still
the same process, its memory is bounded, the honest viewer received everything, and no secret is
in the log.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

import psutil
from websockets.asyncio.client import ClientConnection, connect

from forwarder.config import REFUSED_SOCKETS, RESERVED_DESCRIPTORS, SPARE_SOCKETS
from tests.support.network.raw_client import WAIT_S, get
from tests.support.processes.gapless_processes import GaplessProcess, forwarder
from tests.support.processes.log_writer import Ledger, now_ms
from tests.support.processes.moto_server import raw_moto

TOKEN, NARROW, WRONG = "an-honest-secret", "a-narrow-secret", "a-guessed-secret"
STREAM: Final = "job/main/aaaa"
GROUP: Final = "/jobs/private"
VIEWERS_MAX, PER_ADDRESS = 40, 150
GROWTH_MAX: Final = 80 << 20
"""Allowed growth of memory: hundreds of sockets at 30 kB, their read buffers, and what the
allocator does not return."""

DESCRIPTORS: Final = 640
"""File descriptors of the forwarder: few enough that even a slow machine exceeds the limit before
the first connections time out."""

DEBUG: Final = f"""
import logging, resource, sys
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, {DESCRIPTORS}),) * 2)
logging.basicConfig(level=logging.DEBUG)
for name in ("boto3", "botocore", "urllib3"):
    logging.getLogger(name).setLevel(logging.WARNING)
from gapless.cli import main
sys.exit(main())
"""
"""Runs ``gapless`` with few file descriptors and DEBUG logs, except of the AWS SDK."""


class AttackedForwarder:
    """The forwarder under attack, with its limits and the events written."""

    def __init__(self, process: GaplessProcess, ledger: Ledger, tokens: Path) -> None:
        self.command, self.ledger, self.tokens = process, ledger, tokens
        self.url: str = process.ready()["websocket"]
        self.port = int(self.url.split(":")[2].partition("/")[0])
        self.process = psutil.Process(process.popen.pid)
        self.rss = self.process.memory_info().rss
        descriptors, _ = self.process.rlimit(psutil.RLIMIT_NOFILE)
        self.sockets_max = min(
            VIEWERS_MAX + SPARE_SOCKETS, descriptors - REFUSED_SOCKETS - RESERVED_DESCRIPTORS
        )
        """Connections that the forwarder accepts with its file descriptors."""

    def allow(self, *lines: str) -> None:
        """Replace the token file atomically."""
        other = self.tokens.with_suffix(".new")
        other.touch(0o600)
        other.write_text("\n".join(lines) + "\n", encoding="utf-8")
        other.replace(self.tokens)

    async def dial(self, token: str = TOKEN) -> ClientConnection:
        """Connect as an honest viewer."""
        return await connect(
            f"{self.url}?since={now_ms()}",
            additional_headers={"Authorization": f"Bearer {token}"},
            proxy=None,
            max_size=8 << 20,
            open_timeout=WAIT_S,
            ping_interval=None,  # a slow machine must not close it
            max_queue=None,  # nor a long attack: pings are answered while nobody reads
        )

    async def metrics(self) -> dict[str, float]:
        """The forwarder's metrics, by name with labels."""
        status, _, body = await get(self.port, "/metrics", auth(TOKEN), source="127.0.0.1")
        assert status == 200
        lines = [line for line in body.decode().splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in (one.rpartition(" ") for one in lines)}

    async def until(self, metric: str, holds: Callable[[float], bool]) -> None:
        """Wait until a metric's value meets a condition."""
        await until(lambda: self._holds(metric, holds))

    async def _holds(self, metric: str, holds: Callable[[float], bool]) -> bool:
        return holds((await self.metrics())[metric])


class HonestViewer:
    """An honest viewer, connected for the whole test."""

    def __init__(self, target: AttackedForwarder, connection: ClientConnection) -> None:
        self.target, self.connection = target, connection
        self.messages: list[str] = []

    async def check_delivery(self) -> None:
        """Write an event and check that the viewer receives it once."""
        message = f"line {len(self.target.ledger.accepted)}"
        self.target.ledger.put(STREAM, [(now_ms(), message)])
        async with asyncio.timeout(WAIT_S):
            while message not in self.messages:
                came = json.loads(await self.connection.recv())
                self.messages += [item[5] for item in came.get("items", [])]
        assert len(self.messages) == len(set(self.messages))

    async def check_service(self) -> None:
        """Check that this viewer gets events and another one can connect."""
        await self.check_delivery()
        async with await self.target.dial() as other:
            assert json.loads(await other.recv())["type"] == "welcome"


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until an asynchronous condition holds."""
    async with asyncio.timeout(WAIT_S):
        while not await holds():  # noqa: ASYNC110 - the condition depends on another process
            await asyncio.sleep(0.1)


def auth(token: str) -> str:
    return f"Authorization: Bearer {token}"


@contextmanager
def forwarder_under_attack(state: Path) -> Iterator[AttackedForwarder]:
    """Run the forwarder; at the end, check its memory and its log."""
    tokens = state / "tokens"
    tokens.write_text(f"{TOKEN}\n{NARROW} /jobs/other\n", encoding="utf-8")
    tokens.chmod(0o600)
    options = (
        *("--token-file", str(tokens)),
        *("--max-viewers", str(VIEWERS_MAX), "--max-per-address", str(PER_ADDRESS)),
    )
    with raw_moto() as moto:
        ledger = Ledger(moto, GROUP, [STREAM])
        ledger.put(STREAM, [(now_ms() - 30_000 + n, f"old {n}") for n in range(5_000)])
        with forwarder(GROUP, moto.url, state, *options, program=("-c", DEBUG)) as process:
            made = AttackedForwarder(process, ledger, tokens)
            yield made
            assert process.popen.poll() is None
            assert made.process.memory_info().rss - made.rss < GROWTH_MAX
            assert process.end() == 0
            log = process.err.wait_end() + process.out.wait_end()
        ledger.close()
    assert any("DEBUG" in line for line in log)
    for secret in (TOKEN, NARROW, WRONG):
        assert not [line for line in log if secret in line]
    assert not [line for line in log if "Traceback" in line or "ERROR" in line]
    assert not [line for line in log if not line.isprintable()]


@asynccontextmanager
async def honest_viewer(target: AttackedForwarder) -> AsyncIterator[HonestViewer]:
    """Connect an honest viewer; at the end, check that it is still served."""
    async with await target.dial() as connection:
        one = HonestViewer(target, connection)
        yield one
        await one.check_service()
        assert connection.state.name == "OPEN"
        assert target.command.popen.poll() is None
        assert target.process.memory_info().rss - target.rss < GROWTH_MAX
