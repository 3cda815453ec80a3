"""Pictures of a page in Chromium, which is driven over a pipe (DevTools protocol).

    python -m tests.analysis.browser results/coin-run/report.html docs/pictures/report

writes PREFIX-desktop-light.png, -desktop-dark, -phone-light and -phone-dark: 1280 and 390 points wide, 1900 high.
"""

import argparse
import base64
import io
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

SHAPES = {"desktop": (1280, 1900), "phone": (390, 1900)}
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run", "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)  # fmt: skip


def chromium() -> str | None:
    """The browser, where one is installed."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Page:
    """A page of a browser, and what it has said on its console and asked of the network."""

    def __init__(self, write: int, read: int):
        self.write, self.read, self.numbers, self.pending = write, read, itertools.count(1), b""
        self.session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The answer to one command. Raises RuntimeError where it is refused."""
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": params} | (
            {"sessionId": self.session} if self.session else {}
        )
        os.write(self.write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self.pending:
            part = os.read(self.read, 1 << 20)
            if not part:
                raise RuntimeError("the browser has closed its pipe")
            self.pending += part
        text, _, self.pending = self.pending.partition(b"\0")
        message = json.loads(text)
        if "method" in message:
            self.events.append(message)
        return message

    def show(self, path: Path, width: int, height: int, dark: bool = False, media: str = "") -> None:
        """Opens a file, and waits until it is loaded."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=media, features=[feature])
        self.events.clear()
        self.call("Page.navigate", url=path.absolute().as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self._next()

    def ask(self, expression: str) -> Any:
        """The JSON value of an expression of the page's script. Raises RuntimeError on an exception in it."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def complaints(self) -> list[str]:
        """Errors and warnings on the console, and requests for anything but the file itself and data in it."""
        found = []
        for event in self.events:
            said = event["params"]
            if event["method"] in ("Runtime.exceptionThrown", "Log.entryAdded"):
                found.append(json.dumps(said))
            if event["method"] == "Network.requestWillBeSent" and said["request"]["url"].partition(":")[0] != "data":
                found.append(said["request"]["url"])
        return found[1:] if found and found[0].startswith("file:") else found

    def picture(self, width: int, height: int) -> Image.Image:
        """The beginning of the page."""
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        data = self.call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)["data"]
        return Image.open(io.BytesIO(base64.b64decode(data)))


@contextmanager
def browser() -> Iterator[Page]:
    """A page of a new browser, which is closed at the end. Raises RuntimeError where none is installed."""
    command = chromium()
    if command is None:
        raise RuntimeError("no chromium or chrome is installed")
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        # The browser reads commands from descriptor 3 and answers on 4.
        line = f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}'
        process = subprocess.Popen(
            ["bash", "-c", line, command, *FLAGS, f"--user-data-dir={profile}"],
            pass_fds=(theirs_in, theirs_out), stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)
        try:
            page = Page(ours_out, ours_in)
            yield page
            page.session = None
            page.call("Browser.close")
        finally:
            os.close(ours_out)
            os.close(ours_in)
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("prefix", type=Path)
    given = parser.parse_args()
    if not given.page.is_file():
        parser.error(f"{given.page}: there is no such page")
    with browser() as page:
        for (shape, (width, height)), dark in itertools.product(SHAPES.items(), (False, True)):
            page.show(given.page, width, height, dark)
            out = Path(f"{given.prefix}-{shape}-{'dark' if dark else 'light'}.png")
            page.picture(width, height).convert("RGB").save(out, optimize=True)
            print(out)
            if complaints := page.complaints():
                sys.exit("\n".join(complaints))


if __name__ == "__main__":
    main()
