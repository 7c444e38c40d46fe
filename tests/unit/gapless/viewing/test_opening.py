from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import msgspec
import pytest

from common.errors import GaplessError
from gapless.aws import AwsChoice
from gapless.viewing import opening
from gapless.viewing.model import Viewing, WatchedTarget
from gapless.viewing.opening import (
    AnyTargetOpener,
    ProcessCatalogue,
    SameTargetsOpener,
    executions_by_target,
    show_in_turn,
)
from gapless.viewing.sources import Opened
from tui.screen.ports import Catalogue, CatalogueError, Choice

FIRST = Viewing(
    targets=(WatchedTarget(url="ws://h:1/v1/tail", name="/g", group="/g", key="own:g"),),
    executions=("x0",),
    since=5,
    grep=("ERROR",),
)


def choice(target: str, execution: str | None = None) -> Choice:
    return Choice(target, execution, f"{target} {execution}")


class Served:
    """Opens targets, and remembers which are let go."""

    def __init__(self) -> None:
        self.open: list[str] = []
        self.log: list[str] = []

    @property
    def choices(self) -> tuple[AwsChoice, ...]:
        return (AwsChoice(),)

    def open_name(self, stack: ExitStack, text: str) -> Opened:
        return Opened((self.target(stack, text),), ())

    def target(self, stack: ExitStack, target: str) -> WatchedTarget:
        if target == "/broken":
            msg = "the forwarder of /broken did not start"
            raise GaplessError(msg, 3)
        self.open.append(target)
        self.log.append(f"+{target}")
        stack.callback(self._close, target)
        return WatchedTarget(
            url=f"ws://own{target}", name=target, group=target, key=f"own:{target}"
        )

    def _close(self, target: str) -> None:
        self.open.remove(target)
        self.log.append(f"-{target}")


def test_choices_are_grouped_by_target() -> None:
    chosen = [choice("/a"), choice("/b", "x"), choice("/a", "y"), choice("/b", "z")]
    assert executions_by_target(chosen) == {"/a": (), "/b": ("x", "z")}


def test_viewings_are_shown_in_turn() -> None:
    served = Served()
    opener = AnyTargetOpener(FIRST, served, None)
    seen: list[Viewing] = []
    open_then: list[list[str]] = []
    answers: list[int | tuple[Choice, ...]] = [
        (choice("/a"), choice("/b", "x")),
        (choice("/a"),),
        5,
    ]

    def show(viewing: Viewing) -> int | tuple[Choice, ...]:
        seen.append(viewing)
        open_then.append(list(served.open))
        return answers[len(seen) - 1]

    assert show_in_turn(FIRST, opener, show) == 5
    assert seen[0] is FIRST
    assert [(one.name, one.executions) for one in seen[1].targets] == [("/a", None), ("/b", ("x",))]
    assert seen[1].executions == ()
    assert seen[1].since is None
    assert seen[1].grep == FIRST.grep
    assert [one.name for one in seen[2].targets] == ["/a"]
    assert seen[2].since == FIRST.since
    assert [one.gives_up for one in seen] == [True, False, False]
    assert open_then == [[], ["/a", "/b"], ["/a"]]
    assert served.open == []
    assert served.log.index("+/a", 1) < served.log.index("-/a")


def test_an_opening_error_is_shown_where_the_choice_was_made() -> None:
    served = Served()
    opener = AnyTargetOpener(FIRST, served, None)
    seen: list[Viewing] = []
    answers: list[int | tuple[Choice, ...]] = [
        (choice("/a"),),
        (choice("/b"), choice("/broken")),
        0,
    ]

    def show(viewing: Viewing) -> int | tuple[Choice, ...]:
        seen.append(viewing)
        return answers[len(seen) - 1]

    assert show_in_turn(FIRST, opener, show) == 0
    assert [one.name for one in seen[2].targets] == ["/a"]
    assert seen[2].notice == "the forwarder of /broken did not start"
    assert seen[1].notice == ""
    assert served.log == ["+/a", "+/b", "-/b", "-/a"]


