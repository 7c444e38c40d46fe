from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fake_engine import make_line
from tui.lines.structure import structure_of
from tui.render.fields import (
    COLUMN_CELLS_MAX,
    COLUMN_CELLS_MIN,
    FIELDS_MAX,
    Field,
    FieldReader,
    are_numbers,
    fit_columns,
    parse_fields,
    room_for_columns,
    seen_in,
    value_text,
)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("level", [Field("level", is_own=True)]),
        ("level,msg,user.id", [Field("level", True), Field("msg", True), Field("user.id")]),  # noqa: FBT003
        (" user.id , took ", [Field("user.id"), Field("took")]),
        ("Max Memory Used", [Field("Max Memory Used")]),
        ('"level","a,b"', [Field("level"), Field("a,b")]),
        ("a,a,b", [Field("a"), Field("b")]),
    ],
)
def test_names_are_divided_at_commas(text: str, names: list[Field]) -> None:
    assert list(parse_fields(text)) == names
    assert parse_fields(",".join(map(str, names))) == tuple(names)


@pytest.mark.parametrize("text", ["", ",", "a,", "a,,b", '"a', '"a"b', '""', " "])
def test_a_missing_name_is_an_error_that_says_where(text: str) -> None:
    with pytest.raises(ValueError, match=r"at character \d+ is no field name: write level,msg"):
        parse_fields(text)


def test_too_many_names() -> None:
    with pytest.raises(ValueError, match="51 fields: name 50 at most"):
        parse_fields(",".join(f"f{number}" for number in range(FIELDS_MAX + 1)))


def read(message: str, *names: str) -> list[str]:
    structure = structure_of(message)
    assert structure is not None
    return [value_text(one) for one in FieldReader(names).values(structure)[0]]


@pytest.mark.parametrize(
    ("message", "names", "values"),
    [
        ('{"msg":"paid","user":{"id":12},"amount":12.5}', ("user.id", "amount"), ["12", "12.5"]),
        ('{"a":1,"a":2}', ("a",), ["1, 2"]),
        ('{"a":null,"b":true}', ("a", "b", "c"), ["null", "true", ""]),
        ('{"tags":["x","y"],"msg":"m"}', ("tags[1]", "tags"), ["y", '["x","y"]']),
        ("level=info took=31ms key=user:12", ("took", "key"), ["31ms", "user:12"]),
        ('{"UserId":1,"userid":2}', ("userid",), ["2"]),
        ('{"UserId":1}', ("userid",), ["1"]),
        ('{"UserId":1}', ("UserID",), [""]),
        ('{"msg":"m","log":"x"}', ("msg",), ["m"]),
    ],
)
def test_values(message: str, names: tuple[str, ...], values: list[str]) -> None:
    assert read(message, *names) == values


def test_the_names_that_a_line_uses_are_not_repeated_behind_its_message() -> None:
    structure = structure_of('{"UserId":1,"b":2}')
    assert structure is not None
    assert FieldReader(["userid", "c"]).values(structure)[1] == {"UserId"}


def test_numbers_with_and_without_units() -> None:
    assert are_numbers([1, 2.5, "31ms", "71 MB"])
    assert not are_numbers([1, "user"])
    assert not are_numbers([True])


def test_seen_fields_are_sorted_by_use_and_have_samples() -> None:
    lines = [
        make_line(number, json.dumps({"level": "info", "msg": "m", "n": number, "rare": 1}))
        if number == 0
        else make_line(number, json.dumps({"time": "t", "msg": "m", "n": number}))
        for number in range(10)
    ]
    found = seen_in([*lines, make_line(11, "plain")], ["absent"])
    assert [(one.name, one.share, one.samples) for one in found] == [
        ("n", 1.0, "0, 1, 2"),
        ("rare", 0.1, "1"),
        ("absent", 0.0, ""),
    ]


@given(st.lists(st.integers(1, 200), max_size=30), st.integers(0, 300))
def test_columns_fit_their_room(wanted: list[int], cells: int) -> None:
    room = room_for_columns(cells)
    fitted = fit_columns(wanted, room)
    assert sum(one + 1 for one in fitted) <= room
    assert all(1 <= one <= COLUMN_CELLS_MAX for one in fitted)
    for cells_of, want in zip(fitted, wanted, strict=False):
        assert min(want, COLUMN_CELLS_MIN) <= cells_of <= want
    if fitted and sum(min(one, COLUMN_CELLS_MAX) + 1 for one in wanted) <= room:
        assert fitted == [min(one, COLUMN_CELLS_MAX) for one in wanted]


def test_the_widest_columns_give_way() -> None:
    assert fit_columns([3, 30, 10], 30) == [3, 14, 10]
    assert fit_columns([30, 30, 30], 12) == [5, 5]
    assert fit_columns([30, 30, 30], 9) == [8]
    assert fit_columns([30], 4) == []
