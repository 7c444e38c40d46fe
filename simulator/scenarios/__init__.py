"""Scenarios: timed steps that switch faults and follow from a seed, and what runs them.

Faces: base, chaos, conductor, recorded, script, scripted.
May import: common, wire, faults, workload, cloudwatch, oracle, network, acceptance, errors.
"""