def test_every_viewing_has_a_record_of_its_own() -> None:
    opener = AnyTargetOpener(FIRST, Served(), None)
    records: list[Path | None] = []
    answers: list[int | tuple[Choice, ...]] = [(choice("/a"),), (choice("/broken"),), 0]

    def show(viewing: Viewing) -> int | tuple[Choice, ...]:
        records.append(viewing.record)
        return answers[len(records) - 1]

    first = msgspec.structs.replace(FIRST, record=Path("at/incident.ndjson"))
    assert show_in_turn(first, opener, show) == 0
    assert records == [
        Path("at/incident.ndjson"),
        Path("at/incident-2.ndjson"),
        Path("at/incident-3.ndjson"),
    ]


def test_an_error_of_the_screen_closes_everything() -> None:
    served = Served()
    opener = AnyTargetOpener(FIRST, served, None)
    seen: list[Viewing] = []

    def show(viewing: Viewing) -> int | tuple[Choice, ...]:
        seen.append(viewing)
        if len(seen) == 2:
            msg = "not complete"
            raise GaplessError(msg, 4)
        return (choice("/a"),)

    with pytest.raises(GaplessError, match="not complete"):
        show_in_turn(FIRST, opener, show)
    assert served.open == []


def test_of_the_same_targets() -> None:
    opener = SameTargetsOpener(FIRST)
    url = FIRST.targets[0].url
    with opener.open(FIRST, [choice(url, "x"), choice("/elsewhere")]) as viewing:
        assert [one.executions for one in viewing.targets] == [("x",)]
        assert viewing.since is None
        with opener.open(viewing, [choice(url)]) as whole:
            assert [one.executions for one in whole.targets] == [None]
            assert whole.since == FIRST.since
    found = opener.catalogue(FIRST)
    assert [(one.target, one.name) for one in found.open_now] == [(url, "/g")]


def test_targets_are_called_what_the_command_line_calls_them() -> None:
    opener = AnyTargetOpener(FIRST, Served(), None)
    other = WatchedTarget(url="ws://h:2/v1/tail", name="ws://h:2/v1/tail", key="ws://h:2/v1/tail")
    viewing = Viewing(targets=(*FIRST.targets, other))
    found: Catalogue = opener.catalogue(viewing)
    assert [one.target for one in found.open_now] == ["/g", "ws://h:2/v1/tail"]


class Unused:
    """An opener that is never asked."""

    def catalogue(self, viewing: Viewing) -> Catalogue:
        raise AssertionError(viewing)

    def open(self, viewing: Viewing, chosen: Sequence[Choice]) -> AbstractContextManager[Viewing]:
        raise AssertionError(viewing, chosen)


def test_without_a_choice_it_ends() -> None:
    assert show_in_turn(FIRST, Unused(), lambda _viewing: 6) == 6
    assert show_in_turn(FIRST, None, lambda _viewing: 0) == 0


