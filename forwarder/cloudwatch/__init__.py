"""forwarder/cloudwatch."""
