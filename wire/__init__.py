"""The contract between forwarder and viewer: messages, codec, digest and display order.

Imports nothing of the project; everything else imports this. ``PROTOCOL.md`` is its prose.
"""
