from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from common.errors import UsageError
from tui.client.saved import Cursor, SavedCursor, Subject, save_cursor
from tui.output.consumer import ConsumedTarget, Consumer, OutputQuery
from tui.output.progress import Progress, Region
from wire.order import KEY_MAX, Interval, first_key
from wire.query import Filter

ALL_LINES = OutputQuery(Filter())
PRINTED = Progress(
    1_000,
    "e1",
    held=(Region(first_key(1_000), first_key(2_000), 0, 9), Region(first_key(1), KEY_MAX, 0, 5)),
    live=(Region(first_key(1), KEY_MAX, 3, 9),),
)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def consumer(tmp_path: Path, said: list[str]) -> Callable[..., Consumer]:
    def make(name: str = "archive", query: OutputQuery = ALL_LINES, form: str = "text") -> Consumer:
        target = ConsumedTarget(identity="own:x", group="/g", name="/g", query=query)
        return Consumer(tmp_path, name, form, [target], said.append)

    return make


def saved(consumer: Consumer) -> Progress | None:
    consumer.close()
    (progress,) = consumer.progress
    return progress


def test_what_was_printed_is_known_to_the_next_run(consumer: Callable[..., Consumer]) -> None:
    first = consumer()
    first.save([PRINTED])
    first.close()
    again = consumer(form="json")
    assert saved(again) == PRINTED
    cursor = Cursor("e1", 9, Interval(first_key(1_000), first_key(2_000)))
    assert again.start_of(0) == (1_000, cursor)


def test_a_name_has_one_query(consumer: Callable[..., Consumer]) -> None:
    first = consumer(query=OutputQuery(Filter(streams=("s",)), grep=("a", "b")))
    first.save([PRINTED])
    first.close()
    assert saved(consumer(query=OutputQuery(Filter(streams=("s",)), grep=("b", "a")))) == PRINTED
    with pytest.raises(UsageError, match=r"\(--stream s --grep a --grep b\)") as caught:
        consumer()
    assert "choose another --resume NAME" in str(caught.value)
    assert saved(consumer("other")) is None
    filtered = OutputQuery(Filter(pattern="?x ?y"))
    assert filtered.describe() == "--filter-pattern ?x ?y"
    assert filtered.sorted() == filtered


def test_a_default_consumer_belongs_to_its_form_and_query(
    consumer: Callable[..., Consumer],
) -> None:
    first = consumer("")
    first.save([PRINTED])
    first.close()
    assert saved(consumer("", form="json")) is None
    assert saved(consumer("", OutputQuery(Filter(), level="error"))) is None
    assert saved(consumer("", OutputQuery(Filter(pattern="ERROR")))) is None
    assert saved(consumer("")) == PRINTED


def test_a_consumer_is_one_process(consumer: Callable[..., Consumer]) -> None:
    first = consumer()
    with pytest.raises(UsageError, match="another process prints as consumer 'archive'"):
        consumer()
    consumer("other").close()
    first.close()
    consumer().close()


def test_an_earlier_start_is_refused(consumer: Callable[..., Consumer]) -> None:
    first = consumer()
    first.check_since(5)
    first.save([PRINTED])
    first.close()
    again = consumer()
    again.check_since(None)
    again.check_since(1_000)
    with pytest.raises(UsageError, match="for earlier lines choose another --resume NAME"):
        again.check_since(999)
    again.close()


@pytest.mark.parametrize("content", [b"", b"{", b'{"version":1}'])
def test_a_damaged_file_is_reported(
    consumer: Callable[..., Consumer], said: list[str], tmp_path: Path, content: bytes
) -> None:
    first = consumer()
    first.save([PRINTED])
    first.close()
    (path,) = tmp_path.glob("*.json")
    path.write_bytes(content)
    assert saved(consumer()) is None
    assert said == [f"cannot resume consumer 'archive' (it is damaged: {path}): starting over"]


def test_another_version_is_reported(
    consumer: Callable[..., Consumer], said: list[str], tmp_path: Path
) -> None:
    first = consumer()
    first.save([PRINTED])
    first.close()
    (path,) = tmp_path.glob("*.json")
    path.write_bytes(path.read_bytes().replace(b'"version":1', b'"version":2'))
    assert saved(consumer()) is None
    assert len(said) == 1


def test_the_cursor_of_an_earlier_version_is_not_used_and_that_is_said(
    consumer: Callable[..., Consumer], said: list[str], tmp_path: Path
) -> None:
    subject = Subject("own:x", "/g", Filter(), 1_000)
    save_cursor(tmp_path, SavedCursor(subject, Cursor("e1", 5, Interval(None, None))))
    assert saved(consumer()) is None
    assert said == []
    (path,) = tmp_path.glob("*.json")
    path.write_bytes(path.read_bytes().replace(b'"version":2', b'"version":1'))
    assert saved(consumer()) is None
    assert "is not used" in said[0]


def test_a_failure_to_save_is_said_once(
    consumer: Callable[..., Consumer], said: list[str], tmp_path: Path
) -> None:
    first = consumer()
    for path in tmp_path.iterdir():
        path.unlink()
    tmp_path.rmdir()
    first.save([PRINTED])
    first.save([PRINTED])
    assert len(said) == 1
    assert "repeats lines" in said[0]
    tmp_path.mkdir()
    first.close()
