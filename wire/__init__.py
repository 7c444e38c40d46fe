"""The wire protocol: messages, codec, digest, display order and query parameters.

``PROTOCOL.md`` describes it in prose. Any package may import ``wire``; it imports none of them.
"""
