"""The ``gapless`` command: parses arguments, and starts and connects the other packages.

Faces: cli.
May import: everything.
"""

__version__ = "0.2.0"
