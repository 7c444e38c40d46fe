"""Scenarios: timed steps that switch faults and follow from a seed, and what runs them.

Faces: base, chaos, conductor, scripted.
May import: faults, workload, cloudwatch, oracle, network, acceptance, errors.
"""
