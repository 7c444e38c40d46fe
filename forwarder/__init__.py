"""CloudWatch Logs to WebSocket: a numbered, resumable, verifiable stream.

Faces: main, config, errors, records, targets.
May import: common, wire.
"""
