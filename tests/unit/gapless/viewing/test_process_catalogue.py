from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from gapless.aws import AwsChoice
from gapless.viewing import opening
from gapless.viewing.opening import ProcessCatalogue
from tui.screen.ports import CatalogueError, Choice

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
    asked = ProcessCatalogue([("/here", "/here")], choice=AWS, token_file=None)
    assert list(asked.open_now) == [Choice("/here", None, "/here", "open now")]
    assert list(await asked.groups()) == [Choice("/a", None, "/a", "log group", 5)]


async def test_executions(program: Path) -> None:
    rows = (
        '[{"execution": "x1", "status": "FAILED", "last": 9}, {"execution": "x2", "last": null},'
        ' {"stream": "s"}]'
    )
    write(program, f"print('{rows}'); assert sys.argv[3:] == ['executions', 'ws://h:1/v1/tail', "
          "'--json', '--token-file', '/t'], sys.argv")  # fmt: skip
    url = "ws://h:1/v1/tail"
    asked = ProcessCatalogue([(url, "/g")], choice=None, token_file=Path("/t"))
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
    asked = ProcessCatalogue([], choice=AWS, token_file=None)
    with pytest.raises(CatalogueError) as caught:
        await asked.groups()
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) <= 300


async def test_a_program_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ProcessCatalogue([], choice=AWS, token_file=None)
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(CatalogueError, match="No such file"):
        await asked.groups()


async def test_nothing_is_as_good_as_an_empty_list(program: Path) -> None:
    write(program, "pass")
    assert list(await ProcessCatalogue([], choice=AWS, token_file=None).groups()) == []


async def test_a_process_that_hangs_is_ended(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "LIST_WITHIN_S", 0.0)
    write(program, "import time; time.sleep(600)")
    asked = ProcessCatalogue([], choice=AWS, token_file=None)
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
