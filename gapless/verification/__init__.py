"""Compares what a forwarder serves with what CloudWatch Logs itself returns, event by event.

Faces: sources, verifier.
May import: common, wire, forwarder.cloudwatch; gapless.options.
"""
