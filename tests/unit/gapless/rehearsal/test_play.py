from __future__ import annotations

from gapless.commands.simulate import command
from gapless.rehearsal.play import simulate_arguments
from simulator.scenarios.scripted import SCENARIOS


def test_the_simulator_accepts_the_arguments_of_every_scenario() -> None:
    for setup in [one.setup_for(seed) for one in SCENARIOS.values() for seed in (1, 5)]:
        context = command.make_context("simulate", simulate_arguments(setup))
        given = context.params
        assert given["rate"] == setup.rate
        assert given["executions"] == setup.executions
        assert given["live"] == setup.is_live
        assert given["group_age"] == setup.group_age_ms
        assert given["forwarders"] == setup.forwarders
