"""tests.unit.gapless.test_settings."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from common.errors import UsageError
from gapless.options import DURATION, PATTERN
from gapless.settings import (
    AwsChoice,
    add_variables,
    defaults_of,
    group_folder,
    setting_of,
    settings_file,
)


@click.command("tail")
@click.option("--since", type=DURATION)
@click.option("--grep", type=PATTERN, multiple=True)
@click.option("--follow/--no-follow", default=True)
@click.option("--max-rows", type=int)
@click.option("--while-held", hidden=True)
def tail(
    since: int | None,
    grep: tuple[str, ...],
    follow: bool,  # noqa: FBT001 - click gives it by name
    max_rows: int | None,
    while_held: str | None,
) -> None:
    click.echo(f"{since} {grep} {follow} {max_rows} {while_held}")


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


def test_what_is_hidden_can_t_be_set(config: Path) -> None:
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


def test_where_the_file_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert settings_file({}) == tmp_path / "gapless" / "config.toml"
    assert settings_file({"GAPLESS_CONFIG": "/a"}) == Path("/a")


def test_a_file_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


NONE = AwsChoice()


def env(tmp_path: Path, **more: str) -> dict[str, str]:
    return {"HOME": str(tmp_path), "AWS_ACCESS_KEY_ID": "AKIA1", **more}


def test_the_same_choice_is_the_same_folder_with_the_group_s_name(tmp_path: Path) -> None:
    one = group_folder(NONE, "/ecs/my-service", env(tmp_path))
    assert one.startswith("ecs-my-service-")
    assert one == group_folder(NONE, "/ecs/my-service", env(tmp_path))
    assert one == group_folder(NONE, "/ecs/my-service", env(tmp_path, AWS_SECRET_ACCESS_KEY="new"))


@pytest.mark.parametrize(
    ("choice", "group", "more"),
    [
        (NONE, "/ecs-my/service", {}),
        (AwsChoice(region="eu-west-1"), "/ecs/my-service", {}),
        (AwsChoice(endpoint_url="http://127.0.0.1:1"), "/ecs/my-service", {}),
        (AwsChoice(profile="other"), "/ecs/my-service", {}),
        (NONE, "/ecs/my-service", {"AWS_ACCESS_KEY_ID": "AKIA2"}),
        (NONE, "/ecs/my-service", {"AWS_DEFAULT_REGION": "eu-west-1"}),
        (NONE, "/ecs/my-service", {"AWS_PROFILE": "other"}),
        (NONE, "/ecs/my-service", {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}),
    ],
)
def test_another_account_region_endpoint_or_group_is_another_folder(
    tmp_path: Path, choice: AwsChoice, group: str, more: dict[str, str]
) -> None:
    usual = group_folder(NONE, "/ecs/my-service", env(tmp_path))
    assert group_folder(choice, group, env(tmp_path, **more)) != usual


def test_what_the_settings_say_of_a_profile_counts_but_not_its_secret(tmp_path: Path) -> None:
    folder = tmp_path / ".aws"
    folder.mkdir()
    credentials, config = folder / "credentials", folder / "config"

    def seen() -> str:
        return group_folder(AwsChoice(profile="work"), "jobs", {"HOME": str(tmp_path)})

    credentials.write_text("[work]\naws_access_key_id = A\naws_secret_access_key = one\n")
    first = seen()
    credentials.write_text("[work]\naws_access_key_id = A\naws_secret_access_key = two\n")
    assert seen() == first
    credentials.write_text("[work]\naws_access_key_id = B\naws_secret_access_key = two\n")
    second = seen()
    assert second != first
    config.write_text("[profile work]\nregion = eu-west-1\n[profile other]\nregion = x\n")
    third = seen()
    assert third != second
    config.write_text("[profile work]\nregion = eu-west-1\n")
    assert seen() == third


def test_settings_that_can_t_be_read_are_the_sdk_s_to_complain_of(tmp_path: Path) -> None:
    broken = tmp_path / "config"
    broken.write_bytes(b"\xff no section")
    assert group_folder(NONE, "jobs", env(tmp_path, AWS_CONFIG_FILE=str(broken)))


def test_the_choice_as_arguments() -> None:
    assert NONE.arguments() == []
    assert AwsChoice(profile="p", endpoint_url="http://u").arguments() == [
        *("--profile", "p"),
        *("--endpoint-url", "http://u"),
    ]
