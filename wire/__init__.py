"""The wire protocol: messages, codec, digest, display order and query parameters.

``PROTOCOL.md`` describes it in prose. ``record`` has the entries of a viewer's record, which the
simulator judges. Any package may import ``wire``; it imports none of them.
"""
