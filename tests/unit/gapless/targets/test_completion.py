from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.shell_completion import CompletionItem, ShellComplete

from gapless.cli import cli
from gapless.targets import completion
from gapless.targets.completion import cached_rows, fill_cache, region_names

PYTHON = sys.executable


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """State and AWS settings of their own."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("GAPLESS_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("GAPLESS_CONFIG", str(tmp_path / "config.toml"))
    (tmp_path / "config.toml").write_text("")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    (tmp_path / "config").write_text("[default]\n[profile dev]\nregion=eu-west-1\n[sso-session x]")
    (tmp_path / "credentials").write_text("[prod]\naws_access_key_id=x\n")
    return tmp_path


def complete(*words: str, begun: str = "") -> list[str]:
    found: list[CompletionItem] = ShellComplete(cli, {}, "gapless", "_C").get_completions(
        list(words), begun
    )
    return [one.value for one in found]


class Lists:
    """Answers in place of the processes, and notes what was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **rows: list[dict[str, Any]]) -> None:
        self.asked: list[tuple[str, ...]] = []
        self._rows = rows
        monkeypatch.setattr(completion, "cached_rows", self.answer)

    def answer(self, arguments: tuple[str, ...]) -> list[dict[str, Any]]:
        self.asked.append(tuple(arguments))
        return self._rows[arguments[0]]


def test_log_groups_in_the_regions_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    lists = Lists(monkeypatch, groups=[{"name": "/jobs/b"}, {"name": "/jobs/a"}, {"name": "/x"}])
    found = complete("tail", "--region", "r", "--region", "s", "--profile", "dev", begun="/jobs")
    assert found == ["/jobs/a", "/jobs/b"]
    assert [one[2:] for one in lists.asked] == [
        ("--profile", "dev", "--region", region) for region in ("r", "s")
    ]


def test_the_settings_file_counts(settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (settings / "config.toml").write_text('region = "eu-west-3"\n')
    lists = Lists(monkeypatch, groups=[])
    assert complete("groups") == []
    assert lists.asked == [("groups", "--json", "--region", "eu-west-3")]


def test_streams_and_executions_of_the_group(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = "2026/11/30/[$LATEST]cf37"
    lists = Lists(monkeypatch, streams=[{"stream": stream}, {"stream": "web/app/0f9d"}])
    assert complete("tail", "/g", "--execution", begun="cf") == ["cf37"]
    assert complete("tail", "/g", "--stream") == [stream, "web/app/0f9d"]
    assert lists.asked == [("streams", "/g", "--json")] * 2
    monkeypatch.setenv("_GAPLESS_COMPLETE", "bash_complete")
    assert complete("tail", "/g", "--stream", begun="2") == [f"'{stream}'"]


def test_profiles_and_regions() -> None:
    assert complete("tail", "--profile") == ["default", "dev", "prod"]
    assert complete("groups", "--region", begun="eu-central") == ["eu-central-1", "eu-central-2"]
    assert ("eu-west-1", "Europe (Ireland)") in region_names()


def write(program: Path, body: str) -> None:
    program.write_text(f"#!{PYTHON}\nimport sys\n{body}\n")
    program.chmod(0o700)


def test_a_list_is_kept_for_a_minute(settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = settings / "state/completion"
    program = settings / "program"
    write(program, 'print(\'[{"name": "/a"}]\')')
    monkeypatch.setattr(sys, "executable", str(program))
    folder.mkdir(parents=True)
    arguments = ("groups", "--json")
    monkeypatch.setattr(completion, "WAIT_S", 0.0)
    assert cached_rows(arguments) == []
    path = folder / f"{completion._digest(arguments, os.environ)}.json"
    fill_cache(path, arguments)

    def start(*_words: object, **_options: object) -> None:
        pytest.fail("a fresh list needs no process")

    with monkeypatch.context() as patched:
        patched.setattr(subprocess, "Popen", start)
        assert cached_rows(arguments) == [{"name": "/a"}]
    old = time.time() - completion.FRESH_S - 10
    os.utime(path, (old, old))
    write(program, "sys.exit('gapless: no credentials')")
    fill_cache(path, arguments)
    assert cached_rows(arguments) == [{"name": "/a"}], "an old list is better than none"
    os.utime(path, (0, 0))
    assert cached_rows(arguments) == []


def test_a_list_is_no_completion_itself(settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del settings
    environments: list[dict[str, str]] = []
    monkeypatch.setenv("_GAPLESS_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "gapless tail ")
    monkeypatch.setenv("AWS_PROFILE", "dev")
    monkeypatch.setattr(completion, "WAIT_S", 0)

    def start(*_words: object, env: dict[str, str], **_options: object) -> None:
        environments.append(env)

    monkeypatch.setattr(subprocess, "Popen", start)
    assert cached_rows(("groups", "--json")) == []
    (env,) = environments
    assert "_GAPLESS_COMPLETE" not in env
    assert "COMP_WORDS" not in env
    assert env["AWS_PROFILE"] == "dev"


def test_other_settings_have_other_lists() -> None:
    first = completion._digest(["groups"], {"AWS_PROFILE": "a", "AWS_SECRET_ACCESS_KEY": "1"})
    same = completion._digest(["groups"], {"AWS_PROFILE": "a", "AWS_SECRET_ACCESS_KEY": "2"})
    other = completion._digest(["groups"], {"AWS_PROFILE": "b"})
    assert first == same != other


def test_a_completion_imports_nothing_heavy() -> None:
    code = (
        "import sys; from click.shell_completion import ShellComplete; from gapless.cli import cli;"
        "from gapless.targets import completion as it; it.cached_rows = lambda _: [{'name': '/a'}];"
        "print([one.value for one in ShellComplete(cli, {}, 'gapless', '_C')"
        ".get_completions(['tail'], '/')], sorted({'boto3', 'botocore', 'textual', 'websockets',"
        " 'moto'} & sys.modules.keys()))"
    )
    ended = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "['/a'] []"
