"""The one error that malformed input of any kind gives."""

from __future__ import annotations


class WireError(ValueError):
    """What came over the wire, or a parameter of a request, does not keep to the protocol.

    The text is one line, names what is wrong, and never repeats more than a few characters of
    the input, so that it can be logged and shown.
    """
