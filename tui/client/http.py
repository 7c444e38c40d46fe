"""HTTP GET in a thread of its own, which never keeps the process from ending."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Final, TypeVar

from tui.client.address import Address
from wire.limits import CLIENT_FRAME_BYTES_MAX

if TYPE_CHECKING:
    import urllib3

CONNECT_S: Final = 3
READ_S: Final = 10

_T = TypeVar("_T")


class HttpFailure(Exception):  # noqa: N818 - an answer that says no is none
    """No whole answer came; the text is one line."""


class Getter:
    """Gets from one forwarder, one request at a time; what has been got is bounded."""

    def __init__(self, address: Address) -> None:
        """Create a getter, without connecting yet."""
        self._address = address

    @cached_property
    def _pool(self) -> urllib3.PoolManager:
        """Made in the thread that gets: urllib3 takes 40 ms to import, as the screen begins."""
        import urllib3  # noqa: PLC0415 - as said

        return urllib3.PoolManager(
            num_pools=1,
            maxsize=1,
            retries=False,
            timeout=urllib3.Timeout(connect=CONNECT_S, read=READ_S),
        )

    async def get(self, target: str) -> tuple[int, bytes]:
        """Status and body of ``GET target``.

        Raises:
            HttpFailure: the forwarder can't be reached, or the answer broke off or is too large.

        """
        return await in_thread(lambda: self._get(target))

    def _get(self, target: str) -> tuple[int, bytes]:
        import urllib3  # noqa: PLC0415 - as above

        try:
            with self._pool.request(
                "GET",
                self._address.http(target),
                headers=self._address.headers,
                preload_content=False,
            ) as response:
                body = response.read(CLIENT_FRAME_BYTES_MAX + 1)
                if response.read(1):
                    self._pool.clear()
                    msg = f"the answer is over the limit of {CLIENT_FRAME_BYTES_MAX} bytes"
                    raise HttpFailure(msg)
                return response.status, body
        except urllib3.exceptions.NewConnectionError as error:
            raise HttpFailure(_unreachable(error)) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            text = str(error) or type(error).__name__
            raise HttpFailure(text.splitlines()[0][:200]) from error


def _unreachable(error: urllib3.exceptions.NewConnectionError) -> str:
    """In the system's words alone: urllib3's begin with objects of its own."""
    cause = error.__cause__
    why = (cause.strerror if isinstance(cause, OSError) else None) or "no connection"
    return f"{why}: is a forwarder running there?"


async def in_thread(work: Callable[[], _T]) -> _T:
    """What ``work`` returns or raises, run in a daemon thread.

    The event loop's own threads are joined at exit, which a read from a dead network delays.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[_T] = loop.create_future()

    def settle(result: _T | None, error: BaseException | None) -> None:
        if outcome.done():
            return
        if error is not None:
            outcome.set_exception(error)
        else:
            outcome.set_result(result)  # type: ignore[arg-type]  # no error, so it is a result

    def run() -> None:
        result, failure = None, None
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - handed on to whoever awaits
            failure = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=run, name="gapless-http", daemon=True).start()
    return await outcome
