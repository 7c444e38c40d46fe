"""What a forwarder serves against what CloudWatch Logs itself returns, event by event."""
