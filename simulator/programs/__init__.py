"""The programs that faults harm: forwarders, viewers, a clock, and a cluster with its PostgreSQL.

Faces: clock, cluster, forwarder, postgres, viewers.
May import: faults, network, errors.
"""
