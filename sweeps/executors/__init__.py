"""Executors run shards and know nothing else: the store says what is done, the plan says what is to do.

An executor is a context, `crew(workers)`, in which workers get ready. It gives a function `execute(job, shards)` that
yields events, in any order: `Progress` now and then, for each shard one `Receipt` or one `Failed`, `Retried` where a
worker died. Closing the generator stops the work: what had not been written is dropped, but where checkpoints are asked
for, workers that run beside the driver first write one of what they are at.
"""

import importlib
from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sweeps.plan import Shard
from sweeps.worker import Receipt


class Work(Protocol):
    """What is done with a shard, and has no effect where it has been done before; it is pickled to reach a worker.

    `on_progress` takes the lane-updates done so far. A checkpoint is due every so many seconds, and where the work is
    `stopping`: then it raises `sweeps.worker.Stopped`.
    """

    def __call__(
        self,
        shard: Shard,
        *,
        on_progress: Callable[[int], None] = ...,
        checkpoint_every: float | None = ...,
        stopping: Callable[[], bool] = ...,
    ) -> Receipt: ...


@dataclass(frozen=True)
class Job:
    """What all shards of a run have in common."""

    work: Work
    platform: str
    devices: int
    """Accelerators at hand; has no meaning on a CPU."""
    checkpoint_every: float | None = None
    """Seconds between two checkpoints of a shard; None for none."""


@dataclass(frozen=True)
class Progress:
    shard: str
    lane_updates: int
    """Done in this shard so far."""


@dataclass(frozen=True)
class Failed:
    shard: str
    reason: str
    lost: bool = False
    """Its worker died, so that another attempt may succeed; an error of the code would come again."""


@dataclass(frozen=True)
class Retried:
    """A worker died; its shard is trained again by another."""

    shard: str
    reason: str


Event = Progress | Receipt | Failed | Retried


class Execute(Protocol):
    def __call__(self, job: Job, shards: Iterable[Shard]) -> Generator[Event]: ...


def crew(name: str, workers: int | None) -> AbstractContextManager[Execute]:
    return importlib.import_module(f"sweeps.executors.{name}").crew(workers)


def reason(error: BaseException) -> str:
    """An exception in one line, with the place that raised it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" ({Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno})" if trace is not None else ""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:500]}{where}"
