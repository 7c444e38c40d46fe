"""The CloudFormation template: checked by cfn-lint, created on moto, and used for a live path."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import boto3
import pytest

from tests.support.processes.gapless_processes import Viewer, forwarder, wait_until
from tests.support.processes.log_writer import CLEAN, Ledger, Load, compare
from tests.support.processes.moto_server import REGION, RawMoto, raw_moto

TEMPLATE: Final = Path(__file__).parents[3] / "deploy" / "cloudformation.yaml"
GROUP: Final = "/jobs/deployed"
DOMAIN: Final = "logs.example.com"
ACCOUNT: Final = "123456789012"

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def moto() -> Iterator[RawMoto]:
    with raw_moto() as server:
        yield server


def client(moto: RawMoto, service: str) -> Any:  # noqa: ANN401 - the stubs have CloudWatch Logs alone
    return boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=moto.url,
        region_name=REGION,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )


def create_stack(moto: RawMoto, name: str, **given: str) -> dict[str, str]:
    """Create the stack on moto, which has a network by default; returns its outputs."""
    ec2 = client(moto, "ec2")
    network = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    subnets = ",".join([one["SubnetId"] for one in ec2.describe_subnets()["Subnets"]][:2])
    certificate = client(moto, "acm").request_certificate(DomainName=DOMAIN)["CertificateArn"]
    parameters = {
        "Image": "gapless:0.2.0",
        "Targets": f"{GROUP},/ecs/*",
        "LiveLogGroup": GROUP,
        "TokensSecret": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:tokens",
        "DomainName": DOMAIN,
        "Certificate": certificate,
        "Vpc": network,
        "Subnets": subnets,
        "LoadBalancerSubnets": subnets,
        **given,
    }
    stacks = client(moto, "cloudformation")
    stacks.create_stack(
        StackName=name,
        TemplateBody=TEMPLATE.read_text(),
        Parameters=[
            {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
        ],
        Capabilities=["CAPABILITY_IAM"],
    )
    (stack,) = stacks.describe_stacks(StackName=name)["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    return {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}


def test_cfn_lint_finds_nothing() -> None:
    program = Path(sys.executable).with_name("cfn-lint")
    checked = subprocess.run(
        [program, TEMPLATE], check=False, capture_output=True, text=True, timeout=240
    )
    assert (checked.returncode, checked.stdout) == (0, "")


def test_the_roles_allow_reading_alone(moto: RawMoto) -> None:
    create_stack(moto, "roles", LiveLogGroup="")
    iam = client(moto, "iam")
    resources = client(moto, "cloudformation").describe_stack_resources(StackName="roles")
    (role,) = [
        one["PhysicalResourceId"]
        for one in resources["StackResources"]
        if one.get("LogicalResourceId") == "TaskRole"
    ]
    (name,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
    policy = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
    if isinstance(policy, str):  # moto stores what Python prints
        policy = ast.literal_eval(policy)
    actions = [one["Action"] for one in policy["Statement"]]
    assert actions == [
        "logs:DescribeLogGroups",
        ["logs:DescribeLogStreams", "logs:DescribeSubscriptionFilters", "logs:FilterLogEvents"],
    ]


def test_the_task_serves_the_targets(moto: RawMoto) -> None:
    outputs = create_stack(moto, "task")
    assert outputs["Address"] == f"wss://{DOMAIN}/v1/tail"
    ecs = client(moto, "ecs")
    (arn,) = ecs.list_task_definitions(familyPrefix="task-forwarder")["taskDefinitionArns"]
    task = ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"]
    (container,) = task["containerDefinitions"]
    assert container["command"] == [GROUP, "/ecs/*"]
    names = {one["name"]: one["value"] for one in container["environment"]}
    assert names["GAPLESS_ALLOW_HOST"] == DOMAIN
    assert names["GAPLESS_JOURNAL"] == ""


def test_lines_arrive_through_the_subscription_of_the_stack(moto: RawMoto, tmp_path: Path) -> None:
    ledger = Ledger(moto, GROUP, ("job/main/aaaa",))
    subscribe(moto, create_stack(moto, "live-path")["StreamName"])
    with (
        closing(ledger),
        forwarder(GROUP, moto.url, tmp_path, "--live", "auto") as process,
        Viewer(process.ready()["websocket"], state=tmp_path) as viewer,
        Load(ledger, 100) as load,
    ):
        http = process.ready()["http"]
        wait_until(lambda: live(http)["state"] == "live", "the live path of the stack")
        load.stop()
        viewer.wait_shown(len(ledger.accepted))
        assert compare(ledger.accepted, viewer.shown()) == CLEAN


def subscribe(moto: RawMoto, stream: str) -> None:
    """Create the subscription filter as the template says; moto's CloudFormation has none."""
    assert 'FilterPattern: ""' in TEMPLATE.read_text()
    kinesis, logs = client(moto, "kinesis"), moto.client()
    described = kinesis.describe_stream(StreamName=stream)["StreamDescription"]
    logs.put_subscription_filter(
        logGroupName=GROUP,
        filterName="gapless",
        filterPattern="",
        destinationArn=described["StreamARN"],
        roleArn=f"arn:aws:iam::{ACCOUNT}:role/gapless",
    )
    logs.close()


def live(http: str) -> dict[str, Any]:
    with urllib.request.urlopen(http + "/v1/groups?detail", timeout=60) as answer:
        (one,) = json.load(answer)
    found: dict[str, Any] = one["live"]
    return found
