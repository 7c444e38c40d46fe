from __future__ import annotations

import pytest

from tui.lines.rows import (
    LEVELS,
    Change,
    Rule,
    RuleKind,
    at_least,
    describe,
    level_of,
    line_key,
    rule_key,
    time_of,
)
from wire.errors import WireError


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
    assert said("resumed", count=0) == "0 lines since you left"


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


@pytest.mark.parametrize(
    ("message", "level"),
    [
        ("ERROR upload failed", "error"),
        ("2026-11-23 12:00:00,123 WARNING disk is nearly full", "warn"),
        ('{"level":"info","msg":"ERROR is only a word here"}', "info"),
        ('{"msg":"x","severity":"CRITICAL"}', "fatal"),
        ('{"level":50,"msg":"pino"}', "error"),
        ('{"log.level":"debug"}', "debug"),
        ("ts=1 level=warn msg=hm", "warn"),
        ("[error] 1234#0: *1 open() failed", "error"),
        ("<Notice> something", "info"),
        ("E1123 12:00:00.000000 1 main.go:1] boom", "error"),
        ("Traceback (most recent call last):\n  File", "error"),
        ("panic: runtime error: index out of range", "error"),
        ("nothing of the kind", None),
        ("an error happened, says the sentence", None),
        ("ERRORS are plural", None),
        ("MYERROR, _ERROR and ÄERROR, but WARN", "warn"),
        ("MYERROR,ERROR", "error"),
        ("level=unheard-of but [WARN] later", "warn"),
        ("", None),
        ("x" * 500 + " ERROR", None),
    ],
)
def test_levels_in_text(message: str, level: str | None) -> None:
    assert level_of(message) == level


def test_the_order_of_levels() -> None:
    assert at_least("error", "warn")
    assert not at_least("info", "warn")
    assert at_least(None, "info")
    assert not at_least(None, "warn")
    assert all(at_least(level, LEVELS[0]) for level in LEVELS)
