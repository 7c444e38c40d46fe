"""A headless Chromium, driven over its DevTools protocol: pages, keys, pictures, requests.

https://chromedevtools.github.io/devtools-protocol/ documents the methods and events.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from websockets.sync.client import ClientConnection, connect

from tests.support.processes.gapless_processes import WAIT_S, wait_until

_FLAGS: Final = (
    "--headless",
    "--no-sandbox",  # CI and containers run as root, where Chromium's own sandbox cannot start
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
)
"""The browser opens no connections of its own, and draws WebGL without a GPU."""

KEYS: Final = {
    "F2": ("F2", 113, ""),
    "Escape": ("Escape", 27, ""),
    "Enter": ("Enter", 13, "\r"),
}
_CTRL: Final = 2


class Page:
    """One tab; ``url`` is the address of its debugger."""

    def __init__(self, url: str) -> None:
        self._open = ExitStack()
        link = connect(url, max_size=None, compression=None, ping_interval=None)
        self._link: ClientConnection = self._open.enter_context(link)
        self._next = 0
        self.requests: list[str] = []
        """Addresses that the page requested, WebSockets included."""
        self.console_errors: list[str] = []
        """Messages of the browser's console, and exceptions."""
        self.drawn = b""
        """What the page's terminal received since ``clear_drawn``."""
        for domain in ("Network", "Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: object) -> dict[str, Any]:
        """Call a method; returns its result, AssertionError if it fails."""
        self._next += 1
        self._link.send(json.dumps({"id": self._next, "method": method, "params": params}))
        while True:
            message = json.loads(self._link.recv(timeout=WAIT_S))
            if message.get("id") == self._next:
                assert "error" not in message, f"{method}: {message['error']}"
                result: dict[str, Any] = message["result"]
                return result
            self._note(message)

    def process_events(self) -> None:
        """Process the events that have arrived."""
        self.call("Runtime.evaluate", expression="0")

    def evaluate(self, expression: str) -> Any:  # noqa: ANN401 - whatever JavaScript has
        """Evaluate a JavaScript expression, awaited; returns its value."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        return answer["result"].get("value")

    def open(self, url: str) -> None:
        """Go to an address."""
        self.call("Page.navigate", url=url)

    def clear_drawn(self) -> None:
        """Discard what the terminal has received so far."""
        self.process_events()
        self.drawn = b""

    def wait_drawn(self, text: str) -> None:
        """Wait until the terminal has received a text."""
        wait_until(lambda: self._has(text), f"{text!r} in the terminal")

    def wait(self, condition: str) -> None:
        """Wait until a JavaScript condition holds."""
        wait_until(lambda: bool(self.evaluate(condition)), condition)

    def type(self, text: str) -> None:
        """Type characters, one after the other."""
        for char in text:
            self._key(char, ord(char.upper()), char)

    def press(self, key: str) -> None:
        """Press a key of ``KEYS``, or ``ctrl+x``."""
        if key.startswith("ctrl+"):
            char = key.removeprefix("ctrl+")
            self._key(char, ord(char.upper()), "", modifiers=_CTRL)
        else:
            self._key(*KEYS[key])

    def size(self, width: int, height: int) -> None:
        """Set the window's size in pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def picture(self, path: Path) -> None:
        """Save a screenshot of the page as PNG."""
        data = self.call("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(data))

    def close(self) -> None:
        """Disconnect from the tab."""
        self._open.close()

    def _key(self, key: str, code: int, text: str, *, modifiers: int = 0) -> None:
        shared = {
            "key": key,
            "windowsVirtualKeyCode": code,
            "modifiers": modifiers,
        }
        down = "keyDown" if text else "rawKeyDown"
        self.call("Input.dispatchKeyEvent", type=down, text=text, **shared)
        self.call("Input.dispatchKeyEvent", type="keyUp", **shared)

    def _has(self, text: str) -> bool:
        self.process_events()
        return text.encode() in self.drawn

    def _note(self, message: dict[str, Any]) -> None:
        notes: dict[str, Callable[[dict[str, Any]], None]] = {
            "Network.requestWillBeSent": lambda said: self.requests.append(said["request"]["url"]),
            "Network.webSocketCreated": lambda said: self.requests.append(said["url"]),
            "Network.webSocketFrameReceived": self._frame,
            "Log.entryAdded": lambda said: self.console_errors.append(said["entry"]["text"]),
            "Runtime.exceptionThrown": lambda said: self.console_errors.append(json.dumps(said)),
        }
        note = notes.get(message.get("method", ""))
        if note is not None:
            note(message["params"])

    def _frame(self, said: dict[str, Any]) -> None:
        frame = said["response"]
        if frame["opcode"] == 2:  # binary, which DevTools gives as Base64
            self.drawn += base64.b64decode(frame["payloadData"])


class Chromium:
    """A browser with an empty profile and further ``flags``; ends with its ``with`` block."""

    def __init__(self, *flags: str) -> None:
        program = shutil.which("chromium") or shutil.which("chromium-browser")
        assert program, "Chromium is not installed: apt-get install chromium"
        # Its helper processes still write while it ends.
        self._profile = tempfile.TemporaryDirectory(
            prefix="gapless-chromium-", ignore_cleanup_errors=True
        )
        self._pages: list[Page] = []
        home = Path(self._profile.name)
        self._process = subprocess.Popen(
            [program, *_FLAGS, *flags, f"--user-data-dir={home}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        port_file = home / "DevToolsActivePort"
        wait_until(lambda: port_file.exists() and port_file.read_text().count("\n") > 0, "Chromium")
        self._port = int(port_file.read_text().splitlines()[0])

    def page(self) -> Page:
        """Open a new tab."""
        address = f"http://127.0.0.1:{self._port}/json/new?about:blank"
        request = urllib.request.Request(address, method="PUT")
        with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
            page = Page(json.load(answer)["webSocketDebuggerUrl"])
        self._pages.append(page)
        return page

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for page in self._pages:
            page.close()
        self._process.terminate()
        self._process.wait(WAIT_S)
        self._profile.cleanup()
