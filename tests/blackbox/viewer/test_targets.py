"""TARGETs: patterns, ARNs, several Regions and accounts, beginnings of ids, completion."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes.gapless_processes import (
    WAIT_S,
    GaplessProcess,
    clean_environment,
)
from tests.support.processes.log_writer import now_ms
from tests.support.processes.moto_server import RawMoto, put_events, raw_moto
from tests.support.pseudo_terminal import TerminalProcess

pytestmark = pytest.mark.timeout(600)

TASK = "0f9de17a6465404e8b1b2356dc13c2f8"
OTHER = "0f3c29a1e1c24b7fb9e2f4de6d4cf6a1"
LATEST = "2026/11/30/[$LATEST]cf37d58b1e8f4a5c9f2e7d6a3b4c5d6e"
STREAMS = (f"web/app/{TASK}", f"web/app/{OTHER}", LATEST)
BOTH = ("--region", "us-east-1", "--region", "eu-west-1")


@pytest.fixture(scope="module")
def moto() -> Iterator[RawMoto]:
    """``/ecs/web`` in two Regions, ``/ecs/eu`` in one; each stream has three lines."""
    with raw_moto() as server:
        for region, groups in (("us-east-1", ["/ecs/web"]), ("eu-west-1", ["/ecs/web", "/ecs/eu"])):
            logs = server.client(region)
            for group in groups:
                logs.create_log_group(logGroupName=group)
                for stream in STREAMS:
                    logs.create_log_stream(logGroupName=group, logStreamName=stream)
                    events = [(now_ms() - 60_000 + n, f"{region} {stream} {n}") for n in range(3)]
                    put_events(logs, group, stream, events)
        yield server


@pytest.fixture
def run(moto: RawMoto, tmp_path: Path) -> Any:  # noqa: ANN401 - a function
    def run_gapless(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "gapless", *words],
            env=clean_environment(tmp_path) | {"AWS_ENDPOINT_URL": moto.url} | variables,
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=False,
        )

    return run_gapless


def lines(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def rows(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_lists_of_two_regions(run: Any) -> None:  # noqa: ANN401 - a function
    groups = rows(run("groups", "/ecs/*", "--json", *BOTH))
    assert [(one["region"], one["name"]) for one in groups] == [
        ("us-east-1", "/ecs/web"),
        ("eu-west-1", "/ecs/eu"),
        ("eu-west-1", "/ecs/web"),
    ]
    arn = groups[0]["arn"]
    assert [one["region"] for one in rows(run("groups", arn, "--json"))] == ["us-east-1"]
    streams = rows(run("streams", "/ecs/*", "--json", *BOTH))
    assert len(streams) == 9
    assert {one["stream"] for one in rows(run("streams", arn, "--json"))} == set(STREAMS)
    executions = rows(run("executions", "/ecs/web", "--json", *BOTH))
    assert len(executions) == 6
    assert {one["region"] for one in executions} == {"us-east-1", "eu-west-1"}
    table = run("streams", "/ecs/web", *BOTH).stdout
    assert TASK in table
    assert "eu-west-1" in table


def test_what_matches_nothing(run: Any) -> None:  # noqa: ANN401 - a function
    region = ("--region", "us-east-1")
    assert (
        "no log group in us-east-1 (account 123456789012) matches 'x*'"
        in run("groups", "x*", *region).stderr
    )
    for words in (("streams", "x*"), ("executions", "x*"), ("tail", "--no-follow", "x*")):
        done = run(*words, *region)
        assert done.returncode == 3
        assert "no log group in us-east-1 (account 123456789012) matches 'x*'" in done.stderr
    tail = ("tail", "/ecs/web", "--no-follow", "--since", "1h", *region)
    done = run(*tail, "--stream", f"web/ap/{TASK}")
    assert done.returncode == 3
    assert f"no log stream 'web/ap/{TASK}' in /ecs/web yet: did you mean web/app/" in done.stderr
    done = run(*tail, "--prefix", "nothing/")
    assert (done.returncode, done.stdout) == (3, "")
    done = run("tail", "/ecs/web", "--since", "2999-01-01", "--no-follow")
    assert done.returncode == 2
    assert "is in the future" in done.stderr


@pytest.mark.parametrize(
    ("typed", "stream"),
    [
        (TASK, STREAMS[0]),
        ("0f3", STREAMS[1]),
        ("cf37", LATEST),
        (LATEST.rpartition("]")[2], LATEST),
    ],
)
def test_an_execution_by_its_id_or_the_beginning_of_it(
    run: Any,  # noqa: ANN401 - a function
    typed: str,
    stream: str,
) -> None:
    tail = ("tail", "/ecs/web", "--no-follow", "--since", "1h", "--output", "json")
    found = lines(run(*tail, "--region", "us-east-1", "--execution", typed))
    assert [one["message"] for one in found] == [f"us-east-1 {stream} {n}" for n in range(3)]


def test_an_ambiguous_beginning_lists_the_candidates(run: Any) -> None:  # noqa: ANN401 - likewise
    done = run("tail", "/ecs/web", "--no-follow", "--region", "us-east-1", "--execution", "0f")
    assert done.returncode == 2
    assert f"--execution 0f is ambiguous: {OTHER}, {TASK}" in done.stderr


def test_two_regions_side_by_side(run: Any) -> None:  # noqa: ANN401 - a function
    tail = ("tail", "/ecs/*", "--no-follow", "--since", "1h", "--output", "json", *BOTH)
    found = lines(run(*tail))
    assert sorted(one["message"] for one in found) == sorted(
        f"{region} {stream} {n}"
        for region, times in (("us-east-1", 1), ("eu-west-1", 2))
        for stream in STREAMS * times
        for n in range(3)
    )


def test_text_output_names_the_group_and_region_of_each_line(run: Any) -> None:  # noqa: ANN401
    done = run("tail", "/ecs/*", "--no-follow", "--since", "1h", "--output", "text", *BOTH)
    assert done.returncode == 0, done.stderr
    names = {line.split(" ")[1] for line in done.stdout.splitlines()}
    assert names == {"us-east-1:web", "eu-west-1:web", "eu-west-1:eu"}


def test_a_region_in_which_nothing_matches_is_named(run: Any) -> None:  # noqa: ANN401 - a function
    tail = ("tail", "--no-follow", "--since", "1h", "--output", "json", *BOTH)
    for target in ("/ecs/e*", "/ecs/eu"):
        done = run(*tail, target)
        assert len(lines(done)) == 9, "the other Region is shown, and its success counts"
        said = f"no log group in us-east-1 matches {target!r}: check --region and --profile"
        assert done.stderr.splitlines() == [f"gapless: {said}"]
    assert not run(*tail, "/ecs/w*").stderr
    said = "gapless: no log group in us-east-1 (account 123456789012) matches '/ecs/e*': did you"
    for words in (
        ("groups",),
        ("streams", "--json"),
        ("executions", "--json"),
        ("verify", "--since", "1h"),
    ):
        done = run(words[0], "/ecs/e*", *words[1:], *BOTH)
        assert done.returncode == 0, done.stderr
        assert any(one.startswith(said) for one in done.stderr.splitlines())


def test_a_screen_names_the_region_in_which_nothing_matches(moto: RawMoto, tmp_path: Path) -> None:
    words = ("tail", "/ecs/e*", "--endpoint-url", moto.url, *BOTH)
    with TerminalProcess(*words, state=tmp_path) as terminal:
        terminal.wait_for("no log group in us-east-1 matches '/ecs/e*' yet: waiting for it")
        terminal.press("q")


def test_a_page_names_on_the_terminal_what_matches_nothing(moto: RawMoto, tmp_path: Path) -> None:
    words = ("--web", "/ecs/e*", "--stream", "none", "--endpoint-url", moto.url, *BOTH)
    with GaplessProcess("tail", *words, state=tmp_path) as command:
        notice, address = command.err.wait_for(2, "lines")
        assert "no log group in us-east-1 matches '/ecs/e*' yet: waiting for it" in notice
        assert "'none'" in notice
        assert address.startswith("gapless: watch it at http://127.0.0.1:")


def test_a_group_joins_in_a_region_in_which_nothing_matched(tmp_path: Path) -> None:
    for target in ("/join/*", "/join/late"):
        with raw_moto() as server:
            server.client("eu-west-1").create_log_group(logGroupName="/join/late")
            words = ("tail", target, *(("--wait",) if "*" not in target else ()), *BOTH)
            variables = {"AWS_ENDPOINT_URL": server.url}
            state = tmp_path / target[-1].replace("*", "pattern")
            state.mkdir()
            with GaplessProcess(
                *words, "--output", "raw", state=state, environment=variables
            ) as process:
                said = f"no log group in us-east-1 matches {target!r} yet: waiting for it"
                assert process.err.wait_for(1, "a message") == [
                    f"gapless: {said}, and watching the others"
                ]
                late = server.client("us-east-1")
                late.create_log_group(logGroupName="/join/late")
                late.create_log_stream(logGroupName="/join/late", logStreamName="s")
                put_events(late, "/join/late", "s", [(now_ms(), "it is there")])
                assert process.out.wait_for(1, "the line") == ["it is there"]
                process.end()


def test_completion_in_bash(run: Any) -> None:  # noqa: ANN401 - a function
    def complete(*words: str) -> list[str]:
        done = run(
            _GAPLESS_COMPLETE="bash_complete",
            COMP_WORDS=" ".join(("gapless", *words)),
            COMP_CWORD=str(len(words)),
        )
        return [line.partition(",")[2] for line in done.stdout.splitlines() if line]

    region = ("--region", "eu-west-1")
    run("groups", *region)  # compiles what is imported
    first = complete("tail", *region, "/ecs/")
    assert first in (["/ecs/eu", "/ecs/web"], []), "a slow machine fills the cache only"
    while not first:
        first = complete("tail", *region, "/ecs/")
    assert first == ["/ecs/eu", "/ecs/web"]
    while not (found := complete("tail", *region, "/ecs/eu", "--execution", "cf")):
        pass
    assert found == ["cf37d58b1e8f4a5c9f2e7d6a3b4c5d6e"]
