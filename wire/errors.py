"""The error that any malformed input from the network raises."""

from __future__ import annotations


class WireError(ValueError):
    """A message, a response body or a request parameter violates the protocol.

    The text is one line that names what is wrong. It repeats only a few characters of the input,
    with control characters escaped, so that it is safe to log and to show.
    """
