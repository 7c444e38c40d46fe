from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import click
import pytest

from gapless.cli import cli
from gapless.settings import defaults_of
from release.settings_page import markdown, settings_of, toml_value

ROOT = Path(__file__).parents[3]
SETTINGS = list(settings_of(cli))


def test_the_page_has_every_setting_as_it_is() -> None:
    assert markdown(cli) in (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("command", "setting", "example"),
    [pytest.param(one[0], one[1], one[3], id=f"{one[0]}-{one[1]}") for one in SETTINGS],
)
def test_an_example_is_a_valid_setting(
    command: str, setting: str, example: object, tmp_path: Path
) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f"[{command}]\n{setting} = {toml_value(example)}\n")
    found = cli.get_command(click.Context(cli), command)
    assert found is not None
    settings = defaults_of(found, file, cli)
    context = click.Context(found, default_map=settings)
    ((name, value),) = settings.items()
    (option,) = [one for one in found.params if one.name == name]
    assert option.type_cast_value(context, value) is not None


@pytest.mark.parametrize(
    "value", ["a", 'with "quotes"', r"\d+", ["a", "b"], True, False, 3, 2.5, 200_000]
)
def test_values_as_toml(value: Any) -> None:  # noqa: ANN401 - any type that TOML has
    assert tomllib.loads(f"x = {toml_value(value)}") == {"x": value}
