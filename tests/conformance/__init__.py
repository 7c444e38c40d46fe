"""PROTOCOL.md as a suite that any forwarder can be held to, from outside.

``rules`` lists what the page demands. ``observer`` holds every message of every connection
against it, whatever is being tried; the chapters (``connecting``, ``streaming``, ``asking``,
``over_http``, ``executions``) bring about the situations in which a rule can show. Nothing is
ever written to a log: what the log group does not give occasion for is *not shown*.

Of ours only ``wire`` is imported.
"""
