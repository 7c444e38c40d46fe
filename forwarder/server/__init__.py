"""forwarder/server."""
