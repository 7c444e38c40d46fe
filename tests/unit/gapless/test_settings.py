from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from common.errors import UsageError
from gapless.options import DURATION, EXPRESSION, SIZE, TIME
from gapless.settings import (
    add_variables,
    defaults_of,
    setting_of,
    settings_file,
    unknown_variables,
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


@click.command("other")
@click.option("--region", multiple=True)
@click.option("--size", type=SIZE)
@click.option("--until", type=TIME)
@click.option("--share", type=click.FloatRange(0, 1))
@click.option("--mode", type=click.Choice(["a", "b"]))
@click.option("--file", type=click.Path(exists=True))
def other(**values: object) -> None:
    click.echo(" ".join(f"{key}={value}" for key, value in values.items() if value is not None))


UNTIL = 1_795_435_200_000
"""2026-11-23T12:00Z, in ms."""

ROOT = click.Group("root", commands=[tail, other])

add_variables(tail)


def settings_of(command: click.Command, path: Path) -> dict[str, Any]:
    return defaults_of(command, path, ROOT)


def run(*arguments: str, env: dict[str, str] | None = None, file: Path | None = None) -> str:
    defaults = {} if file is None else settings_of(tail, file)
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
    with pytest.raises(UsageError, match="no command has a setting 'while-held'"):
        run(file=config)


def test_a_single_value_for_a_repeatable_option(config: Path) -> None:
    config.write_text("grep = 'one two'\n")
    assert "('one two',)" in run(file=config)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("since = ", "is not TOML"),
        ("since = 1\nsince = 2", "is not TOML"),
        ("max_rows = " + "1" * 5_000, "is not TOML"),
        ("grep = " + "[" * 5_000, "is not TOML"),
        ("max_rows = 1\nmax-rows = 2", "max_rows and max-rows are the same setting: leave one out"),
        ("[tail]\nhosts = 'a'\nallow_host = 'b'", r"\[tail\] hosts and allow_host are the same"),
        ("tail = 3", "must be a table"),
        ("[tail]\nsinse = '1h'", r"\[tail\] has no setting 'sinse': did you mean since\?"),
        ("[tail]\nxyz = '1h'", "no setting 'xyz': see gapless tail -h"),
        ("sinse = '1h'", r"no command has a setting 'sinse': did you mean since\?"),
        ("regions = 'x'", r"no command has a setting 'regions': did you mean region\?"),
        ("xyz = 1", "no command has a setting 'xyz': docs/configuration.md lists all"),
        ("[tial]\nsince = '1h'", r"no command is called 'tial'.*did you mean \[tail\]\?"),
        ("[xyz]\nsince = '1h'", "no command is called 'xyz'.*tables are other, tail"),
        ("other = true", r"other must be a table, written \[other\]"),
        ("[[tail]]\nsince = '1h'", r"tail must be a table, written \[tail\]"),
        ("follow = 'no'", "follow must be true or false, and is 'no'"),
        ("[tail]\nfollow = 0", r"\[tail\] follow must be true or false, and is 0"),
        ("max-rows = '5'", "max-rows must be a whole number, and is '5'"),
        ("max-rows = true", "max-rows must be a whole number, and is true"),
        ("max-rows = 5.0", "max-rows must be a whole number, and is 5.0"),
        ("max-rows = [5]", r"max-rows takes one value, not an array: write it without \[ \]"),
        ("grep = 404", "grep must be a text in quotes, and is 404"),
        ("grep = ['a', 404]", "grep must be a text in quotes, and is 404"),
        ("grep = [['a']]", "grep must be a text in quotes, and is an array"),
        ("grep = [{a = 1}]", "grep must be a text in quotes, and is a table"),
        ("since = 10", "since must be a text in quotes, and is 10"),
        ("since = 'x'", "since: 'x' is not a duration: write"),
        ("[tail]\nmax_rows.x = 'x'", r"\[tail\] max_rows must be a whole number, and is a table"),
        ("[tail]\nwhile-held = 'x'", "no setting"),
    ],
)
def test_mistakes_in_the_file_are_named(config: Path, text: str, says: str) -> None:
    config.write_text(text)
    with pytest.raises(UsageError, match=says):
        settings_of(tail, config)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("size = true", "size must be a text in quotes, and is true"),
        ("size = 1.5", "size must be a text in quotes, and is 1.5"),
        ("size = -1", "size: '-1' is not a size"),
        ("share = '0.5'", "share must be a number, and is '0.5'"),
        ("share = 2", "share: 2.0 is not in the range"),
        ("mode = 'c'", "mode: 'c' is not one of"),
        ("until = 'when'", "until: 'when' is not a time"),
    ],
)
def test_values_that_an_option_does_not_take_are_named(config: Path, text: str, says: str) -> None:
    config.write_text(text)
    with pytest.raises(UsageError, match=says) as raised:
        settings_of(other, config)
    assert str(raised.value).startswith(f"{config}: ")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "prints"),
    [
        ("size = 65536", "size=65536"),
        ("share = 1", "share=1.0"),
        ("until = 2026-11-23T12:00:00Z", f"until={UNTIL}"),
        ("until = '2026-11-23T12:00Z'", f"until={UNTIL}"),
        (f"until = {UNTIL // 1000}", f"until={UNTIL}"),
        (f"until = {UNTIL}", f"until={UNTIL}"),
        ("region = ['a', 'b']", "region=('a', 'b')"),
        ("file = '/none'\nmax-rows = 5\n[tail]\nfollow = 5", None),
    ],
)
def test_values_that_an_option_takes(config: Path, text: str, prints: str | None) -> None:
    config.write_text(text)
    defaults = settings_of(other, config)
    if prints is None:
        return  # What concerns only other commands, or is overridden, does no harm.
    result = CliRunner().invoke(other, [], default_map=defaults)
    assert prints in result.output


