from __future__ import annotations

from typing import Any

import pytest
from rich.cells import cell_len

from tests.support.fake_engine import EPOCH_MS, make_rule, status_of, target_status
from tui.client.status import (
    ConnectionOutage,
    GapStatus,
    LostRange,
    MarkStatus,
    StateChange,
    UnequalRange,
)
from tui.render import panel_text
from tui.render.key_bindings import KEYS, available
from tui.render.panel_text import (
    TITLE_CHARS,
    palette_title,
    pasteable,
)
from tui.render.safe_text import Segment

NOW = EPOCH_MS + 60_000


def text_of(lines: list[list[Segment]]) -> str:
    return "\n".join("".join(text for text, _ in line) for line in lines)


def test_the_report_of_a_new_connection() -> None:
    status = status_of((target_status(state="connecting", epoch=None, upstream=None),))
    text = text_of(panel_text.connection_report(status, NOW))
    assert "connecting for 1m00s" in text
    assert "nothing yet" in text
    assert "Disconnections\nnone" in text
    assert "Missing\nnothing" in text


def test_the_report_of_a_connection() -> None:
    mark = MarkStatus(0, EPOCH_MS, EPOCH_MS + 5_000, NOW, 9, 9, "aa" * 8, 8, "bb" * 8, equal=False)
    target = target_status(
        detail="\x1b[2Jnote",
        complete_through_ms=EPOCH_MS,
        marks=12,
        marks_unequal=1,
        last_mark=mark,
        duplicates=77,
        after=1_234,
        head_seq=1_240,
        unequal=(UnequalRange(0, EPOCH_MS, EPOCH_MS + 1_000, 3, final=True),),
        lost=(LostRange(0, EPOCH_MS, EPOCH_MS + 1_000, "retention"),),
        gaps=(GapStatus(0, "g", EPOCH_MS, EPOCH_MS + 1_000, "repaired", "missed", 4),),
        outages=(
            ConnectionOutage(EPOCH_MS, EPOCH_MS + 10_200, 1006, "no answer", 203, "resumed"),
            ConnectionOutage(EPOCH_MS + 50_000, None, None, "the cable was pulled", None, None),
        ),
        history=(StateChange(EPOCH_MS, "reconnecting", "lost"), StateChange(NOW, "live", "")),
    )
    text = text_of(panel_text.connection_report(status_of((target,)), NOW))
    for part in (
        "12, 1 unequal",
        "aaaaaaaaaaaaaaaa  9",
        "bbbbbbbbbbbbbbbb  8 ≠",
        "77 duplicates",
        "seq 1,234 of 1,240",
        "3 lines missing: still different after a repair",
        "not recoverable: retention",
        "gap repaired, 4 lines recovered: missed",
        "10 s resumed, 203 lines recovered",
        "1006 no answer",
        "10 s ongoing",
        "the cable was pulled",
        "12:01:00 live",
        "12:00:00 reconnecting lost",
        "␛[2Jnote",
    ):
        assert part in text, part
    assert text.index("12:01:00 live") < text.index("12:00:00 reconnecting")


def connection(**changes: Any) -> str:  # noqa: ANN401 - any field
    return text_of(panel_text.connection_report(status_of((target_status(**changes),)), NOW))


def test_a_filter_pattern_is_shown_in_full_with_what_it_means() -> None:
    text = connection(pattern='{ $.level = "error" && $.status >= 500 }')
    assert '{ $.level = "error" && $.status >= 500 }' in text
    assert "only events that match it are read, shown and verified" in text
    assert "pattern" not in connection()


def test_a_cursor_is_never_beyond_the_head() -> None:
    """Events arrived after the heartbeat that named the head."""
    assert "seq 357 of 357" in connection(after=357, head_seq=353)
    assert "seq 0 of 353" in connection(after=0, head_seq=353)
    assert "none yet" in connection(after=None, head_seq=None)


def test_a_mark_tells_the_state_of_cloudwatch_too() -> None:
    """There is no heartbeat yet, or the viewer polls over HTTP."""
    mark = MarkStatus(0, EPOCH_MS, EPOCH_MS, NOW, 9, 9, "aa" * 8, 9, "aa" * 8, equal=True)
    assert "ok, 0.8 s behind" in connection(last_mark=mark)
    assert "answered a full scan at 12:01:00" in connection(last_mark=mark, upstream=None)
    assert "unknown until the first heartbeat" in connection(upstream=None)


def test_each_target_is_reported() -> None:
    targets = (target_status(name="one"), target_status(target=1, name="two"))
    text = text_of(panel_text.connection_report(status_of(targets), NOW))
    assert "one\naddress" in text
    assert "two\naddress" in text


def test_the_detail_of_a_rule() -> None:
    rule = make_rule(1, EPOCH_MS, "offline", through_ms=None, reason="no answer")
    text = text_of(panel_text.rule_report(rule))
    assert "ongoing" in text
    assert "no answer" in text


HELP_CELLS = 80 - 2 - 2 - 1
"""Width of a narrow screen, less border, padding and scroll bar."""


@pytest.mark.parametrize("controls", [False, True])
def test_the_help_fits_with_a_gap_after_each_key(controls: bool) -> None:  # noqa: FBT001 - a parameter
    lines = panel_text.help_report(with_simulator=controls)
    named = [line for line in lines if len(line) > 1]
    assert len(named) > 60
    for (name, _), (said, _) in named:
        assert name.endswith("  "), name
        assert not said.startswith(" "), said
        assert cell_len(name + said) <= HELP_CELLS, said


@pytest.mark.parametrize("in_replay", [False, True])
def test_a_line_of_the_help_does_what_its_first_key_does(*, in_replay: bool) -> None:
    keys = [*available(with_simulator=True, in_replay=in_replay)]
    lines = panel_text.help_report(with_simulator=True, in_replay=in_replay)
    actions = panel_text.help_actions(with_simulator=True, in_replay=in_replay)
    said = [("".join(text for text, _ in lines[at]).split(), one) for at, one in actions.items()]
    assert len(said) == sum(bool(key.actions) for key in keys)
    for key in keys:
        if key.actions:
            assert (f"{key.shown} {key.help}".split(), key.actions[0].action) in said


def test_the_help_lists_every_key() -> None:
    seen = set()
    for in_replay in (False, True):
        text = text_of(panel_text.help_report(with_simulator=True, in_replay=in_replay))
        for key in available(with_simulator=True, in_replay=in_replay):
            assert key.shown in text
            assert key.help in text
            assert key.difference in text
            seen.add(key.help)
    assert seen == {key.help for key in KEYS}
    assert "unplug the cable" not in text_of(panel_text.help_report(with_simulator=False))


def test_titles_are_harmless_and_without_markup() -> None:
    assert palette_title("[red]x[/] \x1b[2J") == "(red)x(/) ␛(2J"
    assert len(palette_title("x" * 1_000)) == TITLE_CHARS


def test_pasted_text_is_printable() -> None:
    assert pasteable("a\x1b[2J\x9bb\u202e\ud800c 漢\nsecond") == "a[2Jbc 漢"
    assert pasteable("") == pasteable("\n") == ""
