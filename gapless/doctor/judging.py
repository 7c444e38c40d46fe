"""Judges this machine and the way to a forwarder: journal, terminal, port, WebSocket. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from errno import EACCES, EADDRINUSE, EPERM
from typing import Any, Final

import msgspec

from common.text import format_size
from gapless.doctor.findings import Finding, divide

FREE_LEAST: Final = 64 << 20
"""Bytes without which a journal soon stops: as much as its write-ahead log may take."""

FREE_ENOUGH: Final = 1 << 30
"""Bytes of a day of a quiet log group; ``--retain-size`` allows twice that by default."""

COLUMNS_LEAST: Final = 60
LINES_LEAST: Final = 12
"""Smallest screen that shows status, some lines and keys."""

_OTHERS: Final = 0o077
"""Mode bits of a directory that let other users in."""


class JournalFacts(msgspec.Struct, frozen=True):
    """What the probe of the journal's directory found.

    Attributes:
        folder: The directory.
        mode: Its permissions; None if it cannot be looked at.
        free_bytes: Space that the user may still use there; None if unknown.
        error: Why no journal could be written there; empty if one could.
    """

    folder: str
    mode: int | None = None
    free_bytes: int | None = None
    error: str = ""


def judge_journal(facts: JournalFacts) -> Finding:
    """Judge whether a journal can be kept."""
    check, free = "journal", facts.free_bytes
    if facts.error:
        return Finding(check, "fail", *_cause(facts.error))
    if free is not None and free < FREE_LEAST:
        what = f"the disk of {facts.folder} is almost full, {format_size(free)} are left"
        return Finding(check, "fail", what, "make room, or run `gapless purge`")
    if free is not None and free < FREE_ENOUGH:
        what = f"{format_size(free)} are left on the disk of {facts.folder}"
        return Finding(check, "warn", what, "make room, or give a smaller --retain-size")
    if facts.mode is not None and facts.mode & _OTHERS:
        what = f"other users may read {facts.folder} (mode {facts.mode:04o})"
        return Finding(check, "warn", what, f"run `chmod 700 {facts.folder}`")
    left = "" if free is None else f", {format_size(free)} free"
    return Finding(check, "ok", f"{facts.folder} can be written{left}")


def _cause(error: str) -> tuple[str, str]:
    """Divide a journal's error, whose text may name SQLite's between cause and remedy."""
    what, remedy = error.rpartition(": ")[::2]
    return (what, remedy) if what else (remedy, "")


class TerminalFacts(msgspec.Struct, frozen=True):
    """What the environment says about the terminal; ``window`` is None without one."""

    env: Mapping[str, str]
    window: tuple[int, int] | None
    encoding: str


def judge_terminal(facts: TerminalFacts) -> Finding:
    """Judge whether the screen can be drawn as it is meant."""
    check, term = "terminal", facts.env.get("TERM", "")
    if facts.encoding.lower().replace("-", "") not in ("utf8", "utf8mb4"):
        what = f"its encoding is {facts.encoding or 'unknown'}, so signs are shown in ASCII"
        return Finding(check, "warn", what, "set LANG to a UTF-8 locale, such as C.UTF-8")
    if facts.window is None:
        return Finding(check, "ok", "none, so commands print text")
    if term in ("", "dumb"):
        what = f"TERM is {term or 'not set'}, so no screen can be shown"
        return Finding(check, "fail", what, "set TERM=xterm-256color, or use --output text")
    columns, lines = facts.window
    size = f"{columns}x{lines}"
    if columns < COLUMNS_LEAST or lines < LINES_LEAST:
        least = f"{COLUMNS_LEAST}x{LINES_LEAST}"
        return Finding(check, "warn", f"{size} is small", f"enlarge it to {least} at least")
    return _judge_colours(facts.env, f"{term}, {size}, UTF-8")


def _judge_colours(env: Mapping[str, str], what: str) -> Finding:
    check, term = "terminal", env.get("TERM", "")
    if env.get("NO_COLOR"):
        return Finding(check, "ok", f"{what}, no colours, as NO_COLOR demands")
    if env.get("COLORTERM", "") in ("truecolor", "24bit"):
        return Finding(check, "ok", f"{what}, all colours")
    if "256color" in term or term.startswith(("xterm", "screen", "tmux")):
        return Finding(check, "ok", f"{what}, 256 colours")
    return Finding(check, "warn", f"{what}, few colours", "set TERM=xterm-256color if it has more")


def judge_port(host: str, port: int, error: OSError | None) -> Finding:
    """Judge whether a forwarder can listen on a port."""
    check, where = "port", f"port {port} of {host}"
    if error is None:
        return Finding(check, "ok", f"{where} is free" if port else f"{host} has free ports")
    if error.errno == EADDRINUSE:
        remedy = "give `forward` another --port, or stop what listens there (`gapless forwarders`)"
        return Finding(check, "fail", f"{where} is in use", remedy)
    what = f"can't listen on {where} ({error.strerror or error})"
    if error.errno in (EACCES, EPERM):
        return Finding(check, "fail", what, "give a --port above 1023, or the right to listen")
    return Finding(check, "fail", what, "check --host and --port")


class WayFacts(msgspec.Struct, frozen=True):
    """What the probe of a WebSocket found.

    Attributes:
        where: The other end.
        error: Why no WebSocket could be opened; empty if one was.
        status: HTTP status of a refused upgrade.
        is_answered: Whether the refusal is a forwarder's own.
        is_alive: Whether plain HTTP requests get through.
        ready: What the forwarder says about itself; empty if it does not answer.
    """

    where: str
    error: str = ""
    status: int | None = None
    is_answered: bool = False
    is_alive: bool = False
    ready: Mapping[str, Any] = {}


def judge_loopback(facts: WayFacts) -> Finding:
    """Judge whether viewer and forwarder of this machine can connect."""
    if not facts.error:
        return Finding("loopback", "ok", f"WebSockets to {facts.where} work")
    what = f"no WebSocket to {facts.where} ({facts.error})"
    return Finding("loopback", "fail", what, "allow loopback connections (firewall, sandbox)")


def judge_forwarder(facts: WayFacts) -> list[Finding]:
    """Judge the way to a forwarder, and what it says about itself."""
    return [_judge_way(facts), *_judge_readiness(facts)]


def _judge_way(facts: WayFacts) -> Finding:
    check = "WebSocket"
    if not facts.error:
        return Finding(check, "ok", f"{facts.where} can be reached")
    if facts.is_answered and facts.status in (401, 403):
        remedy = "give --token-file, and --allow-host to a forwarder behind a proxy"
        return Finding(check, "fail", f"{facts.where} refuses this client ({facts.error})", remedy)
    if facts.is_answered:
        remedy = "give the address as `tail` takes it, with ?group=… if it serves several"
        return Finding(check, "fail", f"{facts.where} answers: {facts.error}", remedy)
    if facts.is_alive:
        what = f"WebSockets to {facts.where} are blocked ({facts.error}); viewers poll instead"
        remedy = "let the proxy or firewall pass the headers Upgrade and Connection"
        return Finding(check, "fail", what, remedy)
    remedy = "check the address, whether the forwarder runs, and the network"
    return Finding(check, "fail", f"can't reach {facts.where} ({facts.error})", remedy)


def _judge_readiness(facts: WayFacts) -> list[Finding]:
    check, ready = "forwarder", facts.ready
    findings = [
        Finding(check, "fail", *divide(f"{group}: {one.get('reason')}"))
        for group, one in dict(ready.get("upstream") or {}).items()
    ]
    if not findings and ready.get("error"):
        findings.append(Finding(check, "fail", *divide(str(ready["error"]))))
    if skew_ms := ready.get("clock_ahead_ms"):
        what = f"its clock is {abs(skew_ms) / 1000:.0f} s {'ahead' if skew_ms > 0 else 'behind'}"
        findings.append(Finding(check, "warn", what, "set it on the forwarder's machine"))
    if not findings and ready:
        findings.append(Finding(check, "ok", "every log group is served completely"))
    return findings
