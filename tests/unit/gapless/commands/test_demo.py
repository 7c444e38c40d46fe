from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import pytest

from common.errors import EXIT_FAILURE, EXIT_USAGE, GaplessError
from common.processes import ChildFailedError
from gapless import cli
from gapless.commands import demo
from gapless.viewing.model import Viewing
from gapless.viewing.opening import Opener, SameTargetsOpener
from gapless.web import server
from simulator.client import ControlApi

READY = {
    "ready": True,
    "websocket": "ws://127.0.0.1:5/v1/tail",
    "control": "http://127.0.0.1:6",
    "group": "/gapless/demo",
}


class FakePart:
    """A simulator that is ready at once, and ends when it is told."""

    def __init__(self) -> None:
        self.is_running = True
        self.arguments: list[str] = []

    def ready(self) -> dict[str, Any]:
        return READY

    def failure(self) -> ChildFailedError:
        return ChildFailedError("the simulator broke down", EXIT_FAILURE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *given: object) -> None:
        self.is_running = False


@pytest.fixture
def part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePart:
    one = FakePart()

    def start(name: str, arguments: list[str]) -> FakePart:
        assert name == "the simulator"
        one.arguments = arguments
        held = Path(arguments[-1])
        assert held.exists()
        return one

    monkeypatch.setenv("GAPLESS_STATE_DIR", str(tmp_path))
    monkeypatch.setattr(demo, "start_gapless", start)
    return one


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> list[Viewing]:
    seen: list[Viewing] = []

    def watch(viewing: Viewing, opener: Opener) -> int:
        assert isinstance(opener, SameTargetsOpener)
        seen.append(viewing)
        return 0

    monkeypatch.setattr(demo, "watch", watch)
    return seen


def test_the_viewer_watches_what_the_simulator_serves_from_the_beginning(
    part: FakePart, watched: list[Viewing], tmp_path: Path
) -> None:
    assert cli.run(["demo", "--seed", "7", "--connect-after", "0s", "--cloudwatch", "moto"]) == 0
    assert part.arguments[:5] == ["simulate", "--seed", "7", "--cloudwatch", "moto"]
    (viewing,) = watched
    assert viewing.targets[0].url == READY["websocket"]
    assert viewing.targets[0].group == READY["group"]
    assert viewing.control == READY["control"]
    assert viewing.since is not None
    assert not part.is_running
    assert list((tmp_path / "lifelines").iterdir()) == []


def test_a_scenario_is_played_with_its_setup(
    part: FakePart, watched: list[Viewing], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[tuple[str, int]] = []

    def run_scenario(api: ControlApi, name: str, seed: int, speed: float) -> None:
        del api, speed
        begun.append((name, seed))

    waited: list[int] = []
    monkeypatch.setattr(ControlApi, "run_scenario", run_scenario)
    monkeypatch.setattr(demo, "_count_down", lambda wait_ms, _: waited.append(wait_ms))
    assert cli.run(["demo", "--scenario", "retention", "--seed", "7"]) == 0
    assert begun == [("retention", 7)]
    assert "--no-live" in part.arguments
    assert waited == [12_000]
    (viewing,) = watched
    assert "F2" in viewing.notice
    part.is_running = True
    assert cli.run(["demo", "--scenario", "retention", "--connect-after", "1s"]) == 0
    assert waited == [12_000, 1_000]


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        ([], "1"),
        (["--forwarders", "2"], "2"),
        (["--scenario", "failover"], "3"),
        (["--scenario", "failover", "--forwarders", "4"], "4"),
    ],
)
def test_a_cluster_has_as_many_forwarders_as_are_needed(
    part: FakePart,
    watched: list[Viewing],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    count: str,
) -> None:
    monkeypatch.setattr(ControlApi, "run_scenario", lambda *_: None)
    assert cli.run(["demo", *arguments]) == 0
    assert part.arguments[part.arguments.index("--forwarders") + 1] == count
    assert watched


def test_an_unknown_scenario_is_an_error(
    watched: list[Viewing], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["demo", "--scenario", "nonsense"]) == 2
    assert "no scenario is called 'nonsense'; there are: late-connect" in capsys.readouterr().err
    assert watched == []


def test_demo_web_serves_a_page_with_a_viewer_for_each_tab(
    part: FakePart,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    served: list[str] = []

    def serve(
        title: str,
        viewer: list[str],
        *,
        port: int,
        is_needed: Callable[[], bool],
        announce: Callable[[str], None],
    ) -> int:
        assert title == "/gapless/demo · gapless"
        assert port == 8
        assert is_needed()
        announce("http://127.0.0.1:8/secret/")
        served.extend(viewer)
        return 143

    monkeypatch.setattr(server, "serve", serve)
    assert cli.run(["demo", "--web", "--port", "8", "--notify", "bell"]) == 143
    said = "gapless: watch it at http://127.0.0.1:8/secret/ (Ctrl+C ends it)\n"
    assert capsys.readouterr().err == said
    given = dict(zip(served[1::2], served[2::2], strict=True))
    assert served[0] == "tab"
    assert given["--websocket"] == READY["websocket"]
    assert given["--control"] == READY["control"]
    assert (given["--notify"], given["--notice"]) == ("bell", "")
    assert given["--while-held"] == part.arguments[-1]


@pytest.mark.usefixtures("part")
def test_what_is_shown_is_recorded(watched: list[Viewing], tmp_path: Path) -> None:
    assert cli.run(["demo", "--record", str(tmp_path / "run.ndjson")]) == 0
    assert [one.record for one in watched] == [tmp_path / "run.ndjson"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--record", "/nowhere/run.ndjson"], "its folder is missing or not writable"),
        (["--record", "run.ndjson", "--web"], "leave out --web"),
    ],
)
def test_a_record_that_cannot_be_written_is_refused_before_the_start(
    part: FakePart, arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["demo", *arguments]) == 2
    assert reason in capsys.readouterr().err
    assert part.arguments == []


def test_the_error_of_a_failed_simulator_is_shown(
    part: FakePart,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def watch(viewing: Viewing, opener: Opener) -> int:
        del viewing, opener
        part.is_running = False
        return 0

    monkeypatch.setattr(demo, "watch", watch)
    assert cli.run(["demo"]) == 1
    assert capsys.readouterr().err == "gapless: the simulator broke down\n"


def test_the_countdown_ends_early_with_the_simulator(part: FakePart) -> None:
    part.is_running = False
    with pytest.raises(GaplessError, match="broke down"):
        demo._count_down(60_000, part)  # type: ignore[arg-type]  # has what it needs of a part


def test_a_record_never_replaces_the_scenario(
    part: FakePart, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "own.toml"
    file.write_text('[[steps]]\nat = "1s"\n')
    assert cli.run(["demo", "--scenario", str(file), "--record", str(file)]) == EXIT_USAGE
    assert "would replace" in capsys.readouterr().err
    assert not part.arguments
