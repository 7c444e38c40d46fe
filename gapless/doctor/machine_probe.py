"""Tries out this machine and the way to a forwarder: journal, terminal, port, WebSocket."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import stat
import sys
import tempfile
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import InvalidStatus, WebSocketException

from common.concurrency import in_thread
from common.errors import GaplessError
from common.hosts import is_loopback
from common.http import HttpClient, HttpFailure
from common.network_errors import describe_network_error, error_detail
from common.state import make_private_dir, state_dir
from forwarder.errors import JournalError
from forwarder.journal.sqlite import SqliteJournals
from gapless.doctor.judging import JournalFacts, TerminalFacts, WayFacts
from gapless.targets.grammar import ForwarderTarget
from wire.codec import decode_body
from wire.errors import WireError

LOOPBACK: Final = "127.0.0.1"
OPEN_S: Final = 5.0
"""Longest wait for a WebSocket, and for its first message."""

_MESSAGE: Final = "gapless doctor"


def probe_journal(journal: Path | None) -> JournalFacts:
    """Write a small journal where journals are kept, and delete it again.

    ``journal`` is the folder or file of ``forward --journal``; None: the state directory.
    """
    try:
        folder = _journal_folder(journal)
    except GaplessError as error:
        return JournalFacts(str(journal or ""), error=str(error))
    except OSError as error:
        hint = "name a folder, or a file in one, that you may write in"
        error_text = f"there can be no journals in {journal} ({error.strerror}): {hint}"
        return JournalFacts(str(journal or ""), error=error_text)
    mode = stat.S_IMODE(folder.stat().st_mode)
    error_text, trial = "", None
    try:
        trial = Path(tempfile.mkdtemp(prefix=".doctor-", dir=folder))
        journals = SqliteJournals(trial / "journal.sqlite3")
        journals.journal("doctor")
        journals.close()
    except JournalError as error:
        error_text = str(error)
    except OSError as error:
        hint = "check its permissions, or name another one in GAPLESS_STATE_DIR"
        error_text = f"nothing can be written in {folder} ({error.strerror}): {hint}"
    finally:
        if trial is not None:
            shutil.rmtree(trial, ignore_errors=True)
    return JournalFacts(str(folder), mode, _free_bytes(folder), error_text)


def _journal_folder(journal: Path | None) -> Path:
    if journal is None:
        return state_dir()
    folder = journal if journal.is_dir() or not journal.suffix else journal.parent
    make_private_dir(folder)
    return folder


def _free_bytes(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def probe_terminal() -> TerminalFacts:
    """Return what the environment and the terminal say."""
    try:
        window = os.get_terminal_size(sys.stdout.fileno())
    except (OSError, ValueError):
        return TerminalFacts(dict(os.environ), None, sys.stdout.encoding or "")
    return TerminalFacts(
        dict(os.environ), (window.columns, window.lines), sys.stdout.encoding or ""
    )


def probe_port(port: int) -> OSError | None:
    """Try to listen on a port of the loopback address, as a forwarder does."""
    try:
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((LOOPBACK, port))
            listener.listen()
    except OSError as error:
        return error
    return None


async def probe_loopback() -> WayFacts:
    """Open a WebSocket from this process to itself, and send a message both ways."""

    async def echo(connection: ServerConnection) -> None:
        await connection.send(await connection.recv())

    where = f"{LOOPBACK} (this machine)"
    try:
        async with (
            asyncio.timeout(OPEN_S),
            serve(echo, LOOPBACK, 0) as server,
            connect(
                f"ws://{LOOPBACK}:{server.sockets[0].getsockname()[1]}", proxy=None
            ) as connection,
        ):
            await connection.send(_MESSAGE)
            answer = await connection.recv()
    except TimeoutError:
        return WayFacts(where, f"no answer within {OPEN_S:g} s")
    except (OSError, WebSocketException) as error:
        return WayFacts(where, describe_network_error(error))
    return WayFacts(where, "" if answer == _MESSAGE else "the message came back changed")


async def probe_forwarder(target: ForwarderTarget, token: str | None) -> WayFacts:
    """Open a WebSocket to a forwarder, and ask it over HTTP how it is."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    (error, status, is_answered), ready = await asyncio.gather(
        _open(target, headers), in_thread(lambda: _get(f"{target.http_url}/readyz", headers))
    )
    return WayFacts(
        target.url,
        error=error,
        status=status,
        is_answered=is_answered,
        is_alive=ready is not None,
        ready=ready or {},
    )


async def _open(target: ForwarderTarget, headers: dict[str, str]) -> tuple[str, int | None, bool]:
    """Return why no WebSocket could be opened, the status, and whether a forwarder refused."""
    proxy: Literal[True] | None = True
    if is_loopback(urlsplit(target.url).hostname or ""):
        proxy = None
    try:
        async with (
            asyncio.timeout(OPEN_S),
            connect(target.url, additional_headers=headers, proxy=proxy) as connection,
        ):
            await connection.recv()
    except InvalidStatus as error:
        status = error.response.status_code
        detail = error_detail(bytes(error.response.body or b""))
        return detail or f"HTTP {HTTPStatus(status).value}", status, bool(detail)
    except TimeoutError:
        return f"no answer within {OPEN_S:g} s", None, False
    except (OSError, WebSocketException, ValueError) as error:
        return describe_network_error(error), None, False
    return "", None, False


def _get(url: str, headers: dict[str, str]) -> dict[str, Any] | None:
    """Return the JSON object of a response, whatever its status; None without one."""
    client = HttpClient(connect_s=OPEN_S, read_s=OPEN_S)
    try:
        body = client.send("GET", url, headers=headers).body
        found: dict[str, Any] = decode_body(body, dict)
    except (HttpFailure, WireError):
        return None
    finally:
        client.close()
    return found
