"""A stand-in for CloudWatch Logs on moto, faults on demand, and an oracle that judges."""
