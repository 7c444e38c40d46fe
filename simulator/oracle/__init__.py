"""simulator/oracle."""
