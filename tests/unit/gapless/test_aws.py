from __future__ import annotations

import gc
from pathlib import Path

import pytest

from gapless.aws import AwsChoice, group_folder, read_each, region_of

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


def test_the_settings_of_a_profile_count_but_not_its_secret(tmp_path: Path) -> None:
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


def test_unreadable_aws_settings_are_left_to_the_sdk(tmp_path: Path) -> None:
    broken = tmp_path / "config"
    broken.write_bytes(b"\xff no section")
    assert group_folder(NONE, "jobs", env(tmp_path, AWS_CONFIG_FILE=str(broken)))


def test_the_choice_as_arguments() -> None:
    assert NONE.arguments() == []
    assert AwsChoice(profile="p", endpoint_url="http://u").arguments() == [
        *("--profile", "p"),
        *("--endpoint-url", "http://u"),
    ]


@pytest.mark.parametrize("was_enabled", [True, False])
async def test_garbage_collection_is_as_before_once_aws_was_read(
    *, was_enabled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    during: list[bool] = []

    async def fail(*_: object) -> None:
        during.append(gc.isenabled())
        raise ValueError

    async def read(*_: object) -> None:
        """Read nothing."""

    monkeypatch.setattr("gapless.aws.read_cloudwatch", fail)
    if not was_enabled:
        gc.disable()
    try:
        with pytest.raises(ValueError):  # noqa: PT011 - the test's own
            await read_each([AwsChoice()], read)
        assert gc.isenabled() == was_enabled
    finally:
        gc.enable()
    assert during == [False]


def test_aws_region_counts_before_aws_default_region() -> None:
    both = {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2"}
    assert region_of(NONE, both) == "eu-west-1"
    assert region_of(NONE, {"AWS_DEFAULT_REGION": "eu-west-2"}) == "eu-west-2"
