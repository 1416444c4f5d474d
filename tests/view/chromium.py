"""Drive a page in headless Chromium: inject a script, read what it found."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(
    PROGRAM is None or not os.environ.get("PCAUG_BROWSER"),
    reason="the page is opened in a browser by make test-browser (apt-get install chromium)",
)
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--window-size=1000,700",
    "--virtual-time-budget=20000", "--enable-logging=stderr", "--v=0",
)  # fmt: skip
DRIVER = """
<script>
const called = [];
for (const name of ["fetch", "XMLHttpRequest", "WebSocket", "EventSource"]) {
  const real = window[name];
  window[name] = function(...a) { called.push(name); return new.target ? new real(...a) : real(...a); };
}
const settled = () => new Promise(f => requestAnimationFrame(() => requestAnimationFrame(f)));
addEventListener("load", async () => {
  while (!document.body.dataset.ready && !document.body.dataset.failed) await settled();
  let result;
  try { result = await (async () => { SCRIPT })(); } catch (error) { result = { threw: String(error) }; }
  document.body.dataset.result = JSON.stringify({ failed: document.body.dataset.failed || null, called, ...result });
});
</script>
"""
TOOLS = """
canvas.setPointerCapture = () => {};
const pixels = () => { paint(); const b = new Uint8Array(4 * canvas.width * canvas.height);
  gl.readPixels(0, 0, canvas.width, canvas.height, gl.RGBA, gl.UNSIGNED_BYTE, b); return b; };
const drawn = (from = 0, to = 1) => { const b = pixels(), paper = b.slice(0, 3).join(); let n = 0;
  for (let i = 0; i < b.length; i += 4) { const x = i / 4 % canvas.width / canvas.width;
    if (x >= from && x < to && b.slice(i, i + 3).join() !== paper) n++; } return n; };
const mouse = (type, x, y, more) => canvas.dispatchEvent(new PointerEvent(type, {
  clientX: x + canvas.getBoundingClientRect().left, clientY: y + canvas.getBoundingClientRect().top,
  pointerId: 1, bubbles: true, button: 0, buttons: 1, ...more }));
const click = (x, y) => { mouse("pointerdown", x, y); mouse("pointerup", x, y, { buttons: 0 }); };
const key = k => document.body.dispatchEvent(new KeyboardEvent("keydown", { key: k, bubbles: true }));
"""


def run(page: Path, script: str) -> dict[str, Any]:
    """Open a page from disk, run a script in it once it is ready, and return what that returned.

    Fails the test on console errors, uncaught exceptions, or anything that asks the network.
    """
    copy = page.with_name("driven-" + page.name)
    text = page.read_text(encoding="utf-8")
    copy.write_text(text.replace("</head>", DRIVER.replace("SCRIPT", TOOLS + script) + "</head>"), encoding="utf-8")
    profile = page.parent / "profile"
    assert PROGRAM is not None
    done = subprocess.run(
        [PROGRAM, *FLAGS, f"--user-data-dir={profile}", "--dump-dom", copy.as_uri()], capture_output=True, text=True, timeout=90
    )
    found = re.search(r'data-result="(.*?)"', done.stdout)
    assert found, done.stderr[-2000:]
    result: dict[str, Any] = json.loads(html.unescape(found[1]))
    console = [
        line
        for line in done.stderr.splitlines()
        if "CONSOLE" in line and not any(word in line for word in ("GPU stall", "software WebGL"))
    ]
    assert not console, console
    assert result["failed"] is None
    assert result["called"] == []
    assert "threw" not in result, result
    return result
