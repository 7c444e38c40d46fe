"""Which log groups are served: starts and stops their feeds while the forwarder runs.

Faces: keeper, journals, listing, opening, served.
May import: delivery, live, reconcile, ingest, journal, cloudwatch,
    config, records, targets, errors, wire.
"""
