"""Overrides attributes of the product's classes within a mutant's process."""

from __future__ import annotations

from typing import Any


def put(owner: object, name: str, value: Any) -> None:  # noqa: ANN401 - a method of any kind
    """Override an attribute, which must exist: otherwise the mutant would change nothing."""
    assert hasattr(owner, name), f"{owner} has no {name} any more"
    setattr(owner, name, value)
