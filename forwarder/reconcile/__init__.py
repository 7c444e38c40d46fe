"""Decides and runs the scans of each log group: polls, rescans, backfill, refetches, maintenance.

Faces: feed, demand, ecs.
May import: ingest, journal, cloudwatch, config, records, errors, common, wire.
"""
