"""forwarder/delivery."""
