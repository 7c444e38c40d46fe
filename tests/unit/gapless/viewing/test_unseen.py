from __future__ import annotations

from gapless.viewing.unseen import Unseen


def test_who_has_shown_nothing_is_named() -> None:
    unseen = Unseen(["aaaa", "bbbb", "job/cccc"])
    unseen.saw(["job/main/aaaa", "job/main/xbbbb", "job/cccc"])
    assert unseen.left == ["bbbb"]
    assert unseen.notice().startswith("nothing of execution 'bbbb' was seen")
    unseen.saw(["bbbb"])
    assert unseen.notice() == ""


def test_without_executions_nothing_is_missed() -> None:
    assert Unseen([]).notice() == ""
