"""simulator/network."""
