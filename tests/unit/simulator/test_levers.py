from __future__ import annotations

import pytest

from simulator.acceptance import Visibility
from simulator.cloudwatch.app import listen
from simulator.errors import SimulatorError
from simulator.levers import CloudWatchLink


def test_unpatched_moto_has_no_levers() -> None:
    link = CloudWatchLink("http://127.0.0.1:1", "moto", Visibility())
    with pytest.raises(SimulatorError, match="--cloudwatch faithful"):
        link.pull("a", "visibility_delay", {}, 1.0, 1)


def test_a_stand_in_that_is_gone_is_said() -> None:
    with listen(0) as listener:
        port = listener.getsockname()[1]
    link = CloudWatchLink(f"http://127.0.0.1:{port}", "faithful", Visibility())
    with pytest.raises(SimulatorError, match="did not answer"):
        link.pull("a", "visibility_delay", {"delay_ms": 1, "jitter_ms": 0}, 1.0, 1)
    with pytest.raises(SimulatorError, match="did not answer"):
        link.release("a")
