"""Token files that only their owner may read, and tokens that forwarders offer to their own user.

A forwarder on loopback makes a new token at every start. It writes it to a file in the state
directory and keeps that file locked while it runs. Commands of the same user look the token up by
the forwarder's address just before they send it. The token of a forwarder that has ended is not
sent, because another user's program may have taken over its port.
"""

from __future__ import annotations

import errno
import os
import secrets
import select
import stat
import time
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from common.errors import GaplessError, UsageError
from common.hosts import is_loopback
from common.locks import LockedError, LockFile, read_locked
from common.state import state_dir, state_path

_FOLDER: Final = "tokens"
_FILE_BYTES_MAX: Final = 4096
_PIPE_S: Final = 3.0
"""Longest wait for a token that comes through a pipe, such as a password manager's."""
_SECRET_BYTES: Final = 32
_PORTS: Final = {"ws": 80, "wss": 443, "http": 80, "https": 443}
_LOCAL_ADDRESSES: Final = ("127.0.0.1", "::1")
"""Addresses of the name ``localhost``."""


class TokenFileError(UsageError):
    """A token file that cannot be used; the text says what to do."""


class OfferedToken:
    """A forwarder's token, and the file through which commands of its own user find it."""

    def __init__(self) -> None:
        self.token: Final = secrets.token_urlsafe(_SECRET_BYTES)
        self._lock: LockFile | None = None

    def publish(self, host: str, port: int) -> Path:
        """Write the token to the file for this listening address, readable by its owner only.

        Raises:
            GaplessError: the file cannot be written, or belongs to a forwarder that is running.
        """
        path = state_dir(_FOLDER) / _file_name(host, port)
        try:
            # A process that has opened the file of an earlier forwarder must not read this token.
            LockFile.take(path).release()
            self._lock = LockFile.take(path)
        except LockedError as error:
            msg = f"port {port} of {host} is in use: give another --port, or 0 for any free one"
            raise GaplessError(msg) from error
        path.chmod(0o600)
        self._lock.write_text(f"{self.token}\n")
        return path

    def withdraw(self) -> None:
        """Delete the file; repeating it is harmless."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def find_offered_token(url: str) -> str | None:
    """Return the token that a running forwarder of this user offers for a URL; None without one.

    Raises:
        TokenFileError: other users can read the token's file.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return None
    if not is_loopback(host):
        return None
    for name in (host, *_other_names(host)):
        path = state_path(_FOLDER) / _file_name(name, port)
        try:
            data = read_locked(path)
        except OSError:  # such as the state directory of another user
            continue
        if data is not None:
            check_private(path)
            return data.decode("ascii", "replace").strip() or None
    return None


def read_token(path: Path | None) -> str | None:
    """Read the first token of a token file: a token a line, optionally with a pattern.

    Raises:
        TokenFileError: the file cannot be read, other users can read it, or it holds no token.
    """
    if path is None:
        return None
    try:
        text = read_private(path, _FILE_BYTES_MAX).decode("ascii")
    except OSError as error:
        msg = f"cannot read the token file {path} ({error.strerror}): give another --token-file"
        raise TokenFileError(msg) from error
    except UnicodeDecodeError as error:
        msg = f"the token file {path} holds no token: it must be plain ASCII"
        raise TokenFileError(msg) from error
    lines = [line.split() for line in text.splitlines() if not line.startswith("#")]
    token = next((words[0] for words in lines if words), "")
    if not token or not token.isprintable():
        msg = f"the token file {path} holds no token: write one into its first line"
        raise TokenFileError(msg)
    return token


def read_private(path: Path, size: int) -> bytes:
    """Return the first ``size`` bytes of a token file, which may be a pipe.

    Raises:
        TokenFileError: other users can read or write the file.
        OSError: it cannot be read, or is a pipe through which nothing comes for a while.
    """
    # Opening a named pipe without O_NONBLOCK waits for its writer, and no signal ends that.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        check_private(path, descriptor)
        return _read_within(descriptor, size, time.monotonic() + _PIPE_S)
    finally:
        os.close(descriptor)


def _read_within(descriptor: int, size: int, until_s: float) -> bytes:
    readable = select.poll()
    readable.register(descriptor, select.POLLIN)
    data = b""
    while len(data) < size:
        if not readable.poll(max(0.0, until_s - time.monotonic()) * 1000):
            raise OSError(errno.ETIMEDOUT, "nothing comes through this pipe", None)
        part = os.read(descriptor, size - len(data))
        if not part:
            break
        data += part
    return data


def check_private(path: Path, descriptor: int | None = None) -> None:
    """Check that no other user can read or write a token file; ``descriptor``: it is open.

    Raises:
        TokenFileError: others can; the text says how to change that.
        OSError: the file can't be examined.
    """
    mode = (path.stat() if descriptor is None else os.fstat(descriptor)).st_mode
    if not stat.S_ISCHR(mode) and stat.S_IMODE(mode) & (stat.S_IRWXG | stat.S_IRWXO):
        msg = f"other users can read the token file {path}: run chmod 600 {path}"
        raise TokenFileError(msg)


def _file_name(host: str, port: int) -> str:
    return f"{host.strip('[]').lower().replace('/', '-')}-{port}"


def _other_names(host: str) -> tuple[str, ...]:
    """Return the other names of listening addresses that a connection to ``host`` may reach."""
    if host == "localhost":
        return _LOCAL_ADDRESSES
    return ("localhost",) if host in _LOCAL_ADDRESSES else ()
