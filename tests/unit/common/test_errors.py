from __future__ import annotations

import pytest

from gapless.terminal import say


def test_a_message_is_one_printable_line(capsys: pytest.CaptureFixture[str]) -> None:
    say("a name\r\ngapless: forged\x1b[2J\x9b1m … é\u202e")
    (line,) = capsys.readouterr().err.splitlines()
    assert line == r"gapless: a name gapless: forged\x1b[2J\x9b1m … é\u202e"
