"""The network between viewer and forwarder: a cable that can be unplugged, slowed or corrupted.

Faces: cable, crowd, http_server, toxics.
May import: simulator.errors.
"""
