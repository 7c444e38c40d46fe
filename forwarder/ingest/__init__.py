"""The one way into the journal, and the conclusions from whole scans: marks, gaps, ends. Pure.

Faces: log_group, alterations, scan, executions, retention, followed.
May import: cluster, journal, config, records, errors, common, wire.
"""
