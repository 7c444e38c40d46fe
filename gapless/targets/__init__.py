"""TARGET arguments: what they mean, what they match, and completing them in a shell.

Faces: completion, executions, grammar, listing, reading.
May import: common, wire, forwarder.cloudwatch; gapless.aws, gapless.settings, gapless.terminal.
"""
