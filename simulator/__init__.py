"""The simulator: a CloudWatch stand-in on moto, faults on demand, and an oracle that judges.

Faces: client, main.
May import: common, wire.
"""
