"""The commands, one a module, each imported only when it is run.

Faces: none; ``gapless.cli`` imports them by name.
May import: everything but gapless.cli.
"""
