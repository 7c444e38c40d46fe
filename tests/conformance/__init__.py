"""Checks any forwarder against PROTOCOL.md over its WebSocket and HTTP interfaces.

``rules`` lists the protocol's rules. ``observer`` checks every message of every connection.
``chapters`` holds the scenarios that exercise the rules, ``suite`` runs them. The suite writes no
log events: a rule that the log group's content cannot exercise is reported as *not shown*.

Of the product, checks use only ``wire``; ``__main__`` also uses ``common`` and ``gapless``.
"""
