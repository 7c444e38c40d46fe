"""What each viewer gets: hubs fan out, sessions decide the next message, all without I/O.

Faces: hub, declared, frames, backfill.
May import: live, reconcile, ingest, journal, config, records, errors, common, wire.
"""
