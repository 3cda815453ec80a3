"""Pages in Chromium, which is driven by Playwright, and pictures of them.

    python -m tests.analysis.browser results/coin-run/report.html docs/pictures/report

writes PREFIX-desktop-light.png, -desktop-dark, -phone-light and -phone-dark: 1280 and 390 points wide, 1900 high.
"""

import argparse
import io
import itertools
import json
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

SHAPES = {"desktop": (1280, 1900), "phone": (390, 1900)}
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
]


def chromium() -> str | None:
    """The browser, where one is installed."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


needs_chromium = pytest.mark.skipif(chromium() is None, reason="no chromium or chrome is installed")


class Tab:
    """A page of a browser, and what it has said on its console and asked of the network."""

    def __init__(self, browser: Any):
        self.browser, self.page = browser, None
        self.said: list[str] = []
        self.asked: list[str] = []

    def show(self, where: Path | str, width: int, height: int, dark: bool = False, clock: bool = False) -> Any:
        """Opens a file or an address in a new window, waits until it is loaded, and returns Playwright's page."""
        if self.page is not None:
            self.page.context.close()
        context = self.browser.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light", has_touch=width < 600
        )
        self.page = context.new_page()
        self.said, self.asked = [], []
        if clock:  # which tests set forward
            self.page.clock.install()
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(where if isinstance(where, str) else where.absolute().as_uri())
        return self.page

    def ask(self, expression: str) -> Any:
        """The JSON value of an expression of the page's script."""
        return self.page.evaluate(expression)

    def complaints(self, server: str = "") -> list[str]:
        """What is on the console, and requests for anything but the page itself, data in it, and its server."""
        ours = tuple(filter(None, ("data:", server)))
        return self.said + [url for url in self.asked[1:] if not url.startswith(ours)]

    def picture(self, width: int, height: int) -> Image.Image:
        """The beginning of the page."""
        clip = {"x": 0, "y": 0, "width": width, "height": height}
        return Image.open(io.BytesIO(self.page.screenshot(clip=clip, full_page=True)))


@contextmanager
def browser() -> Iterator[Tab]:
    """A tab of a new browser, which is closed at the end. Raises RuntimeError where none is installed."""
    from playwright.sync_api import sync_playwright

    command = chromium()
    if command is None:
        raise RuntimeError("no chromium or chrome is installed")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=command, args=FLAGS)
        try:
            yield Tab(started)
        finally:
            started.close()


def held(text: str) -> Any:
    """What a page of results holds for its script."""
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text)[1])


PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


def made(folder: Any, lane: Any, factors: Any, probe: str, episode: int, greedy: bool) -> dict[str, Any]:
    """A film of two frames, as `sweeps` makes them of saved policies."""
    said = f"seed {lane['seed']}, {probe}, episode {episode}{', greedy' * greedy}"
    film = {"frames": [PIXEL] * 2, "titles": ["start", "1: right"], "caption": said, "legend": [["wall", "#333333"]]}
    return film | {"steps": 1, "episodes": 8, "note": ""}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("prefix", type=Path)
    given = parser.parse_args()
    if not given.page.is_file():
        parser.error(f"{given.page}: there is no such page")
    with browser() as tab:
        for (shape, (width, height)), dark in itertools.product(SHAPES.items(), (False, True)):
            tab.show(given.page, width, height, dark)
            out = Path(f"{given.prefix}-{shape}-{'dark' if dark else 'light'}.png")
            tab.picture(width, height).convert("RGB").save(out, optimize=True)
            print(out)
            if complaints := tab.complaints():
                sys.exit("\n".join(complaints))


if __name__ == "__main__":
    main()
