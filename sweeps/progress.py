"""Lanes, updates, rate and time left, on stderr: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Self

from tqdm import tqdm

from sweeps.executors import Event, Failed, Progress, Retried
from sweeps.layers import Task
from sweeps.plan import Plan, Shard
from sweeps.worker import Receipt

FIRST_LINE_SECONDS, LINE_SECONDS, LINE_GROWTH = 5.0, 60.0, 1.5
"""Plain lines come with the first updates, 5 s later, and then more and more slowly, up to one a minute."""
RATE_SECONDS = 5.0
"""Training before there is a rate, and with it a time left."""


def say(line: str) -> None:
    """A line on stderr; nothing where there is none."""
    if sys.stderr is not None:
        # Without tqdm's lock, which it releases even if a signal came before it had it, and so hides the signal.
        tqdm.write(f"chisel: {line}\n", file=sys.stderr, end="", nolock=True)


class Meter:
    """Counts what a run's events say is done."""

    def __init__(self, layers: Sequence[Plan], quiet: bool = False):
        self.quiet = quiet or sys.stderr is None
        self.updates_of = {one.program.id: one.updates for plan in layers for one in plan.programs}
        """In a lane's training, by program."""
        steps = {one.program.id: one.env_steps for plan in layers for one in plan.programs}
        plays = any(steps.values())
        self.unit, self.steps_of = ("env-steps", steps) if plays else ("updates", self.updates_of)
        self.lanes = self.total_lanes = 0
        """Lanes finished, and to be finished, of those that the run's spec has."""
        self.updates = self.total_updates = 0
        """Lane-updates of shards."""
        self.steps = self.total_steps = 0
        """Environment steps of shards; lane-updates where the learner plays none."""
        self.inside: dict[str, tuple[Task, int]] = {}
        """Shards in training, with the lane-updates done."""
        self.bar: tqdm | None = None
        self.first: tuple[float, int] | None = None
        """When the first progress was seen, and the steps that were done by then: compiling does not count."""
        self.already = 0
        """Steps on disk before the run."""
        self.due, self.interval = 0.0, FIRST_LINE_SECONDS / LINE_GROWTH

    def expect(self, task: Task, there: bool) -> None:
        """Counts a shard of the run, which may be on disk already."""
        self.total_lanes += task.lanes
        self.total_updates += len(task.shard.lanes) * self.updates_of[task.shard.program.id]
        self.total_steps += len(task.shard.lanes) * self.steps_of[task.shard.program.id]
        if there:
            self._ready(task)

    def _ready(self, task: Task) -> None:
        self.lanes += task.lanes
        self.updates += len(task.shard.lanes) * self.updates_of[task.shard.program.id]
        self.steps += len(task.shard.lanes) * self.steps_of[task.shard.program.id]

    def __enter__(self) -> Self:
        self.already = self.steps
        if not self.quiet and self.lanes < self.total_lanes:
            if sys.stderr.isatty():
                self.bar = tqdm(
                    total=self.total_steps, initial=self.steps, bar_format="{percentage:3.0f}%|{bar}| {desc}",
                    dynamic_ncols=True, file=sys.stderr, desc=self._text(),
                )  # fmt: skip
            else:
                say(f"{self._counts()} are on disk; training the others.")
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if self.bar is not None:
            self.bar.close()
        elif not self.quiet and self.steps > self.already:
            say(self._text())

    def handing_out(self, tasks: Iterable[Task]) -> Iterator[Shard]:
        """Passes shards on, and notes them as in training."""
        for task in tasks:
            self.inside[task.shard.id] = task, 0
            yield task.shard

    def see(self, event: Event) -> None:
        task, _ = self.inside[event.shard]
        match event:
            case Progress():
                self.inside[event.shard] = task, event.lane_updates
            case Retried():
                self.inside[event.shard] = task, 0
                say(f"shard {event.shard}: {event.reason}; trying once more.")
            case Failed():
                del self.inside[event.shard]
                say(f"shard {event.shard} failed: {event.reason}")
            case Receipt():
                del self.inside[event.shard]
                self._ready(task)
        self._show()

    def _now(self) -> tuple[int, int]:
        """Lane-updates and steps done, with those of shards in training."""
        updates, steps = self.updates, self.steps
        for task, done in self.inside.values():
            program = task.shard.program.id
            updates += done
            steps += done * self.steps_of[program] // self.updates_of[program]
        return updates, steps

    def _counts(self) -> str:
        return f"{self.lanes:,} of {self.total_lanes:,} lanes"

    def _show(self) -> None:
        if self.first is None:
            self.first = time.monotonic(), self._now()[1]
        if self.bar is not None:
            self.bar.set_description_str(self._text(), refresh=False)
            self.bar.update(self._now()[1] - self.bar.n)
        elif not self.quiet and time.monotonic() >= self.due:
            self.interval = min(self.interval * LINE_GROWTH, LINE_SECONDS)
            self.due = time.monotonic() + self.interval
            say(self._text())

    def _text(self) -> str:
        """What is done, and once there is one, the rate with the time left at it."""
        updates, steps = self._now()
        text = f"{self._counts()}, {updates:,} of {self.total_updates:,} updates"
        if self.first is None:
            return text
        began, before = self.first
        seconds = time.monotonic() - began
        if steps == before or (seconds < RATE_SECONDS and steps < self.total_steps):
            return text
        rate = (steps - before) / max(seconds, 1e-9)
        left = f", {_clock((self.total_steps - steps) / rate)} left" if steps < self.total_steps else ""
        return f"{text}, {rate:,.0f} {self.unit}/s{left}"


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
