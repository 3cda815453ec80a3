"""Runs shards one after the other in this process: for debugging."""

from collections.abc import Generator, Iterable

from sweeps.executors import Event, Failed, Job, reason
from sweeps.plan import Shard
from sweeps.worker import run_shard


def execute(job: Job, shards: Iterable[Shard], workers: int | None = None) -> Generator[Event]:
    """See `sweeps.executors`; `workers` has no meaning here, and progress comes shard by shard."""
    for shard in shards:
        try:
            yield run_shard(job.folder, shard, job.policies)
        except Exception as error:
            yield Failed(shard.id, reason(error))
