"""CloudWatch Logs to WebSocket: a numbered, resumable, verifiable stream."""
