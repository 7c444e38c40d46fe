"""Live paths: subscription filters push events through Kinesis sooner than polls find them.

A live path is never trusted: what it brings may be duplicated, late, missing or wrong. It changes
latency alone; its events are deduplicated like all others, and only scans prove anything.

Faces: receiver, subscriptions.
May import: ingest, journal, cloudwatch, config, records, errors, common, wire.
"""
