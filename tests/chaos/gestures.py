"""Random input of a user, drawn from a seed: the keys of every feature in any order. Pure.

A gesture is a list of strokes. A stroke is a key as terminals send it, or a new terminal size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import Final, NamedTuple

ESC: Final = "\x1b"
SUSPEND: Final = "\x1a"
UP, DOWN, RIGHT, LEFT = "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D"
PAGE_UP, PAGE_DOWN, HOME, END = "\x1b[5~", "\x1b[6~", "\x1b[H", "\x1b[F"
SHIFT_UP, SHIFT_DOWN = "\x1b[1;2A", "\x1b[1;2B"
SHIFT_PAGE_UP, SHIFT_PAGE_DOWN = "\x1b[5;2~", "\x1b[6;2~"
F1, F2, F11 = "\x1bOP", "\x1bOQ", "\x1b[23~"
TAB, ENTER, ERASE = "\t", "\r", "\x15"

WORDS: Final = ("error", "INFO", "done", "retry", r"\d+ ms", "batch|item", "(", "nothinghas", " ")
"""Search patterns; none contains ``q``, which would quit if it were typed without a prompt."""

TIMES: Final = ("-5s", "-1m", "-2d", "12:04", "2026-11-23T12:00Z", "1970-01-01T00:00Z", "soon")


class Size(NamedTuple):
    """A terminal's columns and rows."""

    columns: int
    rows: int


SIZES: Final = (Size(80, 24), Size(200, 60), Size(120, 40), Size(40, 10), Size(20, 5), Size(2, 2))

Stroke = str | Size
Gesture = Callable[[Random], Sequence[Stroke]]


def _keys(*choices: str) -> Gesture:
    """Presses a few of these keys at random."""
    return lambda rng: [rng.choice(choices) for _ in range(rng.randint(1, 6))]


def _asked(key: str, answers: Sequence[str]) -> Gesture:
    """Opens a prompt, enters an answer, and presses Esc in case the answer was refused."""
    return lambda rng: [key, rng.choice(answers), ENTER, ESC]


def _pane(key: str, *inside: str) -> Gesture:
    """Opens a pane, presses some keys in it, and mostly closes it."""

    def gesture(rng: Random) -> Sequence[Stroke]:
        pressed = [rng.choice(inside) for _ in range(rng.randint(0, 6))]
        return [key, *pressed, *([ESC] if rng.random() < 0.7 else [])]

    return gesture


def _mouse(rng: Random) -> Sequence[Stroke]:
    """Scrolls, clicks, double-clicks or drags at a random place."""
    x, y = rng.randint(1, 120), rng.randint(1, 40)
    press, release = f"\x1b[<0;{x};{y}M", f"\x1b[<0;{x};{y}m"
    drag = f"\x1b[<32;{x};{max(1, y - 6)}M"
    wheel = [f"\x1b[<{rng.choice((64, 65))};{x};{y}M"] * rng.randint(1, 8)
    return rng.choice((wheel, [press, release], [press, release] * 2, [press, drag, release]))


def _resize(rng: Random) -> Sequence[Stroke]:
    return rng.sample(SIZES, rng.randint(1, 3))


def _paste(rng: Random) -> Sequence[Stroke]:
    return [rng.choice(("/", "f", "")), "\x1b[200~" + "past\ned " * 40 + "\x1b[201~", ESC]


def _save(folder: str) -> Gesture:
    def gesture(rng: Random) -> Sequence[Stroke]:
        path = f"{folder}/saved-{rng.randint(0, 9)}{rng.choice(('.log', '.ndjson'))}"
        return ["\x13", ERASE, path, ENTER, ESC]

    return gesture


def gestures(folder: str, *, controls: bool) -> Mapping[str, Gesture]:
    """The gesture of every feature, by name.

    Args:
        folder: Folder for saved files.
        controls: Whether the screen has a simulator's switches.

    """
    found: dict[str, Gesture] = {
        "follow": _keys("G", "F", END),
        "freeze": lambda _: [" "],
        "move": _keys("j", "k", UP, DOWN, PAGE_UP, PAGE_DOWN, "d", "u"),
        "scroll up": lambda rng: [rng.choice((PAGE_UP, "u", "k"))] * rng.randint(5, 30),
        "top": _keys("g", HOME),
        "time": _asked(":", TIMES),
        "side": _keys(RIGHT, LEFT),
        "search": lambda rng: ["/", rng.choice(WORDS), ENTER, *rng.choices("nN", k=4)],
        "matches": _keys("n", "N"),
        "include": _asked("f", WORDS),
        "exclude": _asked("x", WORDS),
        "filters": lambda _: ["\x06"],
        "around": _keys("z"),
        "level": _keys("1", "2", "3", "4", "5"),
        "all levels": lambda _: ["1"],
        "errors": _keys("e", "E", "w", "W"),
        "detail": _pane(ENTER, TAB, UP, DOWN, "f", "x", ENTER, PAGE_DOWN),
        "streams": _pane("s", TAB, UP, DOWN, " ", ENTER, "a"),
        "histogram": _pane("h", LEFT, RIGHT, ENTER, TAB),
        "time column": _keys("t"),
        "wrap": _keys("|", "\x17"),
        "full": _keys("\\", F11),
        "bookmark": _keys("m", "'"),
        "select": lambda rng: ["v", *rng.choices((UP, DOWN, PAGE_UP), k=4), rng.choice(("Y", ESC))],
        "extend": _keys("J", "K", SHIFT_UP, SHIFT_DOWN, SHIFT_PAGE_UP, SHIFT_PAGE_DOWN),
        "copy": _keys("y", "Y"),
        "save": _save(folder),
        "connection": _pane("c", UP, DOWN, PAGE_DOWN, TAB),
        "reconnect": _keys("r"),
        "notices": _keys("B"),
        "help": _pane("?", PAGE_DOWN, UP),
        "palette": lambda rng: ["\x10", rng.choice(("time", "wrap", "zz", "")), DOWN, ESC],
        "palette runs": lambda _: ["\x10", "time column", ENTER, ESC],
        "picker": lambda rng: ["o", rng.choice(("job", "zz", "")), DOWN, ESC, ESC],
        "suspend": lambda _: [SUSPEND],
        "close": lambda _: [ESC],
        "mouse": _mouse,
        "resize": _resize,
        "paste": _paste,
    }
    if controls:
        # The panel is always closed: any letter in it switches a fault behind the scenario's back.
        found["faults"] = lambda rng: [F2, *rng.choices((UP, DOWN, PAGE_DOWN, TAB), k=5), ESC]
        found["cable"] = lambda _: ["p", "p"]
    return found


def drawn(
    seed: int, folder: str, *, controls: bool
) -> Iterator[tuple[str, Sequence[Stroke], bool]]:
    """Endless gestures: name, strokes, and whether every gesture has been drawn by now."""
    rng = Random(f"gestures/{seed}")
    known = gestures(folder, controls=controls)
    while True:
        names = rng.sample(sorted(known), len(known))
        for place, name in enumerate(names, start=1):
            yield name, known[name](rng), place == len(names)
