"""Every bound of what a stranger can make the server spend, with its reason.

The protocol's own (sizes of frames, of the request line) are in ``wire.limits``. What a person may
have to change, since a proxy stands in front or viewers are many, is in ``Limits``.
"""

from __future__ import annotations

from typing import Final

import msgspec

HANDSHAKE_S: Final = 10.0
"""For a request to come whole, and TLS before it: who sends it byte by byte holds a socket no
longer (slow loris)."""

ANSWER_S: Final = 30.0
"""For an HTTP answer to be made and read: a page of 4 MiB at 140 kB/s."""

CLOSE_S: Final = 2.0
"""For the closing handshake, and for a refusal to be read; whoever does not is aborted."""

SEND_S: Final = 10.0
"""A frame that takes longer to be read is given up: the viewer reads too slowly (4008)."""

STOP_S: Final = 4.0
"""For everybody to take their leave when the server stops."""

HEADERS_MAX: Final = 64
"""Header lines of a request: browsers send about 20, proxies add a few."""

HEAD_BYTES_MAX: Final = 32 << 10
"""Request line and headers together: the largest request line, and cookies of other programs on
the same host. Without it 64 lines of 8 KiB would be half a megabyte for every socket."""

MESSAGE_BYTES_MAX: Final = 64 << 10
"""Larger ones are not even read; from 4 KiB on they are bad messages (4501) anyway."""

FRAMES_PER_S: Final = 200.0
"""WebSocket frames of one viewer, pings included, for each of which the server must do
something: ours sends one in two seconds, and one for every 10,000 events."""

FRAMES_BURST: Final = 1_000
"""Frames that may come at once: what has piled up behind a connection that hung for seconds."""

ASKS_PER_S: Final = 10.0
"""``verify`` and ``repair`` of one viewer: each may read a large part of the journal, and ours
waits for the answer before it asks again."""

ASKS_BURST: Final = 100
"""Of those at once; more than 64 that wait are too many in any case."""

VIEWERS_MAX: Final = 1_000
SPARE_SOCKETS: Final = 1_000
"""Connections beside the viewers': HTTP, and those that have not asked for anything yet."""

ADDRESS_SOCKETS_MAX: Final = 256
"""Connections from one address (one /64 of IPv6), so that a single machine can't take them all.
Loopback has no such bound: there every user of this machine, and any proxy, is one address."""

REQUESTS_PER_SOCKET_S: Final = 0.2
"""Plain HTTP requests a second from one address, for each connection that it may have open: 51 by
default. A viewer that polls, the WebSocket being blocked, asks once in 10 s, and page after page
while it fetches the past; who raises one bound for a proxy in front raises the other with it."""

REQUESTS_PER_SOCKET_BURST: Final = 2
"""Of those at once, likewise: 512 by default, as when many viewers behind one address begin."""

REFUSED_SOCKETS: Final = 200
"""Connections beyond the bound that are still told 503; those beyond are closed unheard."""

RESERVED_DESCRIPTORS: Final = 128
"""File descriptors that sockets must leave: journal, CloudWatch, the process's own."""

GUESSES_PER_MINUTE: Final = 6.0
"""Wrong tokens from one address, after ``GUESSES_BURST``: a typing error is soon forgiven."""

GUESSES_BURST: Final = 10
"""Wrong tokens from one address at once: several viewers with last week's token."""

ADDRESSES_MAX: Final = 10_000
"""Addresses whose wrong tokens, or requests, are remembered; the ones that were quiet longest are
forgotten."""

LARGE_ANSWER_BYTES: Final = 64 << 10
"""HTTP answers from this size on wait in memory until they are read."""

LARGE_ANSWERS_MAX: Final = 16
"""Such answers at once: 16 of at most 4 MiB; who asks meanwhile waits for its turn."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The bounds that a deployment may need otherwise."""

    viewers_max: int = VIEWERS_MAX
    address_sockets_max: int | None = None
    """None: ``ADDRESS_SOCKETS_MAX``, and no bound for loopback; a number bounds loopback, too."""

    @property
    def sockets_max(self) -> int:
        """Connections of any kind."""
        return self.viewers_max + SPARE_SOCKETS
