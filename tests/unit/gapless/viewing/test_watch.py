from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from common.errors import GaplessError
from common.tokens import OfferedToken
from gapless.aws import AwsChoice
from gapless.viewing import watch as module
from gapless.viewing.model import Viewing, WatchedPattern, WatchedTarget, forwarder_at
from gapless.viewing.screen import ScreenApp
from gapless.viewing.watch import UnseenExecutions, cursors_folder, make_engine, within_limit
from tui.client import saved
from tui.client.connection import Address
from tui.client.engine import ViewerResult
from tui.client.membership import ListedGroup
from tui.client.saved import Cursor, PreviousRun, SavedCursor, Subject
from wire.order import Interval, first_key
from wire.query import Filter

URL = "ws://127.0.0.1:1/v1/tail"
TARGET = WatchedTarget(url=URL, name="jobs", group="/jobs", key="own:jobs")
NOW_MS = 1_795_435_200_000


def test_the_engine_gets_what_was_asked_for(tmp_path: Path) -> None:
    viewing = Viewing(
        targets=(TARGET, TARGET),
        executions=("4f2a",),
        streams=("s",),
        prefixes=("p",),
        filter_pattern="ERROR",
        since=5,
        token="secret",
    )
    engine = make_engine(viewing, NOW_MS, cursors=tmp_path)
    specs = [target.spec for target in engine._targets]
    assert len(specs) == 2
    assert specs[0].url == URL
    assert specs[0].group == "/jobs"
    assert specs[0].identity == "own:jobs"
    assert specs[0].filter == Filter(("s",), ("4f2a",), ("p",), "ERROR")
    assert (specs[0].since, specs[0].cursor) == (5, None)
    assert engine._goal.executions == ("4f2a",)
    assert engine._goal.through_ms is None


def test_the_status_says_in_which_region_it_waits_for_log_groups() -> None:
    patterns = tuple(
        WatchedPattern(url=URL, patterns=("/jo*",), choice=AwsChoice(region=one), label=one)
        for one in ("us-east-1", "eu-west-1")
    )
    engine = make_engine(Viewing(targets=(), patterns=patterns), NOW_MS)
    assert engine.status.waiting == ("us-east-1:/jo*", "eu-west-1:/jo*")


def test_a_url_that_names_a_filter_pattern_has_that_of_its_own(tmp_path: Path) -> None:
    url = "ws://127.0.0.1:9/v1/tail?group=%2Fjobs&pattern=%7B+%24.a+%3D+1+%7D"
    targets = (forwarder_at(url), forwarder_at("ws://127.0.0.1:9/v1/tail?group=%2Fjobs"))
    viewing = Viewing(targets=targets, filter_pattern="ERROR")
    specs = [one.spec for one in make_engine(viewing, NOW_MS, cursors=tmp_path)._targets]
    assert [one.url for one in specs] == ["ws://127.0.0.1:9/v1/tail?group=%2Fjobs"] * 2
    assert [one.filter.pattern for one in specs] == ["{ $.a = 1 }", "ERROR"]
    assert specs[0].identity == url, "its cursor is not that of the whole log group"


def test_an_own_forwarder_gets_its_offered_token_and_others_that_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAPLESS_STATE_DIR", str(tmp_path))
    offered = OfferedToken()
    offered.publish("127.0.0.1", 1)
    other = WatchedTarget(url=URL, name="x", key=URL)
    for token, expected in ((None, offered.token), ("secret", "secret")):
        viewing = Viewing(targets=(TARGET, other), token=token)
        engine = make_engine(viewing, NOW_MS, cursors=None)
        headers = [Address(URL, target.spec.token).headers for target in engine._targets]
        assert headers == [
            {"Authorization": f"Bearer {offered.token}"},
            {"Authorization": f"Bearer {expected}"},
        ]
    offered.withdraw()


