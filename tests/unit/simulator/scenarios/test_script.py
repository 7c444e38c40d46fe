"""Scenario files: what is written reads as the same, and what is wrong is named with its line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import EXIT_USAGE
from simulator.faults.board import FAULTS, FaultRequest, FaultSchedule, needs
from simulator.scenarios.base import (
    DAY_MS,
    Expectations,
    Heal,
    Inject,
    Scenario,
    Setup,
    Step,
    Write,
    fixed,
    heal,
    in_order,
    inject,
    say,
)
from simulator.scenarios.script import (
    ScriptError,
    format_span,
    parse_span,
    read_script,
    write_script,
)
from simulator.scenarios.scripted import SCENARIOS

FILE = """\
# A comment before everything.
name = "mine"
doc = "My own."
story = '''
What happens,
in two lines.'''

[setup]
rate = 12.5
executions = 2
source = "poll"
since = "2h"
group_age = "1d"
connect_after = "4s"
seed = 7

[[steps]]
at = "0s"
say = "It begins."

[[steps]]
at = "1.5s"
inject = "disconnect"
name = "cable"
toxicity = 1
down_ms = 2_000
after_ms = 10

[[steps]]
at = "3s"
write = false

[[steps]]
at = "5s"
heal = "cable"
say = "Over."

[[steps]]
at = "6s"
heal = "all"

[[steps]]
at = "6s"
inject = "retention_expire"

[[steps]]
at = "7s"

