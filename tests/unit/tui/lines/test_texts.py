from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tui.lines.texts import END, Texts, byte_by_byte

any_text = st.text(st.characters(), max_size=8)  # lone surrogates among them
ascii_text = st.text(st.characters(max_codepoint=0x7F), max_size=8)


@given(st.lists(any_text | ascii_text, max_size=8) | st.lists(ascii_text, max_size=8))
def test_messages_come_back_together_and_one_by_one(messages: list[str]) -> None:
    texts = Texts.of(messages)
    assert texts.all() == messages
    assert [texts.one(at) for at in range(len(messages))] == messages
    assert texts.is_ascii == all(message.isascii() for message in messages)


@given(st.lists(any_text, min_size=1, max_size=8))
def test_the_end_of_each_is_where_it_is_said_to_be(messages: list[str]) -> None:
    texts = Texts.of(messages)
    ends = [at + 1 for at in range(len(texts.data)) if texts.data[at : at + 1] == END]
    assert list(texts.ends) == ends


@given(st.lists(any_text, max_size=8))
def test_byte_by_byte_is_what_utf_8_makes_of_them(messages: list[str]) -> None:
    parts = byte_by_byte(Texts.of(messages).data)
    assert [part.encode("latin-1").decode("utf-8", "surrogatepass") for part in parts] == messages
