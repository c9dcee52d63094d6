"""A headless Chromium for tests of pages, driven through a pipe by the DevTools protocol."""

import base64
import fcntl
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.programs import require

# It expects to read from 3 and to write to 4.
_BEGIN = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)
_OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage", "--mute-audio")
_PATIENCE_SEC = 60


class Page:
    """One tab.

    Attributes:
      errors: Errors in the console, and uncaught exceptions of scripts.
    """

    def __init__(self, browser: "Browser", session: str) -> None:
        self._browser, self._session = browser, session
        self.errors: list[str] = []
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params) -> dict:
        return self._browser.call(method, self._session, params)

    def look_like(self, width: int, height: int = 800, scheme: str = "light") -> None:
        """Emulate a window of that size, in pixels; scheme is `light` or `dark`."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def open(self, address: str) -> None:
        self.evaluate("window.isOld = true")
        self.call("Page.navigate", url=address)
        self.wait_for("!window.isOld && document.readyState === 'complete'")

    def evaluate(self, code: str):
        """Return the value of an expression, or of the promise that it returns."""
        answer = self.call("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True, userGesture=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, code: str) -> None:
        """Wait until an expression is true, even if the page changes meanwhile."""
        deadline = time.monotonic() + _PATIENCE_SEC
        while time.monotonic() < deadline:
            try:
                if self.evaluate(f"Boolean({code})"):
                    return
            except (AssertionError, ProtocolError):  # the page is being left
                pass
            time.sleep(0.05)
        raise TimeoutError(f"waited {_PATIENCE_SEC} s for {code}; the page says: {self.text()[:500]}")

    def choose_file(self, selector: str, file: Path) -> None:
        """Choose a file in a file field, as a user does in the dialog."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(file)])

    def text(self) -> str:
        return self.evaluate("document.body.innerText")

    def screenshot(self, file: Path) -> None:
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(shot["data"]))

    def note(self, method: str, told: dict) -> None:
        match method:
            case "Runtime.exceptionThrown":
                self.errors.append(str(told["exceptionDetails"]))
            case "Log.entryAdded" if told["entry"]["level"] == "error":
                self.errors.append(f"{told['entry']['text']} {told['entry'].get('url', '')}")
            case "Runtime.consoleAPICalled" if told["type"] == "error":
                self.errors.append(str(told["args"]))


class ProtocolError(Exception):
    """The browser refused a command."""


class Browser:
    """The process, and the pipe to it."""

    def __init__(self, to: int, back: int) -> None:
        self._to, self._back = to, back
        self._said, self._asked = b"", 0
        self._pages: dict[str, Page] = {}

    def page(self) -> Page:
        target = self.call("Target.createTarget", None, {"url": "about:blank"})["targetId"]
        session = self.call("Target.attachToTarget", None, {"targetId": target, "flatten": True})["sessionId"]
        self._pages[session] = page = Page(self, session)
        return page

    def call(self, method: str, session: str | None, params: dict) -> dict:
        """Send a command and return its answer; record the events that arrive before it."""
        self._asked += 1
        asked = {"id": self._asked, "method": method, "params": params} | ({"sessionId": session} if session else {})
        os.write(self._to, json.dumps(asked).encode() + b"\0")
        while (told := self._next(method)).get("id") != self._asked:
            if page := self._pages.get(told.get("sessionId", "")):
                page.note(told.get("method", ""), told.get("params", {}))
        if "error" in told:
            raise ProtocolError(f"{method}: {told['error']['message']}")
        return told["result"]

    def _next(self, waiting_for: str) -> dict:
        while b"\0" not in self._said:
            if not select.select([self._back], [], [], _PATIENCE_SEC)[0]:
                raise TimeoutError(f"the browser has not answered {waiting_for} for {_PATIENCE_SEC} s")
            self._said += (chunk := os.read(self._back, 1 << 20))
            if not chunk:
                raise ProtocolError(f"the browser ended during {waiting_for}")
        message, _, self._said = self._said.partition(b"\0")
        return json.loads(message)


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """Start a browser that keeps its files in a folder, and end it; skip the test where there is none."""
    program = require("chromium")
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    theirs = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (theirs_in, theirs_out)]  # away from 3 and 4
    command = [sys.executable, "-c", _BEGIN, *map(str, theirs), program, "--remote-debugging-pipe", *_OPTIONS]
    environment = os.environ | {"HOME": str(folder), "TMPDIR": str(folder)}
    process = subprocess.Popen(
        [*command, f"--user-data-dir={folder}/profile"], pass_fds=theirs, env=environment, stderr=subprocess.DEVNULL
    )
    for end in (theirs_in, theirs_out, *theirs):
        os.close(end)
    try:
        yield Browser(ours_out, ours_in)
    finally:
        os.close(ours_out)  # it ends with its pipe
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(ours_in)