@pytest.mark.parametrize(
    ("follow", "until", "through"),
    [(True, None, None), (False, None, NOW_MS), (False, 7, 7), (True, 7, 7)],
)
def test_the_goal_of_the_engine(follow: bool, until: int | None, through: int | None) -> None:  # noqa: FBT001 - the table's column
    viewing = Viewing(targets=(TARGET,), follow=follow, until=until)
    assert make_engine(viewing, NOW_MS, cursors=None)._goal.through_ms == through


SAVED = SavedCursor(
    Subject("own:jobs", "/jobs", Filter(), 1_000),
    Cursor("e1", 42, Interval(first_key(1_000), None)),
    PreviousRun(9_000, 8_000, 7_000, 12),
)


@pytest.mark.parametrize(
    ("asked", "is_on_screen", "since", "goes_on"),
    [
        (None, True, None, True),
        (None, True, 5, False),
        (None, False, None, False),
        (False, True, None, False),
        (True, False, 5, True),
    ],
)
def test_when_a_viewer_resumes(
    asked: bool | None,  # noqa: FBT001 - the table's column
    is_on_screen: bool,  # noqa: FBT001 - likewise
    since: int | None,
    goes_on: bool,  # noqa: FBT001 - likewise
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    saved.save_cursor(tmp_path, SAVED)
    monkeypatch.setattr(Viewing, "is_on_screen", is_on_screen)
    viewing = Viewing(targets=(TARGET,), resume=asked, since=since)
    assert viewing.resumes == goes_on
    engine = make_engine(viewing, NOW_MS, cursors=tmp_path)
    (spec,) = [target.spec for target in engine._targets]
    uses_it = goes_on and is_on_screen
    assert spec.cursor == (SAVED.cursor if uses_it else None)
    assert spec.since == (SAVED.subject.since if uses_it else since)
    assert spec.previous == (SAVED.previous if uses_it else None)
    assert engine._cursors == (tmp_path if uses_it else None), "only a resuming command saves"
    assert spec.history == ("newest" if is_on_screen else "oldest")


def test_a_group_that_joins_the_screen_has_its_saved_cursor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Viewing, "is_on_screen", True)
    choice = AwsChoice(region="us-east-1")
    pattern = WatchedPattern(url=URL, patterns=("/jo*",), choice=choice)
    key = pattern.watch("/jobs", "/jobs", None).key
    subject = msgspec.structs.replace(SAVED.subject, target=key)
    saved.save_cursor(tmp_path, msgspec.structs.replace(SAVED, subject=subject))
    engine = make_engine(Viewing(targets=(), patterns=(pattern,)), NOW_MS, cursors=tmp_path)
    ((source, _),) = engine._sources
    spec = source.spec_of(ListedGroup("/jobs", "/jobs"))
    assert (spec.cursor, spec.since, spec.previous) == (SAVED.cursor, 1_000, SAVED.previous)
    assert source.spec_of(ListedGroup("/job", "/job")).cursor is None


def test_more_targets_than_a_viewer_watches_are_named() -> None:
    targets = [msgspec.structs.replace(TARGET, name=f"/svc/{number}") for number in range(300)]
    limited = within_limit(Viewing(targets=tuple(targets), notice="first"))
    assert limited.targets == tuple(targets[:255])
    assert limited.notices == [
        (
            "first · 45 log groups are not watched (/svc/255 … /svc/299): a viewer watches "
            "at most 255 log groups; narrow the pattern, or watch the others in another viewer"
        )
    ]
    few = Viewing(targets=tuple(targets[:255]))
    assert within_limit(few) is few


def test_without_a_cursor_folder_it_watches_and_warns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GAPLESS_STATE_DIR", str(tmp_path / "file"))
    assert cursors_folder(Viewing(targets=(TARGET,))) is None
    said = capsys.readouterr().err
    assert said.startswith("gapless: the next viewer cannot resume where this one ends: ")
    assert said.count("\n") == 1


NOTED = msgspec.structs.replace(TARGET, note="of jobs no end can be known: set GAPLESS_LIFECYCLE")


