"""A headless Chromium, driven over its DevTools protocol: pages, keys, pictures, requests.

https://chromedevtools.github.io/devtools-protocol/ says what the methods and events are.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from websockets.sync.client import ClientConnection, connect

from tests.support.parts import WAIT_S, wait_until

_FLAGS: Final = (
    "--headless",
    "--no-sandbox",  # CI and containers run as root, where Chromium's own sandbox can't start
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
)
"""No connections of the browser's own; WebGL is drawn by the processor."""

KEYS: Final = {
    "F2": ("F2", 113, ""),
    "Escape": ("Escape", 27, ""),
    "Enter": ("Enter", 13, "\r"),
}
_CTRL: Final = 2


class Page:
    """One tab."""

    def __init__(self, url: str) -> None:
        """``url`` is that of the tab's debugger."""
        self._link: ClientConnection = connect(
            url, max_size=None, compression=None, ping_interval=None
        )
        self._next = 0
        self.requests: list[str] = []
        """The address of everything that the page asked for, WebSockets included."""
        self.complaints: list[str] = []
        """What the browser's console says, and exceptions."""
        self.drawn = b""
        """What the terminal in the page got since ``forget``."""
        for domain in ("Network", "Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: object) -> dict[str, Any]:
        """The result of a method; AssertionError where it fails."""
        self._next += 1
        self._link.send(json.dumps({"id": self._next, "method": method, "params": params}))
        while True:
            message = json.loads(self._link.recv(timeout=WAIT_S))
            if message.get("id") == self._next:
                assert "error" not in message, f"{method}: {message['error']}"
                result: dict[str, Any] = message["result"]
                return result
            self._note(message)

    def look(self) -> None:
        """Take in what has happened."""
        self.call("Runtime.evaluate", expression="0")

    def evaluate(self, expression: str) -> Any:  # noqa: ANN401 - whatever JavaScript has
        """The value of an expression, awaited."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        return answer["result"].get("value")

    def open(self, url: str) -> None:
        """Go to an address."""
        self.call("Page.navigate", url=url)

    def forget(self) -> None:
        """What was drawn until now is of no interest any more."""
        self.look()
        self.drawn = b""

    def wait_drawn(self, text: str) -> None:
        """Wait until the terminal was told a text."""
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
        """Make the window so large, in pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def picture(self, path: Path) -> None:
        """Save what the page looks like as PNG."""
        data = self.call("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(data))

    def close(self) -> None:
        """Let go of the tab."""
        self._link.close()

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
        self.look()
        return text.encode() in self.drawn

    def _note(self, message: dict[str, Any]) -> None:
        notes: dict[str, Callable[[dict[str, Any]], None]] = {
            "Network.requestWillBeSent": lambda said: self.requests.append(said["request"]["url"]),
            "Network.webSocketCreated": lambda said: self.requests.append(said["url"]),
            "Network.webSocketFrameReceived": self._frame,
            "Log.entryAdded": lambda said: self.complaints.append(said["entry"]["text"]),
            "Runtime.exceptionThrown": lambda said: self.complaints.append(json.dumps(said)),
        }
        note = notes.get(message.get("method", ""))
        if note is not None:
            note(message["params"])

    def _frame(self, said: dict[str, Any]) -> None:
        frame = said["response"]
        if frame["opcode"] == 2:  # binary, which DevTools gives as Base64
            self.drawn += base64.b64decode(frame["payloadData"])


class Chromium:
    """A browser with an empty profile; ends with its ``with`` block."""

    def __init__(self, *flags: str) -> None:
        """Start it, with these flags beside the usual ones."""
        program = shutil.which("chromium") or shutil.which("chromium-browser")
        assert program, "there is no chromium: apt-get install chromium"
        # Its helpers still write while it ends.
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
        told = home / "DevToolsActivePort"
        wait_until(lambda: told.exists() and told.read_text().count("\n") > 0, "Chromium")
        self._port = int(told.read_text().splitlines()[0])

    def page(self) -> Page:
        """A new tab."""
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
