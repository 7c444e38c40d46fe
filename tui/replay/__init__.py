"""Plays a record, or another tool's log, as if its lines arrived now.

Reading, tape, playback and status are pure; the engine loads a file and moves along it.

Faces: engine, reading, recording.
May import: tui.output, tui.render, tui.client, tui.lines, common, wire.
"""
