"""One worker process a core, pinned to it, or one a device: no shared state, a pipe each.

Workers are started afresh rather than forked (jax has threads) and without multiprocessing's spawn (which imports the
caller's script again). A worker whose pipe closes ends at once: so the driver stops them, and so its death does.
"""

import contextlib
import functools
import importlib
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from multiprocessing.connection import Connection, wait

from sweeps.devices import fewer
from sweeps.environment import COLLECT_AFTER, environment
from sweeps.executors import Event, Execute, Failed, Job, Progress, Retried, reason
from sweeps.plan import Shard
from sweeps.worker import Stopped

PROGRESS_SECONDS = 0.1
"""Between two progress messages of a worker."""
EXIT_SECONDS = 5.0
"""That a worker has to end by itself once its pipe is closed."""
SAVE_SECONDS = 5.0
"""That workers have to write checkpoints when the run is stopped."""


@contextlib.contextmanager
def crew(workers: int | None = None) -> Iterator[Execute]:
    """See `sweeps.executors`. By default as many workers as this process may use cores, or as there are devices.

    Workers for a CPU are started at once, on all cores but the driver's: they import while it plans. If the device
    turns out to be another one, they are dismissed, and have cost nothing that anybody waits for.
    """
    pins = cores()
    slots = range(min(workers or len(pins), len(pins) - 1))
    early = [_Worker(slot, environment(os.environ, "cpu"), pins[slot]) for slot in slots]
    try:
        yield functools.partial(_execute, early, workers)
    finally:
        _dismiss(early)


def _dismiss(workers: "list[_Worker]") -> None:
    while workers:
        worker = workers.pop()
        worker.process.kill()
        worker.stop()


def _execute(early: "list[_Worker]", workers: int | None, job: Job, shards: Iterable[Shard]) -> Generator[Event]:
    pins: list[int] | list[None] = cores() if job.platform == "cpu" else [None]
    slots = range(workers or (len(pins) if job.platform == "cpu" else job.devices))
    if job.platform != "cpu":
        _dismiss(early)
    waiting, retried = iter(shards), set[str]()
    running: dict[Connection, _Worker] = {}

    def start(slot: int, shard: Shard) -> None:
        if early:
            worker = early.pop(0)
        else:
            variables = environment(os.environ, job.platform) | _one_device(job, slot)
            worker = _Worker(slot, variables, pins[slot % len(pins)])
        running[worker.pipe] = worker
        worker.give(job, shard)

    try:
        for slot, shard in zip(slots, waiting, strict=False):
            start(slot, shard)
        while running:
            for pipe in wait(list(running)):
                worker = running[pipe]  # type: ignore[index]
                following: Shard | None
                try:
                    event = worker.pipe.recv()
                except (EOFError, OSError):
                    del running[worker.pipe]
                    died, following = f"its worker {worker.fate()}", worker.shard
                    if "SIGKILL" in died:
                        died += f"; if memory ran out, {fewer(following.program.chunk)}"
                    if following.id in retried:
                        yield Failed(following.id, died, lost=True)
                        following = next(waiting, None)
                    else:
                        retried.add(following.id)
                        yield Retried(following.id, died)
                    if following is not None:
                        start(worker.slot, following)
                    continue
                if not isinstance(event, Progress):
                    following = next(waiting, None)
                    if following is not None:
                        worker.give(job, following)
                    else:
                        del running[worker.pipe]
                        worker.stop()
                yield event
    finally:
        try:
            if job.checkpoint_every is not None:
                _let_save(running)
        finally:
            for worker in running.values():
                worker.process.kill()  # files appear whole or not at all
            for worker in running.values():
                worker.stop()


