"""The ``gapless`` command, also as ``python -m gapless``."""

from __future__ import annotations

import signal
from typing import NoReturn


def main() -> NoReturn:
    """Run the command and exit."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Ctrl+C while the imports run, which takes a moment, would print a traceback.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from gapless import cli  # noqa: PLC0415 - only now

    cli.main()


if __name__ == "__main__":
    main()
