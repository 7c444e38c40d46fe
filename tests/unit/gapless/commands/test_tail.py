from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from common.errors import EXIT_CODES
from gapless import cli
from gapless.commands import forward
from gapless.viewing.model import Viewing
from wire.limits import DEFAULT_HISTORY_MS


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "give a TARGET"),
        (["http://127.0.0.1"], "begins with http://"),
        (["ws://127.0.0.1", "--grep", "/(/"], "is not a regular expression"),
        (["ws://127.0.0.1", "--grep", "/(?=x)y/"], "look-around is not supported"),
        (["ws://127.0.0.1", "--exclude", r"/(a)\1/"], "back references are not supported"),
        (["ws://127.0.0.1", "--grep", "/(.{0,500}x){30}/"], "repeats something over 1,000 times"),
        (["ws://127.0.0.1", "--since", "tomorrow"], "is not a time"),
        (["ws://127.0.0.1", "--level", "loud"], "--level"),
        (["ws://127.0.0.1", "--lines", "-1"], "--lines"),
        (["ws://127.0.0.1", "--token-file", "/no/such/file"], "cannot read the token file"),
        (["ws://127.0.0.1", "--endpoint-url", "moto"], "is not a URL"),
        (["ws://127.0.0.1", "--filter-pattern", " "], "it is blank"),
        (["ws://127.0.0.1", "--filter-pattern", "\udcff"], "is not valid Unicode"),
        (["ws://127.0.0.1", "--filter-pattern", "x" * 1025], "it has 1,025 characters"),
        (["ws://127.0.0.1", "--record", "/no/such/folder/record"], "cannot write the record"),
        (["ws://127.0.0.1", "--order", "random"], "--order"),
        (["ws://127.0.0.1", "--resume=a b"], "is not a consumer's name"),
        (["ws://127.0.0.1", "--resume", "--no-resume"], "exclude each other"),
        (["--resume", "archive"], "give a TARGET"),
        (["ws://127.0.0.1", "--port", "80"], "give --web with it"),
        (["ws://127.0.0.1", "--web", "--output", "json"], "--web shows the screen"),
        (["ws://127.0.0.1", "--web", "--no-follow"], "--web shows the screen"),
        (["ws://127.0.0.1", "--web", "--record", "run.ndjson"], "each tab has its own: leave out"),
        (["ws://127.0.0.1", "--fields", "a,,b"], "at character 3 is no field name"),
        (["ws://127.0.0.1", "--format", "jsno"], "did you mean json?"),
        (["ws://127.0.0.1", "-o", "{tme}"], "unknown field 'tme' at character 1: did you mean"),
        (["ws://127.0.0.1", "--format", "json", "--output", "raw"], "'json' and 'raw' exclude"),
        (["ws://127.0.0.1", "-o", "raw", "--fields", "a"], "raw prints whole messages"),
        (["ws://127.0.0.1", "-o", "{msg}", "--fields", "a"], "the template names its own"),
        (["ws://127.0.0.1", "--timezone", "Europe/Berln"], "did you mean Europe/Berlin"),
        (["ws://127.0.0.1", "-C", "2"], "give --grep or --level, too"),
        (["ws://127.0.0.1", "--grep", "x", "-A", "-1"], "'-A'"),
    ],
)
def test_mistakes(
    arguments: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GAPLESS_STATE_DIR", str(tmp_path))
    assert cli.run(["tail", *arguments]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "env", "resume", "consumer"),
    [
        ([], {}, None, ""),
        (["--resume"], {}, True, ""),
        (["--resume", "archive"], {}, True, "archive"),
        (["--no-resume"], {}, False, ""),
        ([], {"GAPLESS_RESUME": "1"}, True, ""),
        ([], {"GAPLESS_RESUME": "false"}, False, ""),
        ([], {"GAPLESS_TAIL_RESUME": "archive"}, True, "archive"),
        (["--no-resume"], {"GAPLESS_RESUME": "archive"}, False, ""),
        (["--resume", "ws://127.0.0.1"], {}, True, ""),
    ],
)
def test_which_consumer_resumes(
    arguments: list[str],
    env: dict[str, str],
    resume: bool | None,  # noqa: FBT001 - the table's column
    consumer: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Viewing] = []

    def look(viewing: Viewing, _opener: object) -> int:
        seen.append(viewing)
        return 0

    monkeypatch.setattr("gapless.viewing.watch.watch", look)
    monkeypatch.setenv("GAPLESS_STATE_DIR", str(tmp_path))
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    targets = [] if "ws://127.0.0.1" in arguments else ["ws://127.0.0.1"]
    assert cli.run(["tail", *targets, *arguments]) == 0
    (viewing,) = seen
    assert (viewing.resume, viewing.consumer) == (resume, consumer)


