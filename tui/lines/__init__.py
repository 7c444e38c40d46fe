"""The log lines in memory: sorted, packed, filtered and counted, and which of them are on screen.

Pure: nothing here draws, waits or reads a clock.

Faces: rows, levels, structure, expressions, matching, timeline, view, viewport, filters, counts,
keys, packed, patterns.
May import: common.ranges, wire.
"""
