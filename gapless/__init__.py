"""The command: parses, wires the parts as processes; the only place that knows all of them."""

__version__ = "0.1.0"
