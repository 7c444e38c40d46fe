"""Rehearsals: scenarios with real simulator, forwarder and viewer processes, and their results.

Faces: play, result, runs, viewer.
May import: common, simulator.client, simulator.scenarios.
"""
