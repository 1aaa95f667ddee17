"""A real browser for the tests: Chromium without a window, over its DevTools protocol.

The protocol goes through two pipes (``--remote-debugging-pipe``): no port that something else could reach,
no driver of another version, nothing to download. The browser resolves no name and is offline; what it asks
for is recorded all the same.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from select import select
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
PATIENCE = 60.0  # seconds for one answer; a loaded machine of two cores starts a browser in ten
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-default-apps",
    "--disable-extensions", "--disable-dev-shm-usage", "--hide-scrollbars", "--mute-audio",
    "--host-resolver-rules=MAP * ~NOTFOUND", "--remote-debugging-pipe",
)  # fmt: skip


class BrowserError(RuntimeError):
    """The browser died, was silent for too long, or refused a command."""


def find_chromium() -> str | None:
    """The path of a Chromium or Chrome, from $CHROMIUM or PATH; None where there is none."""
    named = os.environ.get("CHROMIUM")
    return shutil.which(named) if named else next(filter(None, map(shutil.which, NAMES)), None)


@dataclass
class Page:
    """One tab.

    requests : URLs of all it asked for.
    complaints : what it wrote to the console at level warning or error, and exceptions.
    """

    pipes: _Pipes
    session: str = ""
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A command and its answer; what happens meanwhile is noted."""
        number = self.pipes.write(method, parameters, self.session)
        while True:
            message = self.pipes.read()
            if message.get("id") == number:
                if "error" in message:
                    raise BrowserError(f"{method}: {message['error']}")
                answer: dict[str, Any] = message["result"]
                return answer
            self._note(message.get("method", ""), message.get("params", {}))

    def open(self, url: str, *, width: int = 1280, dark: bool = False, media: str = "") -> None:
        """Load a page in a window of that many CSS pixels; returns when it has loaded."""
        self.requests.clear()
        self.complaints.clear()
        self.events.clear()
        window = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.send("Emulation.setDeviceMetricsOverride", **window)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", media=media, features=[scheme])
        self.send("Page.navigate", url=url)
        while "Page.loadEventFired" not in self.events:
            message = self.pipes.read()
            self._note(message.get("method", ""), message.get("params", {}))
        self.run("document.fonts.ready.then(() => 1)")

    def run(self, expression: str) -> Any:
        """The value of an expression of JavaScript, a promise's when it is kept."""
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise BrowserError(
                f"{expression[:80]}: {answer['exceptionDetails']['exception'].get('description')}"
            )
        return answer["result"].get("value")

    def press(self, key: str, code: int) -> None:
        """One key, down and up, to whatever has the focus."""
        text = {"Enter": "\r", " ": " "}.get(key, "")
        for kind in ("keyDown", "keyUp"):
            said = text if kind == "keyDown" else ""
            self.send("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, text=said)

    def click(self, x: float, y: float) -> None:
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def _note(self, method: str, what: dict[str, Any]) -> None:
        self.events.append(method)
        if method == "Network.requestWillBeSent":
            self.requests.append(what["request"]["url"])
        elif method == "Log.entryAdded" and what["entry"]["level"] in ("warning", "error"):
            self.complaints.append(what["entry"]["text"])
        elif method == "Runtime.consoleAPICalled" and what["type"] in ("warning", "error", "assert"):
            self.complaints.append(str([value.get("value") for value in what["args"]]))
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(what["exceptionDetails"]["text"])


class _Pipes:
    """Messages of the protocol, each ended by a zero byte."""

    def __init__(self, process: subprocess.Popen[bytes], outgoing: int, incoming: int) -> None:
        self.process, self.outgoing, self.incoming = process, outgoing, incoming
        self.number = 0
        self.rest = b""

    def write(self, method: str, parameters: dict[str, Any], session: str) -> int:
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        data = json.dumps(message | ({"sessionId": session} if session else {})).encode() + b"\0"
        while data:
            data = data[os.write(self.outgoing, data) :]
        return self.number

    def read(self) -> dict[str, Any]:
        while b"\0" not in self.rest:
            if not select([self.incoming], [], [], PATIENCE)[0]:
                raise BrowserError(f"the browser said nothing for {PATIENCE:g} s")
            part = os.read(self.incoming, 1 << 16)
            if not part:
                raise BrowserError(f"the browser ended with status {self.process.wait()}")
            self.rest += part
        message, _, self.rest = self.rest.partition(b"\0")
        answer: dict[str, Any] = json.loads(message)
        return answer


@contextmanager
def browser(executable: str) -> Iterator[Page]:
    """A fresh browser with a profile of its own, and one tab that is offline; both are gone afterwards."""
    to_read, to_write = os.pipe()
    answers, answering = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        # The protocol wants descriptors 3 and 4, which only a shell can promise; by name, because some
        # shells take no number above 9.
        shell = ["sh", "-c", f'exec "$@" 3</dev/fd/{to_read} 4>/dev/fd/{answering}', "sh"]
        process = subprocess.Popen(
            [*shell, executable, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(to_read, answering), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        os.close(to_read)
        os.close(answering)
        page = Page(_Pipes(process, to_write, answers))
        try:
            target = page.send("Target.createTarget", url="about:blank")["targetId"]
            page.session = page.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Network", "Runtime", "Log"):
                page.send(f"{domain}.enable")
            nothing = dict.fromkeys(("latency", "downloadThroughput", "uploadThroughput"), 0)
            page.send("Network.emulateNetworkConditions", offline=True, **nothing)
            yield page
        finally:
            os.close(to_write)  # at the end of its commands the browser closes by itself
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            os.close(answers)
