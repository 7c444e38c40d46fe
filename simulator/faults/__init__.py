"""The 63 faults, in six families: a table of rows each, and the board that switches them.

Faces: base, board.
May import: workload, cloudwatch, oracle, network, acceptance, errors.
"""
