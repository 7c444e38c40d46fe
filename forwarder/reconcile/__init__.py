"""Decides and runs the scans of each log group: polls, rescans, backfill, refetches, maintenance.

Faces: demand, ecs, feed, schedule.
May import: forwarder.ingest, forwarder.journal, forwarder.cloudwatch, forwarder.config.
"""
