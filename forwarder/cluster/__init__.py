"""A journal shared by several forwarders: a numbered log in a common engine, and local views.

Faces: log, entries, status, view, replicated, postgres, engine, catching_up, presence,
    wants.
May import: journal, records, errors, common, wire.
"""
