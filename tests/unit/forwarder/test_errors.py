from __future__ import annotations

from forwarder.errors import ForwarderError, JournalError, LifecycleError


def test_an_error_is_one_line() -> None:
    assert str(JournalError("can't\n  be   opened:\tfull ")) == "can't be opened: full"


def test_errors_say_how_the_command_ends() -> None:
    assert issubclass(JournalError, ForwarderError)
    assert (JournalError.exit_code, LifecycleError.exit_code) == (1, 2)
