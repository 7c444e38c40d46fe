"""Sockets and HTTP: admission control, the HTTP API, and each viewer's connection.

Faces: server, api, admission, status, tokens.
May import: groups, delivery, live, reconcile, ingest, journal, cloudwatch,
    config, records, errors, wire.
"""
