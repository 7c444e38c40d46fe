"""The durable, numbered record of each log group's events, in order of discovery.

Faces: contract, sqlite, totals.
May import: records, errors, common, wire.
"""
