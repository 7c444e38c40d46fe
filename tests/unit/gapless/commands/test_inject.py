from __future__ import annotations

from pathlib import Path

import pytest

from gapless import cli
from gapless.commands.inject import fault_request
from gapless.errors import UsageError

TYPES = [
    {"type": "disconnect", "attributes": [{"name": "down_ms"}, {"name": "every_ms"}]},
    {"type": "blackhole", "attributes": [{"name": "for_ms"}]},
]


def test_attributes_toxicity_name_and_schedule_find_their_places() -> None:
    given = ["down_ms=3000", "toxicity=0.5", "name=cut", "after_ms=10", "for_ms=20"]
    assert fault_request("disconnect", given, TYPES) == {
        "type": "disconnect",
        "name": "cut",
        "toxicity": 0.5,
        "attributes": {"down_ms": 3000},
        "schedule": {"after_ms": 10, "for_ms": 20},
    }


def test_a_fault_s_own_attribute_goes_before_the_schedule_s() -> None:
    asked = fault_request("blackhole", ["for_ms=20"], TYPES)
    assert asked["attributes"] == {"for_ms": 20}
    assert asked["schedule"] == {}


@pytest.mark.parametrize(
    ("fault", "given", "says"),
    [
        ("earthquake", [], "there are: disconnect, blackhole"),
        ("disconnect", ["down_ms"], "is not KEY=VALUE"),
        ("disconnect", ["down_ms=long"], "is not a whole number"),
        ("disconnect", ["toxicity=much"], "is not a number"),
    ],
)
def test_mistakes(fault: str, given: list[str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        fault_request(fault, given, TYPES)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["inject", "disconnect"], 3, "no simulator is running: start one with"),
        (["inject", "--heal", "disconnect", "a=1"], 2, "--heal takes no KEY=VALUE"),
        (["inject", "disconnect", "--control", "localhost:1"], 2, "is not a URL"),
        (["inject", "disconnect", "--control", "http://127.0.0.1:1"], 3, "cannot reach"),
    ],
)
def test_what_can_go_wrong_before(
    arguments: list[str],
    code: int,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GAPLESS_STATE_DIR", str(tmp_path))
    assert cli.run(arguments) == code
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
