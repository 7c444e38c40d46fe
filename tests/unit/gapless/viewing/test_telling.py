from __future__ import annotations

from typing import Any, Final

from gapless.viewing.telling import name_of, scenario_of, story_of

RUNNING: Final[dict[str, Any]] = {
    "name": "storm",
    "doc": "A crowd.",
    "seed": 7,
    "state": "running",
    "step": 2,
    "steps": 9,
    "elapsed_ms": 12_400,
    "ends_ms": 34_000,
    "says": "They come.",
    "next": {"at_ms": 20_000, "says": "They go."},
    "error": "",
}


def test_a_scenarios_switch() -> None:
    assert name_of(RUNNING) == "scenario storm"
    assert scenario_of("scenario storm") == "storm"
    assert scenario_of("storm") is None, "that one is a fault"


def test_what_is_told_while_it_runs() -> None:
    story = story_of(RUNNING, {})
    assert story.title == "scenario storm, seed 7"
    assert story.progress == "step 2 of 9, 34 s in all"
    assert (story.now, story.then) == ("They come.", "They go.")
    assert (story.verdict, story.is_clean) == ("", False)
    assert story_of({**RUNNING, "says": ""}, {}).now == "A crowd."


def test_what_is_told_once_it_is_over() -> None:
    assert story_of({**RUNNING, "state": "done", "next": None}, {}).progress == "over"
    failed = story_of({**RUNNING, "state": "failed", "error": "no lever"}, {})
    assert (failed.progress, failed.now) == ("failed", "no lever")


def test_the_verdict_in_words() -> None:
    clean = {"clean": True, "shown": 5, "owed": 7, "pending": 2, "lost": 0}
    story = story_of(RUNNING, clean)
    assert story.verdict == "5 of 7 lines shown, 2 on their way: nothing is wrong"
    assert story.is_clean
    story = story_of(RUNNING, {**clean, "clean": False, "lost": 3, "marks_lied": 1, "pending": 0})
    assert story.verdict == "5 of 7 lines shown: 3 lost, 1 marks lied"
    assert not story.is_clean
