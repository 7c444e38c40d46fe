"""Receives, stores and verifies the events of each target, and keeps the cursors.

The engine runs it; session, holdings, proof, tally, history and the polling plan are pure.

Faces: engine, membership, target, saved, status, refetch.
May import: tui.lines, common, wire.
"""
