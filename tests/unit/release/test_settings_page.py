from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest

from gapless.cli import cli
from gapless.settings import OTHER_VARIABLES, defaults_of, unknown_variables
from release.settings_page import markdown, settings_of, toml_value

ROOT = Path(__file__).parents[3]
SETTINGS = list(settings_of(cli))


def test_the_page_has_every_setting_as_it_is() -> None:
    assert markdown(cli) in (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")


def test_the_page_has_every_variable_that_is_no_setting() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    table = page.partition("## Other variables\n")[2].partition("\n## ")[0]
    settings = {f"GAPLESS_{setting.upper()}" for _, setting, _, _ in SETTINGS}
    assert set(re.findall(r"`(GAPLESS_\w+)`", table)) - settings == set(OTHER_VARIABLES)


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


def test_no_variable_of_the_page_is_reported_as_unknown() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    env = dict.fromkeys(re.findall(r"GAPLESS_\w+", page), "x")
    assert len(env) > len(SETTINGS) // 3
    for name in cli.list_commands(click.Context(cli)):
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        assert unknown_variables(command, env, cli) == []
