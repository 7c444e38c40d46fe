"""Log groups that come and go: one background forwarder for all, patterns, and a groups file."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.http import HttpStatusError, request
from gapless.aws import AwsChoice, group_folder
from tests.support.processes.gapless_processes import (
    GaplessProcess,
    clean_environment,
    forwarder,
    wait_until,
)
from tests.support.processes.moto_server import RawMoto, put_events, raw_moto, stand_in

pytestmark = pytest.mark.timeout(600)

ONE, TWO, LATER = "/jobs/one", "/jobs/two", "/jobs/later"


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture
def moto() -> Iterator[RawMoto]:
    with raw_moto() as server:
        for group in (ONE, TWO):
            add_group(server, group)
        yield server


def add_group(moto: RawMoto, group: str) -> None:
    moto.create(group, "s")
    moto.put(group, "s", [(now_ms(), f"line of {group}")])


def delete_group(moto: RawMoto, group: str) -> None:
    client = moto.client()
    client.delete_log_group(logGroupName=group)
    client.close()


def tail(group: str, moto: RawMoto, state: Path, *options: str) -> GaplessProcess:
    where = ("--endpoint-url", moto.url, "--region", "us-east-1")
    since = () if "--resume" in options else ("--since", "10m")
    return GaplessProcess("tail", group, *where, *since, "--output", "text", *options, state=state)


def lock_files(state: Path) -> list[dict[str, Any]]:
    """Ready lines of the background forwarders that run."""
    found = []
    for path in state.glob("xdg_state_home/gapless/accounts/*/journals.lock"):
        text = path.read_text(encoding="utf-8")
        found += [json.loads(text)] if text else []
    return found


def get(ready: dict[str, Any], path: str, token: str | None = None) -> Any:  # noqa: ANN401 - JSON
    return request(f"{ready['http']}{path}", token=token)


def served(ready: dict[str, Any]) -> list[str]:
    found: list[str] = get(ready, "/v1/groups")
    return sorted(found)


def until_served(ready: dict[str, Any], *groups: str) -> None:
    wait_until(lambda: served(ready) == sorted(groups), f"{groups} to be served")


def test_two_tails_of_different_groups_share_one_forwarder(moto: RawMoto, tmp_path: Path) -> None:
    with tail(ONE, moto, tmp_path) as one:
        assert one.out.wait_for(1, "lines")[0].endswith(f"line of {ONE}")
        (first,) = lock_files(tmp_path)
        with tail(TWO, moto, tmp_path) as two:
            assert two.out.wait_for(1, "lines")[0].endswith(f"line of {TWO}")
            (second,) = lock_files(tmp_path)
            assert second["pid"] == first["pid"]
            with tail("/jobs/none", moto, tmp_path) as missing:
                assert missing.popen.wait(240) == 3
                assert (
                    "there is no log group '/jobs/none' in us-east-1" in missing.err.wait_end()[-1]
                )
        add_group(moto, LATER)
        with tail(LATER, moto, tmp_path) as later:
            assert later.out.wait_for(1, "lines")[0].endswith(f"line of {LATER}")
        assert lock_files(tmp_path)[0]["pid"] == first["pid"]
    wait_until(lambda: not lock_files(tmp_path), "the end of the forwarder")
    names = [path.name for path in tmp_path.glob("**/accounts/*/journals/*.sqlite3")]
    assert len(names) == 3


def test_a_pattern_follows_what_is_created_and_deleted(moto: RawMoto, tmp_path: Path) -> None:
    with forwarder("/jobs/*", moto.url, tmp_path, journal="folder") as serving:
        ready = serving.ready()
        assert served(ready) == [ONE, TWO]
        with pytest.raises(HttpStatusError) as refused:
            get(ready, "/v1/executions?group=/elsewhere")
        assert refused.value.status == 404
        assert "'/elsewhere' is not served here, in us-east-1" in refused.value.detail
        add_group(moto, LATER)
        until_served(ready, LATER, ONE, TWO)
        listed = get(ready, "/v1/groups?match=/jobs/*r&match=/jobs/o?e")
        assert [(one["name"], one["served"]) for one in listed] == [(LATER, True), (ONE, True)]
        with tail(f"{ready['websocket']}?group={LATER}", moto, tmp_path) as viewer:
            viewer.out.wait_for(1, "lines")
            delete_group(moto, LATER)
            wait_until(
                lambda: any("there is no log group" in one for one in viewer.err.so_far()),
                "the announcement that the log group is gone",
            )
            add_group(moto, LATER)
            moto.put(LATER, "s", [(now_ms(), "it is back")])
            wait_until(
                lambda: any("it is back" in one for one in viewer.out.so_far()),
                "the lines of the log group that was created again",
            )


def test_a_groups_file_is_read_again_when_it_changes(moto: RawMoto, tmp_path: Path) -> None:
    path = tmp_path / "groups.txt"
    path.write_text(f"# ours\n{ONE}\n{LATER}  # not there yet\n", encoding="ascii")
    with GaplessProcess(
        *("forward", "--groups-file", str(path), "--no-token", "--port", "0"),
        *("--endpoint-url", moto.url, "--region", "us-east-1"),
        state=tmp_path,
    ) as serving:
        ready = serving.ready()
        until_served(ready, ONE)
        with tail(f"{ready['websocket']}?group={ONE}", moto, tmp_path) as viewer:
            viewer.out.wait_for(1, "lines")
            path.write_text(f"no good name\n{TWO}\n", encoding="ascii")
            until_served(ready, TWO)
            assert viewer.popen.wait(240) == 3
            assert "is not served here" in viewer.err.wait_end()[-1]
        assert any("line 1: 'no good name' is not" in one for one in serving.err.so_far())
        path.write_text(f"{LATER}\n", encoding="ascii")
        until_served(ready)
        add_group(moto, LATER)
        until_served(ready, LATER)


def test_forwarders_are_listed_and_stopped_and_their_journals_purged(
    moto: RawMoto, tmp_path: Path
) -> None:
    with tail(ONE, moto, tmp_path) as viewer:
        viewer.out.wait_for(1, "lines")
        (ready,) = lock_files(tmp_path)
        (row,) = json.loads(run("forwarders", "--json", state=tmp_path))
        assert (row["pid"], row["groups"], row["viewers"]) == (ready["pid"], [ONE], 1)
        assert row["background"]
        assert row["journal_bytes"] > 0
        assert row["calls_per_minute"] > 0
        assert ONE in run("forwarders", state=tmp_path)
        assert "0 journals deleted; 1 kept" in run("purge", "--yes", state=tmp_path)
        assert "stopped the forwarder" in run("forwarders", "stop", row["id"][:6], state=tmp_path)
        assert lock_files(tmp_path) == []
        # A new command starts it on its port, where the first one finds it again.
        with tail(TWO, moto, tmp_path) as other:
            other.out.wait_for(1, "lines")
            (again,) = lock_files(tmp_path)
            assert again["websocket"] == ready["websocket"]
            moto.put(ONE, "s", [(now_ms(), "after the stop")])
            wait_until(
                lambda: any("after the stop" in one for one in viewer.out.so_far()),
                "the first viewer's reconnection",
            )
    wait_until(lambda: not lock_files(tmp_path), "the end of the forwarder")
    assert "no forwarder is running" in run("forwarders", state=tmp_path)
    assert "nobody can be asked" in run("purge", state=tmp_path, code=2)
    assert "0 journals deleted; 2 kept" in run(
        "purge", "--yes", "--older-than", "1h", state=tmp_path
    )
    assert "2 journals deleted, " in run("purge", "--yes", state=tmp_path)
    assert list(tmp_path.glob("**/*.sqlite3*")) == []


def run(*arguments: str, state: Path, code: int = 0) -> str:
    """Run a command to its end; returns what it printed."""
    with GaplessProcess(*arguments, state=state) as process:
        assert process.popen.wait(240) == code
        return "\n".join(process.out.wait_end() + process.err.wait_end())


def test_journals_of_one_forwarder_a_group_are_moved_and_cursors_stay(
    moto: RawMoto, tmp_path: Path
) -> None:
    with tail(ONE, moto, tmp_path, "--resume", "name") as viewer:
        viewer.out.wait_for(1, "lines")
        viewer.end(signal.SIGINT)
    wait_until(lambda: not lock_files(tmp_path), "the end of the forwarder")
    # Where version 0.1 had it.
    root = tmp_path / "xdg_state_home" / "gapless"
    (journal,) = root.glob("accounts/*/journals/*.sqlite3")
    choice = AwsChoice(endpoint_url=moto.url, region="us-east-1")
    former = root / "groups" / group_folder(choice, ONE, clean_environment(tmp_path))
    former.mkdir(parents=True)
    journal.rename(former / "journal.sqlite3")
    (former / "forwarder.log").touch()
    moto.put(ONE, "s", [(now_ms(), "a new line")])
    with tail(ONE, moto, tmp_path, "--resume", "name") as viewer:
        (line,) = viewer.out.wait_for(1, "lines")
        assert line.endswith("a new line")
        assert not any("again" in one for one in viewer.err.so_far())
    assert not former.exists()
    assert journal.exists()


LINKED = "222222222222"


def add_linked_group(moto: RawMoto, group: str) -> None:
    client = moto.client()

    def sign_for_linked(request: Any, **_: object) -> None:  # noqa: ANN401 - botocore's
        request.headers["X-Moto-Account-Id"] = LINKED

    client.meta.events.register("before-sign.logs", sign_for_linked)
    client.create_log_group(logGroupName=group)
    client.create_log_stream(logGroupName=group, logStreamName="s")
    put_events(client, group, "s", [(now_ms(), "line of the linked account")])
    client.close()


def test_a_log_group_of_a_linked_account_is_served_by_its_arn(tmp_path: Path) -> None:
    with stand_in() as moto:
        add_group(moto, ONE)
        add_linked_group(moto, ONE)
        arn = f"arn:aws:logs:us-east-1:{LINKED}:log-group:{ONE}"
        own = f"arn:aws:logs:us-east-1:123456789012:log-group:{ONE}:*"
        with forwarder(own, moto.url, tmp_path, f"{arn[:-3]}*", journal="folder") as serving:
            ready = serving.ready()
            until_served(ready, ONE, arn)
            (listed,) = get(ready, f"/v1/groups?match=arn:aws:logs:us-east-1:{LINKED}:log-group:*")
            assert (listed["name"], listed["group"], listed["served"]) == (ONE, arn, True)
            linked_line, own_line = "line of the linked account", f"line of {ONE}"
            for group, text in ((arn, linked_line), (own, own_line), (ONE, own_line)):
                with tail(f"{ready['websocket']}?group={group}", moto, tmp_path) as viewer:
                    (line,) = viewer.out.wait_for(1, "lines")
                    assert line.endswith(text)
            with pytest.raises(HttpStatusError, match="is in eu-west-1, but"):
                get(ready, f"/v1/executions?group={arn.replace('us-east', 'eu-west')}")