async def test_notices_about_a_target_are_shown_on_the_screen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GAPLESS_STATE_DIR", str(tmp_path / "file"))
    told: list[str] = []

    async def look(app: ScreenApp) -> None:
        async with app.run_test(size=(80, 24), notifications=True) as pilot:
            while not app._notifications:
                await pilot.pause()
            told.extend(one.message for one in app._notifications)

    monkeypatch.setattr(ScreenApp, "run_async", look)
    await module._show_screen(Viewing(targets=(NOTED,)), None)
    assert len(told) == 1
    assert told[0].startswith("of jobs no end can be known")
    assert "the next viewer cannot resume where this one ends" in told[0]
    assert capsys.readouterr().err == ""


def test_notices_about_a_target_are_printed_before_the_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def connect(*_: object, **__: object) -> None:
        raise GaplessError(capsys.readouterr().err)

    monkeypatch.setenv("GAPLESS_STATE_DIR", str(tmp_path))
    monkeypatch.setattr(module, "make_engine", connect)
    with pytest.raises(GaplessError, match=r"^gapless: of jobs no end can be known"):
        module.watch(Viewing(targets=(NOTED,), output="raw"))


def test_how_many_lines_are_kept_in_memory() -> None:
    few = make_engine(Viewing(targets=(TARGET,), capacity=20_000), NOW_MS, cursors=None)
    usual = make_engine(Viewing(targets=(TARGET,)), NOW_MS, cursors=None)
    assert (few.timeline._capacity, usual.timeline._capacity) == (20_000, 1_000_000)


def test_exit_codes() -> None:
    assert module._exit_code(None, 0) == 0
    assert module._exit_code(None, 130) == 130
    assert module._exit_code(ViewerResult(5), 0) == 5
    with pytest.raises(GaplessError, match="not complete") as caught:
        module._exit_code(ViewerResult(4, "not complete: 12:00 to 12:01"), 0)
    assert caught.value.exit_code == 4


def test_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert module._is_coloured("always")
    assert not module._is_coloured("never")
    assert module._is_coloured("auto")
    monkeypatch.setenv("TERM", "dumb")
    assert not module._is_coloured("auto")
    assert module._is_coloured("always")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not module._is_coloured("auto")


def test_the_screen_needs_a_terminal_and_nothing_else_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert not Viewing(targets=(TARGET,)).is_on_screen
    for stream in ("stdin", "stdout"):
        monkeypatch.setattr(f"sys.{stream}.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "dumb")
    assert not Viewing(targets=(TARGET,)).is_on_screen
    monkeypatch.setenv("TERM", "xterm")
    assert Viewing(targets=(TARGET,)).is_on_screen
    assert not Viewing(targets=(TARGET,), output="json").is_on_screen
    assert not Viewing(targets=(TARGET,), follow=False).is_on_screen


@pytest.mark.parametrize(
    ("is_terminal", "for_screen"), [(True, True), (True, False), (False, True)]
)
def test_textual_is_loaded_ahead_only_for_a_screen(*, is_terminal: bool, for_screen: bool) -> None:
    code = f"""
import io, sys
from gapless.viewing.watch import load_viewer
out, sys.stdout = sys.stdout, io.StringIO()
sys.stdout.isatty = lambda: {is_terminal}
load_viewer(for_screen={for_screen})
print("textual" in sys.modules, "tui.client.engine" in sys.modules, file=out)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(is_terminal and for_screen), "True"]


def test_executions_without_events_are_named() -> None:
    unseen = UnseenExecutions(["aaaa", "bbbb", "job/cccc"])
    unseen.see(["job/main/aaaa", "job/main/xbbbb", "job/cccc"])
    assert unseen.left == ["bbbb"]
    assert unseen.notice().startswith("no events of execution 'bbbb'")
    unseen.see(["bbbb"])
    assert unseen.notice() == ""


def test_without_executions_nothing_is_missed() -> None:
    assert UnseenExecutions([]).notice() == ""
