"""Prints lines without a screen, and writes the record.

Faces: plain, consumer, record, formats, templates, ordering.
May import: tui.render, tui.client, tui.lines, common, wire.
"""
