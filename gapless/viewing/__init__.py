"""The viewer as the commands run it: on screen or as output, reopened for what the user picks.

Faces: controls, model, opening, replay, screen, sources, watch.
May import: common, wire, tui, simulator.client; gapless.aws, gapless.targets and gapless.terminal.
"""
