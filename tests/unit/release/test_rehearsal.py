from __future__ import annotations

import sys
from pathlib import Path

from release.check import find_pythons
from release.rehearsal import named_groups, rehearse
from release.sandbox import Sandbox

PAGE = """
```sh
make demo
echo "$SIGN" | tee sign
test "$(cat sign)" = here     # written by the command before
echo broken && exit 3
trap '' INT; kill -TERM $$
```
"""


def test_commands_run_one_after_another_and_each_has_its_outcome(tmp_path: Path) -> None:
    outcomes = list(rehearse(PAGE, Sandbox(tmp_path, {"SIGN": "here"}), {}, settle_s=240))
    assert [bool(one.skipped) for one in outcomes] == [True, *[False] * 4]
    codes = [one.fault.partition(":")[0] for one in outcomes]
    assert codes == ["", "", "", "exit 3", "exit -15"]


def test_a_command_that_runs_until_it_is_told_to_end_has_worked(tmp_path: Path) -> None:
    (one,) = rehearse("```sh\ncat\n```", Sandbox(tmp_path, {}), {}, settle_s=1)
    assert one.fault == ""


def test_log_groups_that_a_page_names() -> None:
    text = "tail /ecs/my-service '/aws/lambda/*' arn:x:log-group:/ecs/other, ~/aws/config /v1/tail"
    assert named_groups(text) == {"/ecs/my-service", "/aws/lambda/orders"}


def test_this_python_is_found() -> None:
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert find_pythons()[version].exists()
