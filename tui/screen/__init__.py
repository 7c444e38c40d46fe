"""The Textual application: it shows an engine's timeline and status, and answers the keys.

Faces: app, columns, ports, terminal, theme.
May import: replay, output, render, client, lines, common, wire.
"""
