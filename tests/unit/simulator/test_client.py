from __future__ import annotations

from collections.abc import Callable

import pytest

from common.http import TIMEOUT_S
from simulator import client, levers
from simulator.client import ControlApi
from simulator.programs import cluster

URL = "http://127.0.0.1:6"


@pytest.mark.parametrize(
    "call",
    [
        lambda api: api.switch_on({"type": "owner_pause"}),
        lambda api: api.switch_off("owner_pause"),
        lambda api: api.heal(),
        lambda api: api.stop_scenario(),
    ],
)
def test_a_switch_is_waited_for_as_long_as_the_simulator_may_take(
    monkeypatch: pytest.MonkeyPatch, call: Callable[[ControlApi], object]
) -> None:
    waits: list[float] = []

    def ask(url: str, *, timeout_s: float = TIMEOUT_S, **_: object) -> dict[str, object]:
        assert url.startswith(URL)
        waits.append(timeout_s)
        return {}

    monkeypatch.setattr(client, "request", ask)
    call(ControlApi(URL))
    # Its own, and that of another fault before it.
    assert waits[0] > 2 * max(levers.TIMEOUT_S, cluster.OWNER_WITHIN_S)