PYTHON = sys.executable
AWS = AwsChoice(profile=None, region="eu-west-1", endpoint_url=None)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What runs instead of ``python -m gapless``; tests write its body."""
    path = tmp_path / "gapless.sh"
    monkeypatch.setattr(sys, "executable", str(path))
    return path


def write(path: Path, body: str) -> None:
    path.write_text(f"#!{PYTHON}\nimport sys\n{body}\n")
    path.chmod(0o700)


async def test_log_groups(program: Path) -> None:
    rows = '[{"name": "/a", "created": 5}, {"name": "/here"}, {"name": ""}, {}, 7]'
    write(program, f"print('{rows}'); assert sys.argv[1:] == ['-m', 'gapless', 'groups', '--json', "
          "'--region', 'eu-west-1'], sys.argv")  # fmt: skip
    asked = ProcessCatalogue([("/here", "/here")], choices=(AWS,), token_file=None)
    assert list(asked.open_now) == [Choice("/here", None, "/here", "open now")]
    assert list(await asked.groups()) == [Choice("/a", None, "/a")]
    assert asked.place == ""


async def test_log_groups_of_several_regions(program: Path) -> None:
    write(program, """print('[{"name": "/a"}]' if sys.argv[-1] == 'x' else '[]')""")
    places = tuple(AwsChoice(region=one) for one in ("x", "y"))
    asked = ProcessCatalogue([], choices=places, token_file=None)
    assert list(await asked.groups()) == [Choice("x:/a", None, "x:/a")]


async def test_the_place_of_log_groups(program: Path) -> None:
    row = '{"name": "/a", "account": "1234", "region": "%s", "profile": null}'
    write(program, f"""print('[{row}]' % sys.argv[-1])""")
    places = tuple(AwsChoice(region=one) for one in ("x", "y"))
    asked = ProcessCatalogue([], choices=places, token_file=None)
    assert asked.place == ""
    await asked.groups()
    assert asked.place == "account 1234, x, y"


async def test_last_events(program: Path) -> None:
    rows = '[{"name": "/a", "last_event": 7}, {"name": "/b", "last_event": null}, {"name": "/c"}]'
    write(program, f"print('{rows}'); assert sys.argv[3:6] == ['groups', '--last-event', "
          "'--json'], sys.argv")  # fmt: skip
    asked = ProcessCatalogue([], choices=(AWS,), token_file=None)
    assert await asked.last_events() == {"/a": 7}


async def test_executions(program: Path) -> None:
    rows = (
        '[{"execution": "x1", "status": "FAILED", "last": 9}, {"execution": "x2", "last": null},'
        ' {"stream": "s"}]'
    )
    write(program, f"print('{rows}'); assert sys.argv[3:] == ['executions', 'ws://h:1/v1/tail', "
          "'--json', '--token-file', '/t'], sys.argv")  # fmt: skip
    url = "ws://h:1/v1/tail"
    asked = ProcessCatalogue([(url, "/g")], choices=(), token_file=Path("/t"))
    assert list(await asked.executions(url)) == [
        Choice(url, "x1", "/g x1", "FAILED", 9),
        Choice(url, "x2", "/g x2", "execution", None),
    ]
    assert list(await asked.groups()) == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("sys.exit('first\\ngapless: no credentials: run aws configure')", "no credentials: run"),
        ("sys.exit(3)", "it ended with exit code 3"),
        ("print('no list')", "the answer is not a list"),
        ("print('{}')", "the answer is not a list"),
        ("sys.exit('x' * 5000)", "x" * 300),
    ],
)
async def test_errors_are_one_line(program: Path, body: str, said: str) -> None:
    write(program, body)
    asked = ProcessCatalogue([], choices=(AWS,), token_file=None)
    with pytest.raises(CatalogueError) as caught:
        await asked.groups()
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) <= 300


async def test_a_program_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ProcessCatalogue([], choices=(AWS,), token_file=None)
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(CatalogueError, match="No such file"):
        await asked.groups()


async def test_nothing_is_as_good_as_an_empty_list(program: Path) -> None:
    write(program, "pass")
    assert list(await ProcessCatalogue([], choices=(AWS,), token_file=None).groups()) == []


async def test_a_process_that_hangs_is_ended(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "LIST_WITHIN_S", 0.0)
    write(program, "import time; time.sleep(600)")
    asked = ProcessCatalogue([], choices=(AWS,), token_file=None)
    with pytest.raises(CatalogueError, match="no answer within"):
        await asked.groups()
    monkeypatch.setattr(opening, "LIST_WITHIN_S", 60.0)
    begun = tmp_path / "begun"
    write(program, f"import time; open({str(begun)!r}, 'w').close(); time.sleep(600)")
    asking = asyncio.ensure_future(asked.groups())
    async with asyncio.timeout(240):
        while not _exists(begun):  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(0.01)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


def _exists(path: Path) -> bool:
    return path.exists()
