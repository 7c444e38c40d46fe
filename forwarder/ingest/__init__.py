"""forwarder/ingest."""
