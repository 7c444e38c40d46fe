from __future__ import annotations

import pytest

from tui.lines.rows import Change, Rule, describe, line_key, rule_key, time_of
from wire.errors import WireError
from wire.record import RuleKind


def said(
    kind: RuleKind,
    *,
    through_ms: int | None = 11_234,
    state: str = "",
    reason: str = "",
    count: int | None = None,
) -> str:
    rule = Rule(
        key=0,
        kind=kind,
        target=0,
        from_ms=1_000,
        through_ms=through_ms,
        state=state,
        reason=reason,
        count=count,
    )
    return describe(rule)


def test_texts_of_rules() -> None:
    assert said("offline", through_ms=None, reason="cut") == "offline: cut"
    assert said("offline", through_ms=None) == "offline"
    assert said("offline") == "offline 10.2 s"
    assert said("offline", count=203) == "offline 10.2 s · 203 lines recovered"
    assert (
        said("gap", state="repairing", reason="poll missed it") == "gap repairing… poll missed it"
    )
    assert said("gap", state="suspected") == "gap suspected…"
    assert said("gap", state="repaired", count=1) == "gap repaired · 1 line recovered"
    assert said("gap", state="unrecoverable", reason="retention") == "not recoverable: retention"
    assert said("lost", reason="retention") == "not recoverable: retention"
    assert said("unequal", count=2) == "not verified: 2 lines missing or different"
    assert said("unequal", count=2, state="verified") == "now verified"
    assert said("rebased", reason="new") == "lines above can no longer be verified: new"
    assert said("evicted", count=1_000) == (
        "1,000 lines not in memory: not searched, refetched when you scroll here"
    )
    assert said("end", reason="execution one", state="FAILED") == "execution one FAILED"
    assert said("resumed", count=7) == "7 lines since you left"
    assert said("gap", state="repaired", count=0) == "gap repaired"
    assert said("offline", through_ms=9_000, count=0).endswith(" s")


def test_keys_are_ordered_by_time_then_id_then_target() -> None:
    keys = [
        line_key(1, "99", 5),
        line_key(2, "1", 0),
        line_key(2, "1", 1),
        line_key(2, "2", 0),
        line_key(2, str(10**56), 0),
        line_key(3, "0", 0),
    ]
    assert keys == sorted(keys)
    assert [time_of(key) for key in keys] == [1, 2, 2, 2, 2, 3]
    assert time_of(rule_key(7, 3)) == 7
    with pytest.raises(WireError):
        line_key(1, "x", 0)


def test_a_change_is_true_if_anything_changed() -> None:
    assert not Change()
    assert Change(evicted=1)
    assert Change().then(Change(first=3, added=1)).first == 3
