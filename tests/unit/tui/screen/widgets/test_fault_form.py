from __future__ import annotations

import pytest

from tui.screen.ports import FaultField
from tui.screen.widgets.fault_form import parse_field

DOWN = FaultField("down_ms", 5_000, 0, 86_400_000, "how long", "ms")
EVENTS = FaultField("events", 5, 1, 100, "how many")
SHARE = FaultField("toxicity", 1.0, 0, 1, "share", is_share=True)


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        (DOWN, "10s", 10_000),
        (DOWN, " 1_500 ", 1_500),
        (DOWN, "86,400,000", 86_400_000),
        (DOWN, "1m30s", 90_000),
        (EVENTS, "100", 100),
        (SHARE, "0.25", 0.25),
        (SHARE, "1", 1.0),
    ],
)
def test_what_is_typed_is_a_number(field: FaultField, text: str, value: float) -> None:
    assert parse_field(field, text) == value


@pytest.mark.parametrize(
    ("field", "text"),
    [
        *((DOWN, text) for text in ("", "-1", "2d", "ten", "1.5", "10S", "1e3")),
        *((EVENTS, text) for text in ("0", "101", "5s", "1.0", "")),
        *((SHARE, text) for text in ("1.01", "-0.1", "nan", "50%", "")),
    ],
)
def test_anything_else_is_refused_with_the_bounds(field: FaultField, text: str) -> None:
    with pytest.raises(ValueError, match=f"{field.name}: write a .* from {field.minimum} to"):
        parse_field(field, text)


@pytest.mark.parametrize("field", [DOWN, EVENTS, SHARE])
def test_what_the_form_begins_with_can_be_parsed(field: FaultField) -> None:
    assert parse_field(field, str(field.value)) == field.value
