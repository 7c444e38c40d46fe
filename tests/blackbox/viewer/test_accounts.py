"""Log groups of several accounts in one view: profiles, and linked accounts by ARN."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.support.processes.gapless_processes import GaplessProcess
from tests.support.processes.log_writer import now_ms
from tests.support.processes.moto_server import REGION, put_events, raw_moto, stand_in

pytestmark = pytest.mark.timeout(600)

LINKED, OTHER = "222222222222", "333333333333"


def add_group(client: Any, group: str, line: str) -> None:  # noqa: ANN401 - boto3's
    client.create_log_group(logGroupName=group)
    client.create_log_stream(logGroupName=group, logStreamName="s")
    put_events(client, group, "s", [(now_ms(), line)])


def test_a_linked_accounts_group_beside_an_own_one_of_the_same_name(tmp_path: Path) -> None:
    with stand_in() as moto:
        client = moto.client()
        add_group(client, "/ecs/web", "own line")

        def sign_for_linked(request: Any, **_: object) -> None:  # noqa: ANN401 - botocore's
            request.headers["X-Moto-Account-Id"] = LINKED

        client.meta.events.register("before-sign.logs", sign_for_linked)
        add_group(client, "/ecs/web", "linked line")
        client.close()
        arn = f"arn:aws:logs:{REGION}:{LINKED}:log-group:/ecs/web"
        words = ("/ecs/w*", arn, "--since", "1h", "--output", "text")
        aws = ("--endpoint-url", moto.url, "--region", REGION)
        with GaplessProcess("tail", *words, *aws, state=tmp_path) as process:
            lines = process.out.wait_for(2, "lines")
            assert {tuple(one.split(" ", 3)[1:]) for one in lines} == {
                ("web", "s", "own line"),
                (f"{LINKED}:web", "s", "linked line"),
            }
            process.end()


def test_two_accounts_and_two_regions_side_by_side(tmp_path: Path) -> None:
    with raw_moto() as moto:
        sts = boto3.client(
            "sts",
            endpoint_url=moto.url,
            region_name=REGION,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )
        role = f"arn:aws:iam::{OTHER}:role/reader"
        given = sts.assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
        sts.close()
        accounts = {
            "mine": ("testing", "testing", None),
            "other": (given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]),
        }
        settings, regions = [], (REGION, "eu-west-1")
        for profile, (key, secret, token) in accounts.items():
            settings += [f"[{profile}]", f"aws_access_key_id={key}"]
            settings += [f"aws_secret_access_key={secret}"]
            settings += [f"aws_session_token={token}"] if token else []
            for region in regions:
                client = boto3.client(
                    "logs",
                    endpoint_url=moto.url,
                    region_name=region,
                    aws_access_key_id=key,
                    aws_secret_access_key=secret,
                    aws_session_token=token,
                )
                add_group(client, "/ecs/web", f"{profile} {region}")
                client.close()
        path = tmp_path / "credentials"
        path.write_text("\n".join(settings))
        words = ["tail", "/ecs/*", "--since", "1h", "--output", "json"]
        for option, values in (("--profile", accounts), ("--region", regions)):
            for one in values:
                words += [option, one]
        variables = {"AWS_ENDPOINT_URL": moto.url, "AWS_SHARED_CREDENTIALS_FILE": str(path)}
        # Keys in the environment would count instead of the profiles' own.
        hidden = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "")
        with GaplessProcess(*words, state=tmp_path, environment=variables | hidden) as process:
            found = [json.loads(one) for one in process.out.wait_for(4, "lines")]
            assert {(one["message"], one["region"]) for one in found} == {
                (f"{profile} {region}", region) for profile in accounts for region in regions
            }
            process.end()