def test_the_path_of_the_settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert settings_file({}) == tmp_path / "gapless" / "config.toml"
    assert settings_file({"GAPLESS_CONFIG": "/a"}) == Path("/a")


def test_a_missing_settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GAPLESS_CONFIG", raising=False)
    assert settings_of(tail, tmp_path / "none") == {}
    monkeypatch.setenv("GAPLESS_CONFIG", "x")
    with pytest.raises(UsageError, match="does not exist"):
        settings_of(tail, tmp_path / "none")
    with pytest.raises(UsageError, match="cannot read"):
        settings_of(tail, tmp_path)


def test_a_setting_of_another_command(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    env = {"GAPLESS_CONFIG": str(path)}
    path.write_text('lifecycle = "idle:1m"\n', encoding="utf-8")
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
    path.write_text("[forward]\ncalls-per-second = true\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"\[forward\] calls_per_second must be a number"):
        setting_of("forward", "calls_per_second", env)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("GAPLESS_SINSE", "did you mean GAPLESS_SINCE?"),
        ("GAPLESS_since", "did you mean GAPLESS_SINCE?"),
        ("GAPLESS_TAIL_MAX_ROW", "did you mean GAPLESS_TAIL_MAX_ROWS?"),
        ("GAPLESS_OTHER_SINCE", "did you mean GAPLESS_OTHER_SIZE?"),
        ("GAPLESS_REGIONS", "did you mean GAPLESS_REGION?"),
        ("GAPLESS_WHILE_HELD", "docs/configuration.md lists all"),
        ("GAPLESS_", "docs/configuration.md lists all"),
    ],
)
def test_a_variable_that_no_command_reads_is_named(name: str, hint: str) -> None:
    env = {"GAPLESS_SINCE": "1h", name: "1h"}
    for command in (tail, other):
        (line,) = unknown_variables(command, env, ROOT)
        assert line == f"the variable {name} has no effect: {hint}"


def test_each_variable_is_named_once_in_a_line_of_its_own() -> None:
    lines = unknown_variables(tail, {"GAPLESS_SINSE": "1", "GAPLESS_REGIONS": "1"}, ROOT)
    assert [one.split()[2] for one in lines] == ["GAPLESS_REGIONS", "GAPLESS_SINSE"]


@pytest.mark.parametrize(
    "name",
    [
        *("GAPLESS_SINCE", "GAPLESS_TAIL_SINCE", "GAPLESS_OTHER_REGION", "GAPLESS_TAIL_HOSTS"),
        *("GAPLESS_CONFIG", "GAPLESS_STATE_DIR", "GAPLESS_TOKENS", "_GAPLESS_COMPLETE"),
        *("XGAPLESS_SINSE", "GAPLESSNESS"),
    ],
)
def test_no_other_variable_is_named(name: str) -> None:
    for command in (tail, other):
        assert unknown_variables(command, {name: "1", "GAPLESS_SINSE": ""}, ROOT) == []


def test_variables_that_kubernetes_sets_about_a_service_are_not_named() -> None:
    env: dict[str, str] = {}
    for service in ("GAPLESS", "GAPLESS_FORWARDER"):
        env |= {
            f"{service}_SERVICE_HOST": "10.0.0.1",
            f"{service}_SERVICE_PORT": "8765",
            f"{service}_SERVICE_PORT_HTTP": "8765",
            f"{service}_PORT": "tcp://10.0.0.1:8765",
            f"{service}_PORT_8765_TCP": "tcp://10.0.0.1:8765",
            f"{service}_PORT_8765_TCP_PROTO": "tcp",
            f"{service}_PORT_8765_TCP_PORT": "8765",
            f"{service}_PORT_8765_TCP_ADDR": "10.0.0.1",
        }
    assert unknown_variables(tail, env, ROOT) == []
    assert len(unknown_variables(tail, {"GAPLESS_FORWARDER_PORT": "8765"}, ROOT)) == 1
