"""The commands, one a module, each imported by ``gapless.cli`` only when it runs.

Faces: demo, executions, forward, groups, inject, replay, scenario, simulate, tail, verify.
May import: everything but gapless.cli.
"""
