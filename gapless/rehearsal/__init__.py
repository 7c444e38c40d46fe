"""Rehearsals: scenarios with real simulator, forwarder and viewer processes, and their results.

Faces: chart, course, play, reactions, reports, result, runs, summary, viewer.
May import: common, simulator.client, simulator.faults, simulator.scenarios.
"""
