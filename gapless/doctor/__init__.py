"""What a bug report needs: the versions, and whether everything that gapless uses works.

Probes try things out and return facts; ``judging`` and ``aws_judging`` turn those into findings,
each with cause and remedy, without any input or output.

Faces: aws_judging, aws_probe, findings, judging, machine_probe, versions.
May import: common, wire, forwarder; gapless.aws, gapless.extras, gapless.targets.
"""