[expect]
result = "declared"
converged_within = "90s"
lost = 3
reconnected_within = "3s"
verified_within = "10s"
recovered_at_least = 50
state_seen = ["DEGRADED", "THROTTLED"]
"""


def test_every_key_is_read() -> None:
    found = read_script(FILE, "dir/x.toml")
    assert (found.name, found.doc, found.story) == (
        "mine",
        "My own.",
        "What happens, in two lines.",
    )
    assert found.setup == Setup(
        rate=12.5,
        executions=2,
        is_live=False,
        group_age_ms=DAY_MS,
        connect_after_ms=4_000,
        since_ms=7_200_000,
        expects="declared",
        within_ms=90_000,
        seed=7,
    )
    cable = FaultRequest("disconnect", "cable", 1.0, {"down_ms": 2_000}, FaultSchedule(after_ms=10))
    assert list(found.steps(1)) == [
        say(0, "It begins."),
        Step(1_500, Inject(cable)),
        Step(3_000, Write(running=False)),
        heal(5_000, "cable", "Over."),
        Step(6_000, Heal()),
        inject(6_000, "retention_expire"),
        Step(7_000),
    ]
    assert found.expect == Expectations(3, 3_000, 10_000, 50, ("DEGRADED", "THROTTLED"))
    assert (found.script, found.path) == (FILE, "dir/x.toml")


def test_little_is_needed() -> None:
    found = read_script('[[steps]]\nat = "1s"\n', "a b.toml")
    assert (found.name, found.setup, found.expect) == ("a-b", Setup(), Expectations())
    assert found.doc


@pytest.mark.parametrize("is_explained", [False, True])
@pytest.mark.parametrize("name", SCENARIOS)
def test_every_built_in_scenario_is_the_same_from_its_file(
    name: str, *, is_explained: bool
) -> None:
    scenario = SCENARIOS[name]
    for seed in (1, 2, 424):
        found = read_script(write_script(scenario, seed, is_explained=is_explained), "x.toml")
        assert in_order(found, seed) == in_order(scenario, seed)
        assert found.setup == scenario.setup._replace(seed=seed)
        assert found.expect == scenario.expect
        assert (found.name, found.doc) == (scenario.name, scenario.doc)
        assert found.story == " ".join(scenario.story.split())


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40).map(
    lambda text: " ".join(f"x{text}".split())
)
TIMES = st.integers(0, DAY_MS // 2 - 1)
ANYWHERE = [one for one in FAULTS.values() if not needs(one.type, 1, is_live=False)]
"""Faults that every setup allows."""


@st.composite
def requests(draw: st.DrawFn) -> FaultRequest:
    kind = draw(st.sampled_from([one for one in ANYWHERE if one.type != "visibility_delay"]))
    own = {one.name: one for one in kind.attributes}
    names = draw(st.sets(st.sampled_from(sorted(own)))) if own else set()
    values = {one: draw(st.integers(own[one].minimum, own[one].maximum)) for one in sorted(names)}
    if kind.contradiction({one.name: one.default for one in kind.attributes} | values):
        values = {}
    schedule = FaultSchedule(
        after_ms=0 if "after_ms" in own else draw(TIMES),
        for_ms=0 if "for_ms" in own else draw(TIMES),
    )
    toxicity = draw(st.none() | st.floats(0, 1, allow_subnormal=False))
    return FaultRequest(kind.type, draw(st.sampled_from(["", "a.b-c"])), toxicity, values, schedule)


@given(
    st.lists(st.tuples(TIMES, requests(), st.just("") | TEXTS), min_size=1, max_size=6),
    TEXTS,
    st.tuples(
        st.floats(0.1, 50_000), st.booleans(), st.integers(1_000, 9 * DAY_MS), st.integers(0, 2**31)
    ).map(lambda one: Setup(rate=one[0], is_live=one[1], since_ms=one[2], seed=one[3])),
    st.tuples(
        st.integers(0, 9),
        st.none() | st.integers(1, DAY_MS),
        st.sampled_from([(), ("LIVE",), ("DEGRADED", "THROTTLED")]),
    ).map(lambda one: Expectations(one[0], None, one[1], None, one[2])),
)
def test_what_is_written_reads_as_the_same(
    faults: list[tuple[int, FaultRequest, str]], text: str, setup: Setup, expect: Expectations
) -> None:
    steps = [Step(at_ms, Inject(request), says) for at_ms, request, says in faults]
    steps.append(say(DAY_MS, "Over."))
    scenario = Scenario("own", text, fixed(*steps), setup, text, expect)
    found = read_script(write_script(scenario), "x.toml")
    assert in_order(found, 1) == in_order(scenario, 1)
    assert (found.setup, found.expect, found.doc, found.story) == (setup, expect, text, text)


@given(st.integers(0, 400 * DAY_MS))
def test_a_span_is_written_exactly(ms: int) -> None:
    assert parse_span(format_span(ms)) == ms


STEP = '[[steps]]\nat = "5s"\n'

MALFORMED = {
    "no toml": ("steps = [\n", "line 2: not valid TOML", "quotes"),
    "no quotes": (f"{STEP}say = hello\n", "line 3, column 7: not valid TOML", 'at = "5s"'),
    "key twice": (f"{STEP}at = '6s'\n", "line 3, column", "not valid TOML"),
    "nested": ("x = " + "[" * 5_000, "not valid TOML", "too many brackets"),
    "empty": ("", "line 1: needs steps", "[[steps]]"),
    "no list": ("steps = 3\n", "line 1: steps: needs steps", "[[steps]]"),
    "no step": ("doc = 'x'\nsteps = []\n", "line 2: steps: needs at least one step", ""),
    "unknown section": (f"{STEP}[setups]\n", "line 3: setups: there is no key 'setups'", "setup"),
    "unknown key": (
        f"[setup]\nrates = 3\n{STEP}",
        "line 2: setup.rates: there is no key 'rates'; did you mean rate",
        "the keys are rate, executions, source",
    ),
    "section is a value": ("setup = 3\n" + STEP, "line 1: setup: must be a table", "[setup]"),
    "rate": (f"[setup]\n\nrate = 0\n{STEP}", "line 3: setup.rate: must be a number from 0.1", "0"),
    "executions": (f"[setup]\nexecutions = 1.5\n{STEP}", "whole number from 1 to 1,000", "1.5"),
    "true is no number": (
        f"[setup]\nseed = true\n{STEP}",
        "setup.seed: must be a whole",
        "not true",
    ),
    "source": (f"[setup]\nsource = 'push'\n{STEP}", "must be one of live, poll", "'push'"),
    "since": (f"[setup]\nsince = '1 hour'\n{STEP}", "must be a duration such as", "'1 hour'"),
    "too early": (f"[setup]\nsince = '0s'\n{STEP}", "must be from 1s to 365d", "'0s'"),
    "too late": ("[[steps]]\nat = '100000d'\n", "must be from 0s to 1d", "not '100000d'"),
    "much too late": ("[[steps]]\nat = '12345678901s'\n", "must be from 0s to 1d", "not '12345"),
    "too old": (f"[setup]\ngroup_age = '9999w'\n{STEP}", "must be from 0s to 365d", "'9999w'"),
    "no time": ("[[steps]]\nsay = 'x'\n", "line 1: steps[1]: has no time", 'at = "5s"'),
    "time": ("[[steps]]\nat = 5\n", "line 2: steps[1].at: must be a duration", "5"),
    "unknown fault": (
        f"{STEP}\n[[steps]]\nat = '6s'\n# why\ninject = 'disconect'\n",
        "line 7: steps[2].inject: no fault is called 'disconect'; did you mean disconnect?",
        "",
    ),
    "quite unknown": (f"{STEP}inject = 'qqqq'\n", "no fault is called 'qqqq'", "inject --list"),
    "unknown attribute": (
        f"{STEP}inject = 'disconnect'\ndown = 3\n",
        "line 4: steps[1].down: disconnect has no key 'down'; did you mean down_ms",
        "the keys are at, say, inject, heal, write, name",
    ),
    "attribute of nothing": (
        f"{STEP}down_ms = 3\n",
        "there is no key 'down_ms'",
        "the keys are at",
    ),
    "out of bounds": (
        f"{STEP}inject = 'close'\ncode = 70\n",
        "line 4: steps[1].code: must be a whole number from",
        "70",
    ),
    "share": (
        f"{STEP}inject = 'close'\ntoxicity = 2\n",
        "toxicity: must be a number from 0 to 1",
        "",
    ),
    "contradiction": (
        f"{STEP}inject = 'visibility_delay'\ndelay_ms = 1\njitter_ms = 2\n",
        "line 1: steps[1]: ",
        "jitter_ms",
    ),
    "repetition": (
        f"{STEP}inject = 'latency'\nevery_ms = 100\n",
        "line 1: steps[1]: every_ms is 100, and latency lasts until healed",
        "give a for_ms",
    ),
    "two actions": (
        f"{STEP}inject = 'close'\nheal = 'all'\n",
        "line 4: steps[1].heal: a step does",
        "",
    ),
    "heals nothing": (
        f"{STEP}inject = 'close'\n[[steps]]\nat = '9s'\nheal = 'clos'\n",
        "line 6: steps[2].heal: no step before it injects 'clos'; did you mean close",
        "it accepts close, all",
    ),
    "fault called all": (f"{STEP}inject = 'close'\nname = 'all'\n", "must not be 'all'", "another"),
    "bad name": (f"{STEP}inject = 'close'\nname = 'a b'\n", "must be a name of letters", "'a b'"),
    "write": (f"{STEP}write = 1\n", "steps[1].write: must be true or false", "1"),
    "state": (
        f"{STEP}\n[expect]\nstate_seen = 'DEGRADE'\n",
        "line 5: expect.state_seen: must be one of CONNECTING",
        "did you mean DEGRADED",
    ),
    "expectation": (f"{STEP}[expect]\nlost = -1\n", "line 4: expect.lost: must be a whole", "-1"),
    "bound": (f"{STEP}[expect]\nverified_within = '0s'\n", "must be from 1ms to 1d", "'0s'"),
    "never connects": (
        f"[setup]\nconnect_after = '9s'\n{STEP}",
        "line 2: setup.connect_after: must be before the last step",
        "",
    ),
    "long text": (
        f"doc = '{'x' * 3000}'\n{STEP}",
        "line 1: doc: must be a text of 1 to 2,000",
        "…",
    ),
    "within a text": (
        f'story = """\na\n\nb\n"""\nrate = 3\n{STEP}',
        "line 6: rate: there is no",
        "",
    ),
    "of an inline table": (
        "steps = [\n{at = '1s'},\n{at = 1},\n]\n",
        "line 3: steps[2].at: must",
        "",
    ),
    "a long number": (
        f"{STEP}inject = 'close'\ncode = {'9' * 5_000}\n",
        "line 4: a number",
        "smaller",
    ),
    "a long number in hex": (
        f"{STEP}inject = 'close'\ncode = 0x{'f' * 5_000}\n",
        "line 4: steps[1].code: must be a whole number from",
        "a number of thousands of digits",
    ),
    "fault is a list": (f"{STEP}inject = ['close']\n", "no fault is called ['close']", "--list"),
    "fault is a table": (f"{STEP}inject = {{type = 'close'}}\n", "no fault is called {", "--list"),
    "a date": ("[[steps]]\nat = 2020-01-01\n", "must be a duration such as", "not 2020-01-01"),
    "one step": ("[[step]]\nat = '5s'\n", "there is no key 'step'; did you mean steps?", ""),
    "key of another table": (
        f"rate = 5\n{STEP}",
        "line 1: rate: there is no key 'rate', which belongs below [setup]",
        "",
    ),
    "a step's key above it": (f"at = '5s'\n{STEP}", "'at', which belongs below [[steps]]", ""),
    "attribute without a fault": (
        f"{STEP}down_ms = 3\n",
        "'down_ms', which belongs to a step with an inject",
        "",
    ),
    "lines of Windows": (
        f"{STEP}down_ms = 1\n".replace("\n", "\r\n"),
        "line 3: steps[1].down_ms",
        "",
    ),
    "byte order mark": ("\ufeff[[steps]]\nat = 5\n", "line 2: steps[1].at: must be a dur", ""),
    "UTF-16": ("[\0[\0s\0", "it has NUL characters", "save it as a text in UTF-8"),
    "table twice": ("[setup]\n[setup]\n", "line 2, column 7", "'[setup]' stands twice"),
    "JSON": ('{"steps": []}', "this may be JSON", 'at = "5s"'),
    "YAML": ("steps:\n  - at: 5s\n", "line 1, column 6", "key = value"),
    "backwards": (
        "[[steps]]\nat = '9s'\n[[steps]]\nat = '5s'\n",
        "line 4: steps[2].at: is before the step above it, at 9s",
        "in the order of time",
    ),
    "many steps": (STEP * 10_001, "line 20001: steps[10001]: is one of more than 10,000", ""),
    "no state": (f"{STEP}[expect]\nstate_seen = []\n", "must be one or more of CONN", "not []"),
    "lower case": (
        f"{STEP}[expect]\nstate_seen = 'degraded'\n",
        "not 'degraded'",
        "did you mean DEGRADED?",
    ),
    "at the end": (
        f"{STEP}inject = 'disconnect'\ndown_ms = 3_000\n",
        "line 3: steps[1].inject: disconnect would be healed at once",
        'such as [[steps]] at = "8s"',
    ),
    "after the end": (
        f"{STEP}inject = 'close'\nafter_ms = 2_000\n[[steps]]\nat = '6s'\n",
        "line 3: steps[1].inject: close would be healed at once",
        'such as [[steps]] at = "9s"',
    ),
    "no cluster": (
        f"{STEP}inject = 'owner_crash'\n[[steps]]\nat = '9s'\n",
        "line 3: steps[1].inject: owner_crash needs several forwarders",
        "add forwarders = 3 to [setup]",
    ),
    "no single forwarder": (
        f"[setup]\nforwarders = 3\n{STEP}inject = 'disk_full'\n[[steps]]\nat = '9s'\n",
        "line 5: steps[1].inject: disk_full needs a single forwarder",
        "leave forwarders out of [setup]",
    ),
    "no subscription": (
        f"[setup]\nsource = 'poll'\n{STEP}inject = 'subscription_stop'\n[[steps]]\nat = '9s'\n",
        "subscription_stop needs a subscription",
        'write source = "live"',
    ),
    "nothing deletes": (
        f"{STEP}[expect]\nresult = 'declared'\n",
        'line 4: expect.result: "declared" needs a step with inject = "retention_expire"',
        "",
    ),
    "nothing to recover from": (
        f"{STEP}[expect]\nrecovered_at_least = 1\n",
        "line 4: expect.recovered_at_least: is about what the viewer does after a fault",
        "add a step with an inject",
    ),
    "nothing to see": (
        f"{STEP}[expect]\nstate_seen = ['LIVE', 'THROTTLED']\n",
        "line 4: expect.state_seen: is about",
        "add a step",
    ),
    "large": ("#" * (300 << 10), "a scenario file has 256 KiB at most", ""),
}


@pytest.mark.parametrize(("text", "said", "remedy"), MALFORMED.values(), ids=list(MALFORMED))
def test_an_error_names_the_line_the_key_and_a_remedy(text: str, said: str, remedy: str) -> None:
    with pytest.raises(ScriptError) as caught:
        read_script(text, "my/own.toml")
    line = str(caught.value)
    assert line.startswith("my/own.toml")
    assert said in line
    assert remedy in line
    assert "\n" not in line
    assert len(line) < 500
    assert caught.value.exit_code == EXIT_USAGE


@pytest.mark.parametrize("text", ["\ufeff" + STEP, STEP.replace("\n", "\r\n")])
def test_files_of_windows_are_read(text: str) -> None:
    assert list(read_script(text, "x.toml").steps(1)) == [Step(5_000)]


def test_a_fault_of_an_instant_may_be_the_last_step() -> None:
    found = read_script(f"{STEP}inject = 'burst'\n", "x.toml")
    assert list(found.steps(1)) == [inject(5_000, "burst")]


@pytest.mark.parametrize("is_expected", ["state_seen = 'LIVE'", "recovered_at_least = 0"])
def test_expectations_that_need_no_fault(is_expected: str) -> None:
    assert read_script(f"{STEP}[expect]\n{is_expected}\n", "x.toml")


def test_the_line_is_found_in_a_long_file() -> None:
    text = STEP * 300 + 'say = """\n' + "x\n" * 60 + '"""\nrate = 1\n'
    with pytest.raises(ScriptError, match=r"line 663: steps\[300\].rate"):
        read_script(text, "x.toml")


@given(st.text(max_size=200))
def test_any_other_text_is_an_error(text: str) -> None:
    with pytest.raises(ScriptError, match=r"x\.toml"):
        read_script(text, "x.toml")


def test_attributes_have_no_name_of_a_steps_key() -> None:
    for kind in FAULTS.values():
        own = {one.name for one in kind.attributes}
        assert not own & {"at", "say", "inject", "heal", "write", "name", "toxicity"}
        assert inject(0, kind.type).action == Inject(FaultRequest(type=kind.type))
