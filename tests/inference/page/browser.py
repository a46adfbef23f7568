# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real browser without a window, led by the DevTools protocol over two pipes: no driver, no library, no port."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
PATIENCE = 60.0
_FLAGS = (
    "--headless",
    "--remote-debugging-pipe",
    "--no-first-run",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    # The tests may run as root, and then it starts in no other way; it only ever sees our own page.
    "--no-sandbox",
)
# How a page's console comes to say something.
_SPOKEN = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")


class BrowserError(Exception):
    """The browser is not here, has gone, or did not do what it was told."""


@dataclass
class Browser:
    """One page. What it asked for, what its console said and how it stands is kept."""

    _process: subprocess.Popen[bytes]
    _commands: int
    _reports: int
    password: str = ""
    """What is typed where the page asks for one."""
    asked_for_password: int = 0
    requests: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)
    loads: int = 0
    _session: str = ""
    _number: int = 0
    _replies: dict[int, dict[str, Any]] = field(default_factory=dict)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _gone: bool = False

    def begin(self) -> None:
        """A page that tells everything."""
        threading.Thread(target=self._listen, daemon=True).start()
        target = self.tell("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.tell("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.tell(f"{domain}.enable")
        self.tell("Fetch.enable", handleAuthRequests=True)

    def tell(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and wait for what came of it."""
        number = self._send(method, params)
        with self._changed:
            if not self._changed.wait_for(lambda: number in self._replies or self._gone, PATIENCE):
                raise BrowserError(f"{method}: no answer in {PATIENCE:.0f} s")
            if number not in self._replies:
                raise BrowserError(f"{method}: the browser has gone")
            reply = self._replies.pop(number)
        if "error" in reply:
            raise BrowserError(f"{method}: {reply['error']}")
        return dict(reply["result"])

    def open(self, url: str) -> None:
        """Go there and wait until the page is loaded."""
        before = self.loads
        told = self.tell("Page.navigate", url=url)
        if "errorText" in told:
            raise BrowserError(f"{url}: {told['errorText']}")
        self.wait(lambda: self.loads > before, f"{url} did not load")

    def wait(self, condition: Any, what: str, seconds: float = PATIENCE) -> None:
        """Look again and again until it holds."""
        until = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > until:
                raise BrowserError(what)
            time.sleep(0.05)

    def value(self, expression: str) -> Any:
        """What an expression comes to in the page."""
        told = self.tell("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in told:
            raise BrowserError(f"{expression}: {told['exceptionDetails']}")
        return told["result"].get("value")

    def window(self, width: int, height: int, *, dark: bool = False) -> None:
        """Another size, and the colours that a person prefers."""
        self.tell(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        wanted = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.tell("Emulation.setEmulatedMedia", features=[wanted])

    def picture(self, path: Path) -> None:
        """The whole page as a PNG."""
        told = self.tell("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(told["data"]))

    def _send(self, method: str, params: dict[str, Any]) -> int:
        with self._changed:
            self._number += 1
            message = {"id": self._number, "method": method, "params": params}
            if self._session:
                message["sessionId"] = self._session
            with contextlib.suppress(BrokenPipeError):
                _write_whole(self._commands, json.dumps(message).encode() + b"\0")
            return self._number

    def _listen(self) -> None:
        rest = b""
        while part := os.read(self._reports, 65536):
            *messages, rest = (rest + part).split(b"\0")
            for message in messages:
                self._hear(json.loads(message))
        with self._changed:
            self._gone = True
            self._changed.notify_all()

    def _hear(self, message: dict[str, Any]) -> None:
        params = message.get("params", {})
        method = message.get("method")
        if method is None:
            with self._changed:
                self._replies[message["id"]] = message
                self._changed.notify_all()
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Page.loadEventFired":
            self.loads += 1
        elif method in _SPOKEN:
            self.console.append(json.dumps(params))
        elif method == "Fetch.requestPaused":
            self._send("Fetch.continueRequest", {"requestId": params["requestId"]})
        elif method == "Fetch.authRequired":
            self.asked_for_password += 1
            answer = {"response": "ProvideCredentials", "username": "operator", "password": self.password}
            if not self.password or self.asked_for_password > 1:
                answer = {"response": "CancelAuth"}
            self._send("Fetch.continueWithAuth", {"requestId": params["requestId"], "authChallengeResponse": answer})


def _write_whole(pipe: int, data: bytes) -> None:
    while data:
        data = data[os.write(pipe, data) :]


def program() -> str:
    """The browser that is here."""
    for name in PROGRAMS:
        if found := shutil.which(name):
            return found
    raise BrowserError(f"No browser is here ({', '.join(PROGRAMS)}). On Debian `make setup` installs one.")


@contextlib.contextmanager
def browser(password: str = "") -> Iterator[Browser]:
    """A browser with a profile of its own, until the end of the block."""
    with tempfile.TemporaryDirectory(prefix="holdfast-browser-", ignore_cleanup_errors=True) as profile:
        their_commands, commands = os.pipe()
        reports, their_reports = os.pipe()
        # It speaks on descriptors 3 and 4 and on no others.
        process = subprocess.Popen(
            [
                *("bash", "-c", f'exec "$@" 3<&{their_commands} 4>&{their_reports}', "bash"),
                *(program(), *_FLAGS, f"--user-data-dir={profile}", "about:blank"),
            ],
            pass_fds=(their_commands, their_reports),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(their_commands)
        os.close(their_reports)
        page = Browser(process, commands, reports, password)
        try:
            page.begin()
            yield page
        finally:
            os.close(commands)
            process.kill()
            process.wait()
