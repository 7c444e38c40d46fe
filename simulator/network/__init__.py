"""The network between viewer and forwarder: a cable that can be unplugged, slowed or corrupted.

Faces: cable, crowd, toxics.
May import: simulator.errors.
"""
