"""Runs shards one after the other in this process: for debugging."""

import contextlib
import os
import warnings
from collections.abc import Generator, Iterable, Iterator

from sweeps.environment import training_here
from sweeps.executors import Event, Execute, Failed, Job, reason
from sweeps.plan import Shard


@contextlib.contextmanager
def crew(workers: int | None = None) -> Iterator[Execute]:
    """See `sweeps.executors`; `workers` has no meaning here, and progress comes shard by shard."""
    with training_here():
        if os.environ.get("NPROC") != "1":
            warnings.warn(
                "jax was imported without NPROC=1: on a CPU, last bits may differ from those of workers", stacklevel=4
            )
        yield _execute


def _execute(job: Job, shards: Iterable[Shard]) -> Generator[Event]:
    for shard in shards:
        try:
            yield job.work(shard, checkpoint_every=job.checkpoint_every)
        except Exception as error:
            yield Failed(shard.id, reason(error))
