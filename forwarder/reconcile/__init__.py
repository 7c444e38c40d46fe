"""forwarder/reconcile."""
