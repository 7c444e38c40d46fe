"""The application is driven on a terminal that is the same everywhere."""

from __future__ import annotations

from tests.support.terminal import same_terminal

__all__ = ["same_terminal"]
