"""What simulated executions write to CloudWatch, and the thread that writes it.

Faces: workload, writer.
May import: simulator.oracle, simulator.acceptance, simulator.errors.
"""
