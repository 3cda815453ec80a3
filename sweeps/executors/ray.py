"""Ray Core tasks, a shard each: on the cluster that RAY_ADDRESS names, or on one of this machine for the run alone.

Rows are written by the workers, so that every node has to see the results folder and to have Chisel installed. A
task takes a core, a GPU or a TPU chip, as the driver's jax has found; workers on a CPU have one thread, as everywhere.
"""

import contextlib
import functools
import itertools
import logging
import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from typing import Any

from sweeps.devices import fewer
from sweeps.environment import THREADS, prepare
from sweeps.executors import Event, Execute, Failed, Job, Retried, reason
from sweeps.executors.processes import SAVE_SECONDS, cores
from sweeps.plan import Shard
from sweeps.spec import SpecError
from sweeps.worker import Stopped

if "RAY_ADDRESS" not in os.environ:
    # Read when ray is imported, or when its processes start: a cluster of one machine listens on the loopback interface
    # alone, and to this run alone; tasks may be any code, so that a port that is open gives the account away.
    os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if "RAY_AUTH_MODE" not in os.environ:
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}

try:
    import ray
except ImportError:
    raise SpecError("--executor ray", "Ray is not installed; pip install 'chisel-rl[ray]'.") from None

RESOURCES: dict[str, dict[str, Any]] = {
    "cpu": {"num_cpus": 1},
    "gpu": {"num_cpus": 1, "num_gpus": 1},
    "tpu": {"num_cpus": 1, "resources": {"TPU": 1}},
}
"""What a task asks for, by platform."""
AHEAD = 2
"""Tasks handed to Ray for each that it can run at once: nobody waits for the driver, and 100,000 are never queued."""
RETRIES = 3
"""Of a shard whose worker died: nodes may be preemptible."""
REACH_SECONDS = 10.0
"""That the head of a cluster has to answer in."""
SIZE_SECONDS = 10.0
"""Between two looks at the size of the cluster, which may grow."""


@contextlib.contextmanager
def crew(workers: int | None = None) -> Iterator[Execute]:
    """See `sweeps.executors`; `workers` bounds the tasks at once. Progress comes shard by shard.

    Raises SpecError, in one line, where there is no Ray, or no cluster at its address.
    """
    if ray.is_initialized():  # by who calls from Python, whose it stays
        yield functools.partial(_execute, workers)
        return
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    here: dict[str, Any] = {}
    if "RAY_ADDRESS" in os.environ:
        _reach(os.environ["RAY_ADDRESS"])
    else:
        here = {"address": "local", "num_cpus": workers or len(cores()), "include_dashboard": False}
    before = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(**quiet, **here)
    except Exception as error:  # of many kinds, bare ones among them
        raise SpecError("--executor ray", f"no Ray cluster is available ({reason(error)}).") from None
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before or signal.SIG_DFL)  # Ray takes it for itself
    try:
        yield functools.partial(_execute, workers)
    finally:
        ray.shutdown()


def _reach(address: str) -> None:
    """Raises SpecError where nobody listens at HOST:PORT or ray://HOST:PORT; Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        try:
            socket.create_connection((host, int(port)), REACH_SECONDS).close()
        except OSError as error:
            found = f"{address} cannot be reached ({error.strerror or error})"
            raise SpecError("RAY_ADDRESS", f"{found}; unset it for a cluster of this machine alone.") from None


def _execute(workers: int | None, job: Job, shards: Iterable[Shard]) -> Generator[Event]:
    variables = dict.fromkeys(THREADS, "1") if job.platform == "cpu" else {}
    variables["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    task = ray.remote(max_retries=0, runtime_env={"env_vars": variables}, **RESOURCES[job.platform])(_work)
    waiting, running = iter(shards), dict[Any, Shard]()
    deaths = dict[str, int]()
    room, looked = 0, -SIZE_SECONDS
    try:
        while True:
            if time.monotonic() - looked >= SIZE_SECONDS:
                room, looked = workers or max(1, AHEAD * _at_once(job.platform)), time.monotonic()
            for shard in itertools.islice(waiting, max(0, room - len(running))):
                running[task.remote(job, shard)] = shard
            if not running:
                return
            (ended, *_), _ = ray.wait(list(running))
            shard = running.pop(ended)
            try:
                event = ray.get(ended)
            except ray.exceptions.RayError as error:
                died = f"its worker was lost ({_line(error)}); if memory ran out, {fewer(shard.program.chunk)}"
                deaths[shard.id] = deaths.get(shard.id, 0) + 1
                if deaths[shard.id] <= RETRIES:
                    running[task.remote(job, shard)] = shard
                    event = Retried(shard.id, died)
                else:
                    event = Failed(shard.id, died, lost=True)
            yield event
    finally:
        _end(list(running), save=job.checkpoint_every is not None)


def _work(job: Job, shard: Shard) -> Event | None:
    """What a task does; None where it was asked to stop, and has left a checkpoint."""
    prepare(job.platform)  # the cache of compiled programs is each node's own
    stopping = threading.Event()
    # Ray cancels a task by what a Ctrl-C does.
    before = signal.signal(signal.SIGINT, lambda *_: stopping.set()) if job.checkpoint_every is not None else None
    try:
        import jax

        if jax.default_backend() != job.platform:
            return Failed(shard.id, f"its node has a {jax.default_backend()}, and the driver has a {job.platform}")
        return job.work(shard, checkpoint_every=job.checkpoint_every, stopping=stopping.is_set)
    except Stopped:
        return None
    except Exception as error:
        return Failed(shard.id, reason(error))
    finally:
        if before is not None:
            signal.signal(signal.SIGINT, before)


def _end(tasks: list[Any], save: bool) -> None:
    """Cancels tasks, the last ones first, lest they begin in place of others."""
    try:
        if save and tasks:
            for one in reversed(tasks):
                ray.cancel(one)
            ray.wait(tasks, num_returns=len(tasks), timeout=SAVE_SECONDS)
    finally:
        for one in reversed(tasks):
            ray.cancel(one, force=True)


def _at_once(platform: str) -> int:
    """Tasks that the cluster can run at once."""
    name = {"gpu": "GPU", "tpu": "TPU"}.get(platform, "CPU")
    return int(ray.cluster_resources().get(name, 0))


def _line(error: Exception) -> str:
    """What went wrong: of an error in a task, at the end of its traceback; of others, at the beginning."""
    lines = str(error).strip().splitlines() or ["no reason given"]
    return f"{type(error).__name__}: {lines[-1 if isinstance(error, ray.exceptions.RayTaskError) else 0][:200]}"
