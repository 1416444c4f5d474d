"""Drive a page in headless Chromium over its debugging pipe: open it from disk, run a script in it, read what it found."""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(
    PROGRAM is None or os.environ.get("PCAUG_BROWSER") == "0",
    reason="no Chromium to open pages in (apt-get install chromium), or PCAUG_BROWSER=0",
)
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--window-size=1000,700", "--remote-debugging-pipe",
    "--disable-gpu-watchdog",  # which takes the graphics from a page on a machine that is busy with something else
)  # fmt: skip
PATIENCE = 90.0
"""Seconds for the whole of a page."""
READY = (
    "document.readyState === 'complete' && (document.body.dataset.ready || document.body.dataset.failed) && !gl?.isContextLost()"
)
TOOLS = """
canvas.setPointerCapture = () => {};
const pixels = (every = 1) => { paint(every); const b = new Uint8Array(4 * canvas.width * canvas.height);
  gl.readPixels(0, 0, canvas.width, canvas.height, gl.RGBA, gl.UNSIGNED_BYTE, b); return b; };
const drawn = (from = 0, to = 1, every = 1) => { const b = pixels(every); let n = 0;
  for (let i = 0; i < b.length; i += 4) { const x = i / 4 % canvas.width / canvas.width;
    if (x >= from && x < to && (b[i] !== b[0] || b[i + 1] !== b[1] || b[i + 2] !== b[2])) n++; } return n; };
const shades = (from, to) => { const b = pixels(), found = {};
  for (let i = 0; i < b.length; i += 4) { const x = i / 4 % canvas.width / canvas.width;
    if (x >= from && x < to) {
      const k = b[i] + "," + b[i + 1] + "," + b[i + 2]; found[k] = (found[k] || 0) + 1; } }
  return found; };
const mouse = (type, x, y, more) => canvas.dispatchEvent(new PointerEvent(type, {
  clientX: x + canvas.getBoundingClientRect().left, clientY: y + canvas.getBoundingClientRect().top,
  pointerId: 1, bubbles: true, button: 0, buttons: 1, ...more }));
const click = (x, y) => { mouse("pointerdown", x, y); mouse("pointerup", x, y, { buttons: 0 }); };
const key = k => document.body.dispatchEvent(new KeyboardEvent("keydown", { key: k, bubbles: true }));
"""


class Browser:
    """Chromium with one page; commands and events are JSON between zero bytes on two pipes."""

    def __init__(self, profile: Path) -> None:
        assert PROGRAM is not None
        theirs, mine = os.pipe(), os.pipe()
        reads, writes = (fcntl.fcntl(fd, fcntl.F_DUPFD, 20) for fd in (theirs[0], mine[1]))

        def place() -> None:
            os.dup2(reads, 3)
            os.dup2(writes, 4)

        self.process = subprocess.Popen(
            [PROGRAM, *FLAGS, f"--user-data-dir={profile}"],
            preexec_fn=place,
            pass_fds=(3, 4),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for fd in (reads, writes, theirs[0], mine[1]):
            os.close(fd)
        self.to, self.back = theirs[1], mine[0]
        self.pending = b""
        self.number = 0
        self.events: list[dict[str, Any]] = []
        self.until = time.monotonic() + PATIENCE
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Runtime", "Log", "Network", "Page"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and return its result, keeping the events that come before it."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if hasattr(self, "session"):
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while True:
            found = self.next()
            if found.get("id") == self.number:
                assert "error" not in found, found
                result: dict[str, Any] = found["result"]
                return result
            self.events.append(found)

    def next(self) -> dict[str, Any]:
        """The next message."""
        while b"\0" not in self.pending:
            assert select.select([self.back], [], [], max(0.0, self.until - time.monotonic()))[0], "Chromium does not answer"
            more = os.read(self.back, 1 << 16)
            assert more, "Chromium is gone"
            self.pending += more
        message, _, self.pending = self.pending.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    def evaluate(self, script: str) -> Any:
        """Value of an expression or a promise in the page."""
        found = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def close(self) -> None:
        """End it, and wait for that."""
        self.process.terminate()
        self.process.wait(20)
        os.close(self.to)
        os.close(self.back)


def run(page: Path, script: str, *, tools: bool = True) -> dict[str, Any]:
    """Open a page from disk, run a script in it once it is ready, and return what that returned.

    ``tools`` are helpers for the viewer's own page, and tell when it is ready; another page is ready once it is loaded.

    Fails the test on console errors, uncaught exceptions, or anything that asks the network.
    """
    browser = Browser(page.parent / "profile")
    try:
        browser.call("Page.navigate", url=page.as_uri())
        while not browser.evaluate(READY if tools else "document.readyState === 'complete'"):
            assert time.monotonic() < browser.until, "the page does not get ready"
            time.sleep(0.05)
        failed = browser.evaluate("document.body.dataset.failed ?? null")
        assert failed is None, failed
        result: dict[str, Any] = browser.evaluate(f"(async () => {{ {TOOLS if tools else ''} {script} }})()")
    finally:
        browser.close()
    named = [(event.get("method", ""), event.get("params", {})) for event in browser.events]
    asked = [p["request"]["url"] for method, p in named if method == "Network.requestWillBeSent"]
    assert [url for url in asked if url != page.as_uri() and not url.startswith(("data:", "blob:", "about:"))] == []
    assert [p for method, p in named if method == "Runtime.exceptionThrown"] == []
    assert [p for method, p in named if method == "Runtime.consoleAPICalled" and p["type"] in ("error", "assert")] == []
    errors = [p["entry"]["text"] for method, p in named if method == "Log.entryAdded" and p["entry"]["level"] == "error"]
    assert errors == []
    return result