def viewing_of(arguments: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Viewing:
    seen: list[Viewing] = []

    def look(viewing: Viewing, _opener: object) -> int:
        seen.append(viewing)
        return 0

    monkeypatch.setattr("gapless.viewing.watch.watch", look)
    monkeypatch.setenv("GAPLESS_STATE_DIR", str(tmp_path))
    assert cli.run(["tail", *arguments]) == 0
    (viewing,) = seen
    return viewing


@pytest.mark.parametrize(
    ("given", "output"),
    [
        (["--output", "text"], "text"),
        (["--format", "detailed"], "text"),
        (["--format", "detailed", "--output", "text"], "text"),
        (["-o", "short"], "short"),
        (["-ojson"], "json"),
        (["--format={time} {msg}"], "{time} {msg}"),
        ([], None),
    ],
)
def test_format_and_output_are_one_option(
    given: list[str], output: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert viewing_of(["ws://127.0.0.1", *given], monkeypatch, tmp_path).output == output


def test_a_format_on_the_command_line_beats_a_setting(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GAPLESS_OUTPUT", "json")
    assert viewing_of(["ws://127.0.0.1"], monkeypatch, tmp_path).output == "json"
    viewing = viewing_of(["ws://127.0.0.1", "--format", "raw"], monkeypatch, tmp_path)
    assert viewing.output == "raw"


def test_short_options(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    words = ["ws://127.0.0.1", "-f", "-n", "7", "-s", "1970-01-01T00:00:01Z", "--grep", "x"]
    viewing = viewing_of([*words, "-A", "1", "-B5", "-C", "3"], monkeypatch, tmp_path)
    assert (viewing.follow, viewing.lines, viewing.since) == (True, 7, 1_000)
    assert (viewing.before, viewing.after) == (5, 3)


def test_a_target_given_twice_counts_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    viewing = viewing_of(["ws://127.0.0.1", "ws://127.0.0.1"], monkeypatch, tmp_path)
    assert len(viewing.targets) == 1


@pytest.mark.parametrize(
    ("zone", "hour"), [("Asia/Tokyo", 3), ("utc", 12), ("local", 2), (None, 2)]
)
def test_times_are_read_in_the_zone_of_timezone(
    zone: str | None, hour: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TZ", "Australia/Brisbane")  # ten hours ahead of UTC
    time.tzset()
    try:
        words = ["ws://127.0.0.1", "--since", "2024-07-01T12:00"]
        words += [] if zone is None else ["--timezone", zone]
        viewing = viewing_of(words, monkeypatch, tmp_path)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert viewing.since == int(datetime(2024, 7, 1, hour, tzinfo=UTC).timestamp() * 1000)
    assert viewing.timezone == zone


def test_the_zone_may_be_a_setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GAPLESS_TIMEZONE", "Asia/Tokyo")
    words = ["ws://127.0.0.1", "--since", "2024-07-01T12:00"]
    viewing = viewing_of(words, monkeypatch, tmp_path)
    assert viewing.since == int(datetime(2024, 7, 1, 3, tzinfo=UTC).timestamp() * 1000)


def test_help_states_defaults_case_and_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["tail", "--help"]) == 0
    shown = capsys.readouterr().out
    words = " ".join(shown.split())
    assert DEFAULT_HISTORY_MS == 600_000
    assert "[default: 10m; a screen resumes]" in words
    assert "begin ten minutes ago" in words
    (retain,) = (one for one in forward.command.params if one.name == "retain")
    assert retain.default == "24h"
    assert "keeps messages for 24 h" in words
    assert "smart case" in words
    assert "[default: (follow)]" in words
    for code, text in EXIT_CODES.items():
        assert f"{code:>5}  {text}" in shown