def _let_save(running: "dict[Connection, _Worker]") -> None:
    """Has workers write checkpoints and end. Who has not reached a point of its curves in time is left as it is."""
    until, saving = time.monotonic() + SAVE_SECONDS, dict(running)
    for pipe in saving:
        with contextlib.suppress(OSError):
            pipe.send(None)
    while saving and (left := until - time.monotonic()) > 0:
        for ready in wait(list(saving), left):
            worker = saving[ready]  # type: ignore[index]
            try:
                at_work = isinstance(worker.pipe.recv(), Progress)
            except (EOFError, OSError):
                at_work = False
            if not at_work:
                del saving[worker.pipe]


class _Worker:
    """The driver's end of one worker process."""

    def __init__(self, slot: int, variables: dict[str, str], core: int | None):
        self.slot = slot
        ours, theirs = socket.socketpair()
        variables = variables | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        # A notice to end is for the driver, even if it is sent to all of its processes.
        code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        code += f"import gc; gc.set_threshold({COLLECT_AFTER})\n"
        code += f"from sweeps.executors.processes import serve; serve({theirs.fileno()}, {core})"
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", code],
            env=variables,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # a terminal's Ctrl-C is for the driver, which then closes the pipes
        )
        theirs.close()
        self.pipe = Connection(ours.detach())
        self.shard: Shard

    def give(self, job: Job, shard: Shard) -> None:
        self.shard = shard
        with contextlib.suppress(OSError):  # a worker that has died is noticed by the next read
            self.pipe.send((job, shard))

    def stop(self) -> None:
        self.pipe.close()
        self.fate()

    def fate(self) -> str:
        """Waits for the end of the process, and says how it ended."""
        try:
            code = self.process.wait(EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"


def serve(descriptor: int, core: int | None) -> None:
    """A worker's life: run the shards that come over the pipe until it closes."""
    if core is not None and hasattr(os, "sched_setaffinity"):
        with contextlib.suppress(OSError):  # a container may not allow it: slower, with the same results
            os.sched_setaffinity(0, {core})
    pipe = Connection(descriptor)
    tasks: queue.SimpleQueue[tuple[Job, Shard]] = queue.SimpleQueue()
    stopping = threading.Event()
    begun = False

    def receive() -> None:
        try:
            while True:
                if (given := pipe.recv()) is None:
                    if not begun:  # it compiles, and has nothing to save
                        os._exit(0)
                    stopping.set()
                else:
                    tasks.put(given)
        except (EOFError, OSError):
            os._exit(0)  # in the midst of training, too: files appear whole or not at all

    def tell(event: Event) -> None:
        try:
            pipe.send(event)
        except OSError:
            os._exit(0)

    threading.Thread(target=receive, daemon=True).start()
    with contextlib.suppress(Exception):  # a device that does not start is reported by the driver, which finds it too
        importlib.import_module("jaxrl")  # while the driver plans
    while True:
        job, shard = tasks.get()
        last, begun = 0.0, False

        def report(lane_updates: int, shard: Shard = shard) -> None:
            nonlocal last, begun
            begun = True
            if time.monotonic() - last > PROGRESS_SECONDS:
                last = time.monotonic()
                tell(Progress(shard.id, lane_updates))

        event: Event
        try:
            event = job.work(shard, on_progress=report, checkpoint_every=job.checkpoint_every, stopping=stopping.is_set)
        except Stopped:
            os._exit(0)
        except Exception as error:
            event = Failed(shard.id, reason(error))
        tell(event)


def _one_device(job: Job, slot: int) -> dict[str, str]:
    """What shows a worker one of the GPUs alone."""
    if job.platform != "gpu":
        return {}
    visible, chosen = os.environ.get("CUDA_VISIBLE_DEVICES"), os.environ.get("JAX_CUDA_VISIBLE_DEVICES", "all")
    places = range(job.devices) if chosen == "all" else [int(place) for place in chosen.split(",")]
    place = places[slot % len(places)]
    return {
        "CUDA_VISIBLE_DEVICES": visible.split(",")[place] if visible else str(place),
        "JAX_CUDA_VISIBLE_DEVICES": "all",  # of the one
    }


def cores() -> list[int]:
    """The cores that this process may use."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
