from __future__ import annotations

from pathlib import Path

import pytest

from forwarder.groups.journals import journal_name
from forwarder.records import FeedKey
from gapless.forwarders.journals import all_journals

NAME = journal_name(FeedKey("/a"))


@pytest.mark.parametrize("is_linked", [False, True])
def test_only_journals_inside_the_state_directory_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_linked: bool
) -> None:
    real, outside, state = (tmp_path / name for name in ("real", "outside", "state"))
    if is_linked:  # all of it, which is the user's choice
        state.symlink_to(real)
    else:
        real = state
    monkeypatch.setenv("GAPLESS_STATE_DIR", str(state))
    own = real / "accounts" / "a" / "journals"
    for folder in (own, real / "forward", outside / "journals"):
        folder.mkdir(parents=True)
        (folder / NAME).write_bytes(b"x")
    (outside / "journal.sqlite3").write_bytes(b"x")
    (real / "groups").symlink_to(tmp_path)
    (real / "accounts" / "b").symlink_to(outside)
    (real / "accounts" / "c").mkdir()
    (real / "accounts" / "c" / "journals").symlink_to(outside / "journals")
    (real / "forward" / "d").symlink_to(tmp_path)
    (own / "other.sqlite3").write_bytes(b"x")
    assert [one.path for one in all_journals()] == [state / "accounts" / "a" / "journals" / NAME]
