from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from common.errors import EndedBySignalError, GaplessError
from gapless import cli

HEAVY = {"textual", "boto3", "botocore", "moto", "websockets", "flask", "forwarder", "simulator"}


def loaded_by(*arguments: str) -> set[str]:
    code = (
        "import sys\nfrom gapless import cli\n"
        f"cli.run({list(arguments)!r})\n"
        "print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout
    return set(done.stderr.split())


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], *([name, "--help"] for name in cli.COMMANDS)]
)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    assert not HEAVY & loaded_by(*arguments)


def test_every_command_is_there_with_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--help"]) == 0
    listed = capsys.readouterr().out
    for name, line in cli.COMMANDS.items():
        assert name in listed
        assert line in listed
        assert cli.run([name, "--help"]) == 0
        assert capsys.readouterr().out.startswith(f"Usage: gapless {name} [OPTIONS]")


@pytest.mark.parametrize(
    "arguments",
    [["verify"], ["scenario", "nonsense"], ["demo", "--port", "1"], ["tail", "--since", "soon"]],
)
def test_unknown_names_are_usage_errors_of_one_line(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(arguments) == 2
    said = capsys.readouterr()
    assert not said.out
    assert said.err.startswith("gapless: ")
    assert said.err.count("\n") == 1


def test_a_mistyped_command_gets_a_suggestion_or_the_list(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.run([]) == 2
    assert "Commands:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (GaplessError("it is\nso", 3), 3, "gapless: it is so\n"),
        (KeyboardInterrupt(), 130, ""),
        (EndedBySignalError(15), 143, ""),
    ],
)
def test_exit_codes_of_ends(
    error: BaseException,
    code: int,
    says: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(**arguments: object) -> None:
        del arguments
        raise error

    monkeypatch.setattr(cli.cli, "main", fail)
    assert cli.run(["tail"]) == code
    assert capsys.readouterr().err == says


def test_an_unexpected_fault_leaves_its_traceback_in_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**arguments: object) -> None:
        del arguments
        msg = "two\nlines"
        raise RuntimeError(msg)

    monkeypatch.setenv("GAPLESS_STATE_DIR", str(tmp_path))
    monkeypatch.setattr(cli.cli, "main", fail)
    assert cli.run(["tail"]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    path = next((tmp_path / "faults").iterdir())
    assert said == (
        f"gapless: unexpected error: RuntimeError: two lines; the traceback is in {path}\n"
    )
    assert "Traceback" in path.read_text()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion(shell: str) -> None:
    environment = {"_GAPLESS_COMPLETE": f"{shell}_source", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-m", "gapless"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "_GAPLESS_COMPLETE" in done.stdout


def run_misspelled(tmp_path: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gapless", *arguments],
        env={**os.environ, "GAPLESS_STATE_DIR": str(tmp_path), "GAPLESS_SINSE": "1h", **env},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_misspelled_variable_is_named_and_changes_nothing_else(tmp_path: Path) -> None:
    right = run_misspelled(tmp_path, "scenario", "list", GAPLESS_SINSE="")
    assert (right.returncode, right.stderr) == (0, "")
    wrong = run_misspelled(tmp_path, "scenario", "list")
    assert (wrong.returncode, wrong.stdout) == (0, right.stdout)
    says = "gapless: the variable GAPLESS_SINSE has no effect: did you mean GAPLESS_SINCE?\n"
    assert wrong.stderr == says


@pytest.mark.parametrize(("words", "word"), [("gapless tai", "1"), ("gapless tail --sin", "2")])
def test_a_misspelled_variable_does_not_disturb_completion(
    words: str, word: str, tmp_path: Path
) -> None:
    env = {"_GAPLESS_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": word}
    done = run_misspelled(tmp_path, **env)
    assert done.stdout.startswith("plain,")
    assert done.stderr == ""


@pytest.mark.parametrize("arguments", [["--help"], ["scenario", "list"], ["tail", "--help"]])
def test_output_without_room_is_one_line_with_a_remedy(
    arguments: list[str], tmp_path: Path
) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "gapless", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            env={**os.environ, "GAPLESS_STATE_DIR": str(tmp_path)},
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == (
        "gapless: the output could not be written (No space left on device): "
        "make room, and run it again\n"
    )


@pytest.mark.parametrize(
    "arguments", [["--help"], ["scenario", "list"], ["scenario", "show", "chaos"], ["tail", "-h"]]
)
def test_a_reader_that_has_enough_is_no_failure(arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)  # as `| head` does after its lines
    done = subprocess.run(
        [sys.executable, "-m", "gapless", *arguments],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_interrupt_during_the_imports_prints_no_traceback(tmp_path: Path) -> None:
    stub = tmp_path / "click.py"
    stub.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    done = subprocess.run(
        [sys.executable, "-m", "gapless", "--help"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")


def test_an_interrupt_while_a_class_is_made_is_an_exit_code_too(tmp_path: Path) -> None:
    # Dataclasses and named tuples are made by exec(). Python notes a KeyboardInterrupt there, and
    # ends by SIGINT, whatever the exit code, although it was caught.
    stub = tmp_path / "msgspec.py"
    stub.write_text("exec('import os, signal; os.kill(os.getpid(), signal.SIGINT)')\n")
    done = subprocess.run(
        [sys.executable, "-m", "gapless", "scenario", "list"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr.strip()) == (130, "")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_output_is_no_error(closed: str) -> None:
    command = f'"$1" -m gapless scenario list {closed}'
    done = subprocess.run(
        ["/bin/sh", "-c", command, "sh", sys.executable],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
