"""CloudWatch Logs to WebSocket: a numbered, resumable, verifiable stream.

Faces: main, config, errors.
May import: common, wire.
"""
