"""A proxy of moto's ECS and CloudWatch Logs that can change replies of DescribeTasks.

moto advances a task's status with each DescribeTasks, and its exit codes are always 0; the proxy
adds other statuses and exit codes.
"""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import boto3
from botocore.config import Config

from tests.support.processes.moto_server import REGION, RawMoto

CLUSTER: Final = "jobs"

_HOP_HEADERS: Final = {"host", "content-length", "connection", "accept-encoding"}


class EcsStandIn:
    """The proxy; ``url`` is the endpoint of both services."""

    def __init__(self, moto: RawMoto) -> None:
        self.moto = moto
        self.url = ""
        self.changes: dict[str, Callable[[dict[str, Any]], None]] = {}
        """Functions that change a task's entry in replies once it is STOPPED, by task id."""
        self.throttles = 0
        """Number of DescribeTasks calls to throttle next."""
        self.describes: list[list[str]] = []
        """Task ids of each DescribeTasks call."""
        self.after_stop: Callable[[], None] | None = None
        """Called once, after the first scan that begins once all tasks are STOPPED."""
        self._tasks: set[str] = set()
        self._stopped: set[str] = set()
        self._lock = threading.Lock()

    def load_ecs(self) -> None:
        """Make moto import its ECS modules, which may exceed a client's timeout."""
        ecs = self._client("ecs")
        try:
            ecs.create_cluster(clusterName=CLUSTER)
            ecs.describe_tasks(cluster=CLUSTER, tasks=["0" * 32])
        finally:
            ecs.close()

    @property
    def has_called(self) -> bool:
        """Whether ``after_stop`` was called."""
        return self.after_stop is None

    def run_task(self) -> str:
        """Run a task in the cluster; returns its id."""
        ecs = self._client("ecs")
        ec2 = self._client("ec2")
        try:
            ecs.create_cluster(clusterName=CLUSTER)
            ecs.register_task_definition(
                family="job",
                requiresCompatibilities=["FARGATE"],
                networkMode="awsvpc",
                cpu="256",
                memory="512",
                containerDefinitions=[{"name": "main", "image": "job:1", "memory": 512}],
            )
            subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
            group = ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]
            network = {"subnets": [subnet], "securityGroups": [group]}
            answer = ecs.run_task(
                cluster=CLUSTER,
                taskDefinition="job",
                launchType="FARGATE",
                networkConfiguration={"awsvpcConfiguration": network},
            )
        finally:
            ecs.close()
            ec2.close()
        task = str(answer["tasks"][0]["taskArn"].rpartition("/")[2])
        self._tasks.add(task)
        return task

    def _client(self, service: str) -> Any:  # noqa: ANN401 - boto3-stubs has only CloudWatch Logs
        return boto3.Session(region_name=REGION).client(
            service,  # type: ignore[call-overload]
            endpoint_url=self.moto.url,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
            config=Config(read_timeout=240),
        )

    def answer(self, target: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        """Relay a request; returns the status and body of the response."""
        operation = target.rpartition(".")[2]
        with self._lock:
            if operation == "DescribeTasks" and self.throttles:
                self.throttles -= 1
                return 400, b'{"__type":"ThrottlingException","message":"Rate exceeded"}'
            is_late_scan = operation == "FilterLogEvents" and self._stopped >= self._tasks
        status, answer = self._relay(body, headers)
        if operation == "DescribeTasks" and status == 200:
            answer = self._changed(body, answer)
        if is_late_scan and self._tasks:
            with self._lock:
                call, self.after_stop = self.after_stop, None
            if call is not None:
                call()
        return status, answer

    def _relay(self, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        asked = urllib.request.Request(self.moto.url + "/", data=body, headers=headers)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(asked, timeout=240) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def _changed(self, body: bytes, answer: bytes) -> bytes:
        reply = json.loads(answer)
        with self._lock:
            self.describes.append(json.loads(body)["tasks"])
            for task in reply["tasks"]:
                name = task["taskArn"].rpartition("/")[2]
                if task["lastStatus"] == "STOPPED":
                    if name in self.changes:
                        self.changes[name](task)
                    self._stopped.add(name)
        return json.dumps(reply).encode()


@contextmanager
def ecs_stand_in(moto: RawMoto) -> Iterator[EcsStandIn]:
    """Run the proxy for the length of the ``with`` block."""
    stand_in = EcsStandIn(moto)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments: object) -> None:
            del arguments

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP_HEADERS}
            target = self.headers.get("X-Amz-Target", "")
            status, answer = stand_in.answer(target, body, headers)
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *arguments: object) -> None:
            del arguments

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        stand_in.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield stand_in
        finally:
            server.shutdown()
            thread.join()
