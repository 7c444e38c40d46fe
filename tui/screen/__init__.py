"""The Textual application: it shows an engine's timeline and status, and answers the keys.

Faces: app, columns, ports, theme.
May import: replay, output, render, client, lines, common, wire.
"""
