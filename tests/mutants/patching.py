"""How a mutant changes the product: attributes of its classes, in its own process only."""

from __future__ import annotations

from typing import Any


def put(owner: object, name: str, value: Any) -> None:  # noqa: ANN401 - a method of any kind
    """Override an attribute, which must exist: else the mutant would be the product itself."""
    assert hasattr(owner, name), f"{owner} has no {name} any more"
    setattr(owner, name, value)
