"""The ``gapless`` command, also as ``python -m gapless``."""

from __future__ import annotations

import signal
from typing import NoReturn


def main() -> NoReturn:
    """Run the command and exit."""
    is_interruptible = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_interruptible:
        # Ctrl+C while the imports run, which takes a moment, would print a traceback.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from gapless import cli  # noqa: PLC0415 - only now

    if is_interruptible:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    cli.main()


if __name__ == "__main__":
    main()
