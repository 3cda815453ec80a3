"""Plays a newcomer who has the wheel and the docs: the demo, a browser, two trackers, and a world of one's own.

`make newcomer` runs it. It takes minutes, a package index and a Chromium, so it is no part of the suite. Each step has
a limit in seconds, within which it has to be done on two quiet cores; a step that takes longer is an error at the end,
and the processor time beside it says whether the machine was busy.
Pictures of what a newcomer sees are left in build/newcomer, to be looked at.
"""

import argparse
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import wheel
from tests.analysis.browser import SHAPES, Tab, browser

ROOT = Path(__file__).parents[1]
LIMITS = {
    "install the wheel": 180,
    "train the demo": 120,
    "read its rates": 15,
    "draw its figure": 30,
    "open it in a browser": 30,
    "three clicks to an outlier's rollout": 60,
    "export to CSV": 30,
    "export to TensorBoard": 30,
    "check a world of one's own": 60,
    "train in it": 120,
    "read its rates, too": 15,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "newcomer", help="where pictures are left")
    out = parser.parse_args().out
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="chisel-newcomer-") as place:
        folder = Path(place)
        built = wheel.build(folder)
        newcomer = Newcomer(folder, out)
        try:
            newcomer.install(built)
            newcomer.demo()
            newcomer.look()
            newcomer.export()
            newcomer.own_world()
        finally:
            print(newcomer.table(), f"pictures: {out}", sep="\n", flush=True)
    if newcomer.late:
        sys.exit(f"took longer than is stated: {', '.join(newcomer.late)}")


class Newcomer:
    """What someone does in an empty folder, and how long it took."""

    programs: Path
    """The environment's folder of programs."""

    def __init__(self, folder: Path, out: Path):
        self.home, self.out = folder / "home", out
        self.home.mkdir()
        self.took: dict[str, float] = {}
        self.worked: dict[str, float] = {}
        """Processor time of a step's commands, which a busy machine does not lengthen; without servers and browsers."""
        # Nothing is compiled beforehand.
        self.variables = wheel.outside() | {"XDG_CACHE_HOME": str(folder / "cache")}

    @property
    def late(self) -> list[str]:
        return [name for name, seconds in self.took.items() if seconds > LIMITS[name]]

    def table(self) -> str:
        rows = [
            f"{name:40} {seconds:5.0f} s of {LIMITS[name]:3} s; processor {max(self.worked[name], 0):3.0f} s"
            for name, seconds in self.took.items()
        ]
        return "\n".join(rows)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        yield
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.took[name] = time.monotonic() - began
        self.worked[name] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    def run(self, program: str, *arguments: object) -> None:
        wheel.run(self.programs / program, *arguments, cwd=self.home, variables=self.variables)

    def install(self, built: Path) -> None:
        environment, versions = self.home.parent / "environment", ROOT / "constraints.txt"
        with self.step("install the wheel"):
            self.programs = wheel.install(f"{built}[browse,tensorboard]", environment, versions)

    def demo(self) -> None:
        with self.step("train the demo"):
            self.run("chisel", "run", "coin-run", "--set", "seeds=8", "--set", "save.policies=true")
        with self.step("read its rates"):
            self.run("chisel", "rates", "results/coin-run", "--by", "env.diversity")
        with self.step("draw its figure"):
            self.run("chisel", "figure", "results/coin-run", "--x", "env.diversity")
        shutil.copy(self.home / "results" / "coin-run" / "overview.png", self.out / "demo.png")

    def look(self) -> None:
        command = [self.programs / "chisel", "browse", "results/coin-run", "--port", "0"]
        print("$", *command, flush=True)
        with browser() as tab:
            with self.step("open it in a browser"):
                server = subprocess.Popen(command, cwd=self.home, env=self.variables, stdout=subprocess.PIPE, text=True)
                url = server.stdout.readline().split()[0]
                shown = tab.show(url, *SHAPES["desktop"])
                shown.wait_for_selector(".dot")
            try:
                self.click(tab, url)
            finally:
                server.terminate()
                server.wait()

    def click(self, tab: Tab, url: str) -> None:
        shown = tab.page
        shown.screenshot(path=self.out / "browse.png")
        with self.step("three clicks to an outlier's rollout"):
            shown.click("#outliers")
            shown.click(".found button")
            shown.click("#play")
            shown.wait_for_selector(".player img", timeout=2000 * LIMITS["three clicks to an outlier's rollout"])
        shown.screenshot(path=self.out / "rollout.png")
        assert tab.complaints(url) == [], tab.complaints(url)
        # The address keeps what is chosen: the same seed opens on a phone.
        tab.show(shown.url, *SHAPES["phone"], dark=True).wait_for_selector("#side h2")
        tab.page.screenshot(path=self.out / "phone.png", full_page=True)

    def export(self) -> None:
        made = self.home / "results" / "coin-run"
        with self.step("export to CSV"):
            self.run("chisel", "export", "results/coin-run", "--to", "csv")
        assert sorted(path.stem for path in made.glob("csv/*.csv")) == ["curves", "policies", "rates"]
        with self.step("export to TensorBoard"):
            self.run("chisel", "export", "results/coin-run", "--to", "tensorboard")
        assert len(list(made.glob("tensorboard/*/events.*"))) == 7, "one run a condition, and that of the sweep"

    def own_world(self) -> None:
        """As the tutorial says, with a part of its seeds."""
        (self.home / "meadow.py").write_text(blocks("worlds.md", "python")[0])
        (self.home / "sweep.toml").write_text("".join(blocks("tutorial.md", "toml")))
        (self.home / "check.py").write_text(blocks("tutorial.md", "python")[0] + "envs.require(meadow.Meadow())\n")
        with self.step("check a world of one's own"):
            self.run("python", "check.py")
        with self.step("train in it"):
            self.run("chisel", "run", "sweep.toml", "--set", "seeds=4")
        with self.step("read its rates, too"):
            self.run("chisel", "rates", "results/meadow")
        shutil.copy(self.home / "results" / "meadow" / "levels.png", self.out / "own-world.png")


def blocks(page: str, language: str) -> list[str]:
    """The blocks of code in a page of the docs."""
    text = (ROOT / "docs" / page).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.S | re.M)


if __name__ == "__main__":
    main()
