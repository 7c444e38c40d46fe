"""``gapless purge``: what is asked, and where nobody can be asked."""

from __future__ import annotations

from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner

from common.errors import UsageError
from gapless.commands import purge


class Journal:
    """A journal that nobody uses."""

    last_used_s = 0.0
    is_used = False
    size = 2048

    def __init__(self, kept: list[Journal]) -> None:
        self._kept = kept

    def delete(self, age_s: float) -> int:
        assert age_s == 0
        self._kept.remove(self)
        return self.size


@pytest.fixture
def journals(monkeypatch: pytest.MonkeyPatch) -> list[Journal]:
    kept: list[Journal] = []
    kept += [Journal(kept), Journal(kept)]
    monkeypatch.setattr("gapless.forwarders.journals.all_journals", lambda: list(kept))
    return kept


@pytest.mark.parametrize("typed", ["", "y\n"])
def test_without_a_terminal_it_says_what_to_give_and_asks_nothing(
    journals: list[Journal], typed: str
) -> None:
    result = CliRunner().invoke(purge.command, input=typed)
    assert isinstance(result.exception, UsageError)
    assert result.exception.exit_code == 2
    assert "2 journals (" in str(result.exception)
    assert "give --yes" in str(result.exception)
    assert result.output == ""
    assert len(journals) == 2


def test_yes_asks_nothing(journals: list[Journal]) -> None:
    result = CliRunner().invoke(purge.command, ["--yes", "--json"])
    assert '"deleted": 2' in result.output
    assert not journals


@pytest.mark.parametrize(("typed", "left"), [("y\n", 0), ("n\n", 2), ("\n", 2)])
def test_a_terminal_is_asked(
    journals: list[Journal], typed: str, left: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purge, "sys", SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True)))
    result = CliRunner().invoke(purge.command, input=typed, standalone_mode=False)
    assert "Delete 2 journals (" in result.output
    assert isinstance(result.exception, click.Abort) == bool(left)
    assert len(journals) == left


def test_it_asks_nothing_where_there_is_nothing_to_delete(journals: list[Journal]) -> None:
    journals.clear()
    assert CliRunner().invoke(purge.command, ["--json"]).exit_code == 0
