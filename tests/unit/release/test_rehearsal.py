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
cat                           # runs until it is told to end
echo broken && exit 3
trap '' INT; kill -TERM $$
```
"""


def test_commands_run_one_after_another_and_each_has_its_outcome(tmp_path: Path) -> None:
    place = Sandbox(tmp_path, {"SIGN": "here"})
    outcomes = list(rehearse(PAGE, place, {}, settle_s=5))
    assert [bool(one.skipped) for one in outcomes] == [True, *[False] * 5]
    assert [one.fault for one in outcomes] == ["", "", "", "", "exit 3: broken", "exit -15: "]


def test_log_groups_that_a_page_names() -> None:
    text = "tail /ecs/my-service '/aws/lambda/*' arn:x:log-group:/ecs/other, ~/aws/config /v1/tail"
    assert named_groups(text) == {"/ecs/my-service", "/aws/lambda/orders"}


def test_this_python_is_found() -> None:
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert find_pythons()[version].exists()
