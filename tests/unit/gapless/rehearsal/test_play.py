from __future__ import annotations

from gapless.commands.simulate import command
from gapless.rehearsal.play import simulate_arguments
from simulator.scenarios.scripted import SCENARIOS


def test_the_simulator_accepts_the_arguments_of_every_scenario() -> None:
    for one in SCENARIOS.values():
        context = command.make_context("simulate", simulate_arguments(one.setup))
        given = context.params
        assert given["rate"] == one.setup.rate
        assert given["executions"] == one.setup.executions
        assert given["live"] == one.setup.is_live
        assert given["group_age"] == one.setup.group_age_ms
