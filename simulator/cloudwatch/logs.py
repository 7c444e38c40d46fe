"""What is stored, as far as levers may reach it."""

from __future__ import annotations

import threading

from simulator.visibility import Regime, Visibility


class Logs:
    """The stored logs of this process."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.lock = threading.RLock()
        self.visibility = Visibility()

    def impose(self, regime: Regime) -> None:
        """Delay what is ingested while the regime holds."""
        self.visibility.impose(regime)

    def heal(self, name: str, now_ms: int) -> None:
        """Show what the regimes of that name hide."""
        self.visibility.heal(name, now_ms)
