"""The 50 faults, in five families: a table of rows each, and the board that switches them.

Faces: base, board.
May import: workload, cloudwatch, oracle, network, acceptance, errors.
"""
