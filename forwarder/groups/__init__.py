"""Which log groups are served: starts and stops their feeds while the forwarder runs.

Faces: keeper, journals, listing, opening, replica, served.
May import: delivery, live, reconcile, ingest, cluster, journal, cloudwatch,
    config, records, targets, errors, wire.
"""
