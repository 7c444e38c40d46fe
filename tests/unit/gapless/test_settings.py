from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from common.errors import UsageError
from gapless.options import DURATION, EXPRESSION
from gapless.settings import (
    add_variables,
    defaults_of,
    setting_of,
    settings_file,
)


@click.command("tail")
@click.option("--since", type=DURATION)
@click.option("--grep", type=EXPRESSION, multiple=True)
@click.option("--follow/--no-follow", default=True)
@click.option("--max-rows", type=int)
@click.option("--allow-host", "hosts", multiple=True)
@click.option("--while-held", hidden=True)
def tail(
    since: int | None,
    grep: tuple[str, ...],
    follow: bool,  # noqa: FBT001 - click gives it by name
    max_rows: int | None,
    hosts: tuple[str, ...],
    while_held: str | None,
) -> None:
    more = f" {hosts}" if hosts else ""
    click.echo(f"{since} {grep} {follow} {max_rows} {while_held}{more}")


add_variables(tail)


def run(*arguments: str, env: dict[str, str] | None = None, file: Path | None = None) -> str:
    defaults = {} if file is None else defaults_of(tail, file)
    result = CliRunner().invoke(tail, arguments, env=env, default_map=defaults)
    assert result.exit_code == 0, result.output
    return result.output.strip()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(
        'since = "1h"\nmax-rows = 5\nregion = "for other commands"\n'
        '[tail]\ngrep = ["a b", "c"]\nfollow = false\n'
    )
    return path


def test_flag_beats_variable_beats_file(config: Path) -> None:
    assert run() == "None () True None None"
    assert run(file=config) == "3600000 ('a b', 'c') False 5 None"
    env = {"GAPLESS_SINCE": "2h", "GAPLESS_GREP": "x y\nz", "GAPLESS_FOLLOW": "true"}
    assert run(file=config, env=env) == "7200000 ('x y', 'z') True 5 None"
    assert run("--since", "3h", "--grep", "f", file=config, env=env).startswith("10800000 ('f',)")


def test_a_variable_of_the_command_beats_one_of_all(config: Path) -> None:
    env = {"GAPLESS_SINCE": "2h", "GAPLESS_TAIL_SINCE": "4h"}
    assert run(file=config, env=env).startswith("14400000 ")


@pytest.mark.parametrize("name", ["ALLOW_HOST", "TAIL_ALLOW_HOST", "HOSTS", "TAIL_HOSTS"])
def test_a_variable_has_the_name_of_the_option_or_the_former_one(name: str) -> None:
    assert run(env={f"GAPLESS_{name}": "a.example\nb.example"}).endswith(
        "('a.example', 'b.example')"
    )


@pytest.mark.parametrize("name", ["allow-host", "allow_host", "hosts"])
def test_a_setting_has_the_name_of_the_option_or_the_former_one(name: str, config: Path) -> None:
    config.write_text(f'[tail]\n{name} = ["a.example"]\n')
    assert run(file=config).endswith("('a.example',)")


def test_hidden_options_cannot_be_set(config: Path) -> None:
    assert run(env={"GAPLESS_WHILE_HELD": "x"}).endswith("None")
    config.write_text("while-held = 'x'\n")
    assert run(file=config).endswith("None")


def test_a_single_value_for_a_repeatable_option(config: Path) -> None:
    config.write_text("grep = 'one two'\n")
    assert "('one two',)" in run(file=config)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("since = ", "is not TOML"),
        ("tail = 3", "must be a table"),
        ("[tail]\nsinse = '1h'", "no setting 'sinse'"),
        ("[tail]\nwhile-held = 'x'", "no setting"),
    ],
)
def test_mistakes_in_the_file_are_named(config: Path, text: str, says: str) -> None:
    config.write_text(text)
    with pytest.raises(UsageError, match=says):
        defaults_of(tail, config)


def test_the_path_of_the_settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert settings_file({}) == tmp_path / "gapless" / "config.toml"
    assert settings_file({"GAPLESS_CONFIG": "/a"}) == Path("/a")


def test_a_missing_settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GAPLESS_CONFIG", raising=False)
    assert defaults_of(tail, tmp_path / "none") == {}
    monkeypatch.setenv("GAPLESS_CONFIG", "x")
    with pytest.raises(UsageError, match="does not exist"):
        defaults_of(tail, tmp_path / "none")
    with pytest.raises(UsageError, match="cannot read"):
        defaults_of(tail, tmp_path)


def test_a_setting_of_another_command(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    env = {"GAPLESS_CONFIG": str(path)}
    path.write_text('other = 1\nlifecycle = "idle:1m"\n', encoding="utf-8")
    assert setting_of("forward", "lifecycle", env) == "idle:1m"
    assert setting_of("forward", "retain", env) is None
    path.write_text('lifecycle = "idle:1m"\n[forward]\nlifecycle = "idle:2m"\n', encoding="utf-8")
    assert setting_of("forward", "lifecycle", env) == "idle:2m"
    env["GAPLESS_LIFECYCLE"] = "idle:3m"
    assert setting_of("forward", "lifecycle", env) == "idle:3m"
    env["GAPLESS_FORWARD_LIFECYCLE"] = "idle:4m"
    assert setting_of("forward", "lifecycle", env) == "idle:4m"
    path.write_text("[forward]\ncalls-per-second = 2.5\n", encoding="utf-8")
    assert setting_of("forward", "calls_per_second", env) == "2.5"
