from __future__ import annotations

from collections import Counter

import pytest
from textual.binding import Binding

from tests.support.fake_engine import FakeEngine
from tui.render import key_bindings
from tui.screen.app import ViewerApp


@pytest.mark.parametrize("mode", ["live", "replay"])
def test_no_key_does_two_things(mode: str) -> None:
    keys = Counter(
        name
        for key in key_bindings.available(with_simulator=True, in_replay=mode == "replay")
        for action in key.actions
        for name in action.keys.split(",")
    )
    assert [name for name, count in keys.items() if count > 1] == []


async def test_every_action_exists() -> None:
    app = ViewerApp(FakeEngine(), title="t")
    for key in key_bindings.KEYS:
        for action in key.actions:
            name = action.action.partition("(")[0]
            assert callable(getattr(app, f"action_{name}", None)), action.action


def expanded(shown: str) -> list[str]:
    """``Shift+↓/↑`` for two keys with the same one held down."""
    found: list[str] = []
    for one in shown.split():
        held, plus, keys = one.partition("+")
        parted = len(keys) > 1 and "/" in keys
        found += [f"{held}{plus}{key}" for key in keys.split("/")] if parted else [one]
    return found


def test_every_key_is_shown_as_it_is_written() -> None:
    written = {
        "pagedown": "PgDn",
        "pageup": "PgUp",
        "vertical_line": "|",
        "backslash": "\\",
        "question_mark": "?",
        "slash": "/",
        "escape": "Esc",
        "down": "↓",
        "up": "↑",
        "left": "←",
        "right": "→",
        "colon": ":",
        "apostrophe": "'",
        "less_than_sign": "<",
        "greater_than_sign": ">",
        "left_curly_bracket": "{",
        "right_curly_bracket": "}",
        "left_square_bracket": "[",
        "right_square_bracket": "]",
    }
    for key in key_bindings.KEYS:
        for action in key.actions:
            for name in action.keys.split(","):
                *with_, bare = name.split("+")
                shown = "+".join([*with_, written.get(bare) or bare])
                assert shown.lower() in expanded(key.shown.lower()), name


def test_the_simulators_keys_need_a_simulator() -> None:
    without = {key.shown for key in key_bindings.available(with_simulator=False)}
    offered = [key for key in key_bindings.available(with_simulator=True) if key.needs_simulator]
    assert {key.shown for key in offered if key.actions} == {"p", "F2"}
    assert not {key.shown for key in offered if key.actions} & without
    shown = [key for keys in key_bindings.sections(with_simulator=False).values() for key in keys]
    assert {key.shown for key in shown} == without


def test_only_quitting_takes_priority_over_text_fields() -> None:
    all_of_them = [one for one in key_bindings.textual_bindings() if isinstance(one, Binding)]
    assert [one.key for one in all_of_them if one.priority] == ["ctrl+c"]


def test_the_table_for_the_readme() -> None:
    table = key_bindings.markdown()
    assert "| `Space` | freeze the screen while lines keep arriving |" in table
    assert (
        "| `p` | unplug the cable to the forwarder, or plug it in (with `gapless demo`) |" in table
    )
    assert table.count("\n") == len(key_bindings.KEYS) + 1
    assert "| `\\|` `Ctrl+W` |" in table
