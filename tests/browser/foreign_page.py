"""A foreign web page in a real browser: it reads nothing of a forwarder, and causes no call.

The page tries every way that a page has: fetch with and without CORS, a WebSocket, an image, a
script, a frame, a form and a link. The forwarder requires no token, so only its checks of Host,
Origin and Sec-Fetch-Site stand in the way.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tests.browser.chromium import Chromium
from tests.support.forwarder.scripted_cloudwatch import (
    Asked,
    Reply,
    ScriptedCloudWatch,
    page,
    scripted_cloudwatch,
)
from tests.support.processes.gapless_processes import forwarder, wait_until
from tests.support.processes.log_writer import now_ms

GROUP: Final = "/jobs/private"
SECRET_ID: Final = 4711
DAY_MS: Final = 86_400_000
STARTED_MS: Final = now_ms()

ATTACK: Final = """
(async () => {
  const found = {};
  const settle = (name, promise) => promise.then(
    (value) => { found[name] = value; }, (error) => { found[name] = 'failed'; });
  const read = (name, options) => settle(name, fetch(TARGET + '/v1/logs?since=0', options)
    .then(async (answer) => answer.type + ' ' + answer.status + ' ' + await answer.text()));
  const element = (name, tag, set) => settle(name, new Promise((resolve, reject) => {
    const made = document.createElement(tag);
    made.onload = () => resolve('loaded');
    made.onerror = () => reject(new Error());
    set(made, TARGET + '/v1/logs?since=0&by=' + name);
    document.body.append(made);
    setTimeout(() => resolve('no event'), 3000);
  }));
  const socket = (name) => settle(name, new Promise((resolve, reject) => {
    const made = new WebSocket(TARGET.replace('http', 'ws') + '/v1/tail?since=0');
    made.onmessage = (event) => resolve('read ' + event.data);
    made.onerror = () => reject(new Error());
  }));
  const form = (name) => settle(name, new Promise((resolve) => {
    const frame = document.createElement('iframe');
    frame.name = 'target-of-form';
    const made = document.createElement('form');
    made.action = TARGET + '/v1/logs';
    made.target = frame.name;
    made.innerHTML = '<input name=since value=0>';
    document.body.append(frame, made);
    made.submit();
    setTimeout(() => {
      let text = '';
      try { text = frame.contentDocument.body.innerText; } catch (error) { text = 'no access'; }
      resolve(text);
    }, 3000);
  }));
  await Promise.all([
    read('cors', {}), read('no-cors', {mode: 'no-cors'}),
    read('preflight', {headers: {'X-Any': '1'}}), read('post', {method: 'POST', body: 'x'}),
    read('credentials', {credentials: 'include'}), socket('websocket'), form('form'),
    element('image', 'img', (made, url) => { made.src = url; }),
    element('script', 'script', (made, url) => { made.src = url; }),
    element('style', 'link', (made, url) => { made.rel = 'stylesheet'; made.href = url; }),
    element('frame', 'iframe', (made, url) => { made.src = url; }),
  ]);
  return JSON.stringify(found);
})()
"""


def answer(asked: Asked) -> Reply:
    """One event of three days ago."""
    if asked["operation"] == "FilterLogEvents":
        event = (SECRET_ID, STARTED_MS - 3 * DAY_MS, "s")
        is_asked = asked.get("startTime", 0) <= event[1] <= asked.get("endTime", now_ms())
        return page([event] if is_asked else [])
    if asked["operation"] == "DescribeLogGroups":
        group = {"logGroupName": GROUP, "creationTime": STARTED_MS - 30 * DAY_MS}
        return Reply(body=json.dumps({"logGroups": [group]}).encode())
    return Reply(body=b'{"logStreams":[],"subscriptionFilters":[]}')


@contextmanager
def empty_page() -> Iterator[int]:
    """A web server with an empty page, on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>foreign</title><body></body>")

        def log_message(self, *_: object) -> None:
            """Requests are not logged."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def earliest_asked(cloudwatch: ScriptedCloudWatch) -> int:
    """The earliest time that CloudWatch was asked for, once two more polls came."""
    wanted = len(cloudwatch.asked) + 3
    wait_until(lambda: len(cloudwatch.asked) >= wanted, "further polls")
    reads = [one for one in cloudwatch.asked if one["operation"] == "FilterLogEvents"]
    # The very first read only checks that the log group can be read.
    earliest: int = min(one.get("startTime", 0) for one in reads[1:])
    return earliest


def check_foreign_page(state: Path) -> list[str]:
    """Attack a forwarder from pages of other origins; returns what was done, step by step."""
    steps = []
    with (
        scripted_cloudwatch(answer) as cloudwatch,
        forwarder(GROUP, cloudwatch.url, state, "--no-token") as process,
        empty_page() as port,
        Chromium("--host-resolver-rules=MAP evil.test 127.0.0.1") as browser,
    ):
        url = process.ready()["http"]
        target_port = urlsplit(url).port
        tab = browser.page()
        # Another port, another name of this machine, and a name that a page has rebound to it.
        for origin in (f"http://127.0.0.1:{port}", f"http://localhost:{port}"):
            for target in (
                url,
                f"http://localhost:{target_port}",
                f"http://evil.test:{target_port}",
            ):
                tab.open(origin)
                tab.wait(f"document.title == 'foreign' && location.origin == '{origin}'")
                attack = f"const TARGET = {json.dumps(target)};" + ATTACK
                found = json.loads(tab.evaluate(attack))
                read = {name: text for name, text in found.items() if str(SECRET_ID) in text}
                assert not read, read
                for name in ("cors", "credentials", "preflight", "websocket"):
                    assert found[name] == "failed", found
                assert earliest_asked(cloudwatch) > STARTED_MS - DAY_MS, (origin, target)
                steps.append(f"a page of {origin} gets nothing from {target}: {len(found)} ways")
        # A page whose name was made to resolve to this machine is of the same origin.
        tab.open(f"http://evil.test:{target_port}/v1/logs?since=0")
        tab.wait("location.hostname == 'evil.test' && document.body.innerText.includes('error')")
        assert earliest_asked(cloudwatch) > STARTED_MS - DAY_MS
        steps.append("a rebound host name gets nothing")
        # The page's user may: an address that was typed.
        tab.open(f"{url}/v1/logs?since={STARTED_MS - 4 * DAY_MS}")
        wait_until(lambda: earliest_asked(cloudwatch) < STARTED_MS - 3 * DAY_MS, "the call")
        tab.open(f"{url}/v1/groups")
        tab.wait(f"document.body.innerText.includes('{GROUP}')")
        steps.append("a typed address is answered")
    return steps
