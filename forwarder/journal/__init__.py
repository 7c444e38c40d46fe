"""The durable, numbered record of each log group's events, in order of discovery.

Faces: contract, sqlite, database, tables, totals.
May import: records, errors, common, wire.
"""
