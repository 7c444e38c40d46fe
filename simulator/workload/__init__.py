"""simulator/workload."""
