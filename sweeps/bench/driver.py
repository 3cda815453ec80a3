"""Times every participant in turns, so that drift of the machine falls on all alike, and writes the tables."""

import contextlib
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from sweeps.bench.cases import CASES, PEER, flops_per_step
from sweeps.devices import platform as device
from sweeps.environment import cache_folder, environment
from sweeps.executors.processes import cores
from sweeps.plan import CPU_CHUNK

PRODUCTS = 4
"""In a round, of the product that stands for the hardware's ceiling."""
ROUND_STEPS = 1_500_000
"""Environment steps of a participant in one round, about: some seconds each."""

LEAST_UPDATES = 12
"""Of a lane in a round, lest its initialisation weigh."""
BESIDE_PLAIN = {"coin-run": 128, "room": 128, "pixels": 64}
"""Lanes of the cases that are timed beside a plain vmap."""
SLOW = {"pixels": 1}
"""Updates of a plain vmap in a round, where as many as Chisel's would take many minutes; Chisel's are the least."""


class Layout(NamedTuple):
    """How participants share a machine: on a CPU a process has a core and small chunks, on a GPU all lanes at once."""

    kind: str
    processes: tuple[int | None, ...]
    """That a participant may have, by core; None where a process is left to itself."""
    side: int
    """Of the large product."""
    cartpole_lanes: tuple[int, ...]
    probed: int
    """Lanes whose probes are timed."""

    def width(self, lanes: int) -> int:
        return min(CPU_CHUNK, lanes) if self.kind == "cpu" else lanes


def layout(kind: str) -> Layout:
    if kind == "cpu":
        return Layout(kind, tuple(cores()), 2048, (1, 32, 128, 512, 1024), CPU_CHUNK)
    return Layout(kind, (None,), 8192, (1, 128, 1024, 8192), 1024)


@dataclass
class Participant:
    """One or more processes that work at the same time."""

    name: str
    processes: list[subprocess.Popen]
    steps: float
    """Environment steps of all of them in one round; for the product, FLOPs."""
    ready: dict[str, Any] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    peak: int = 0

    def wait(self) -> list[dict[str, Any]]:
        found = []
        for process in self.processes:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise RuntimeError(f"{self.name}: a process ended with code {process.wait()}; see stderr")
            found.append(json.loads(line))
        return found

    def round(self) -> list[dict[str, Any]]:
        began = time.perf_counter()
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        said = self.wait()
        self.seconds.append(time.perf_counter() - began)
        self.peak = sum(one.get("peak", 0) for one in said)
        return said

    @property
    def rate(self) -> float:
        return self.steps / statistics.median(self.seconds)


def bench(rounds: int = 5, peer: bool = True, say: Callable[[str], None] = print) -> dict[str, Any]:
    """Runs the benchmark, on all cores or on one GPU; some minutes.

    Args:
      rounds: turns of every participant; medians are reported.
      peer: whether to time rejax too, in an environment of its own that is made in the user's cache folder.
      say: is told what is being done.
    Returns:
      machine; platform; ceiling_gflops; rows (name, lanes, steps_per_second, low, high, gflops, share of the ceiling,
      compile_seconds, temporary_bytes, peak_bytes); ratios by name; probing_share, of a default coin-run lane's time;
      first_update (cold and warm, in seconds).
    """
    here = layout(device()[0])
    with contextlib.ExitStack() as stack:
        crowd: list[Participant] = []

        def join(name: str, steps: float, commands: list[list[str]], pinned: bool) -> None:
            say(f"getting ready: {name}")
            pins = here.processes if pinned else (None,)
            processes = [_start(command, core, stack) for command, core in zip(commands, pins, strict=False)]
            one = Participant(name, processes, steps)
            one.ready = one.wait()[0]
            crowd.append(one)

        worker = [sys.executable, "-m", "sweeps.bench.worker"]
        join(
            "product",
            len(here.processes) * PRODUCTS * 2 * here.side**3,
            [[*worker, "product", "none", str(here.side), str(PRODUCTS)]] * len(here.processes),
            True,
        )

        def chisel(case: str, lanes: int) -> int:
            learner = CASES[case].make()
            batch = learner.n_envs * learner.n_steps
            width = here.width(lanes)
            workers = min(len(here.processes), max(lanes // width, 1))
            updates = LEAST_UPDATES if case in SLOW else max(round(ROUND_STEPS / (lanes * batch)), LEAST_UPDATES)
            command = [*worker, "chisel", case, *map(str, (lanes // workers, updates, width))]
            join(f"{case} {lanes}", lanes * updates * batch, [command] * workers, True)
            return updates

        for lanes in here.cartpole_lanes:
            chisel("cartpole", lanes)
        for case, lanes in BESIDE_PLAIN.items():
            updates = chisel(case, lanes)
            updates = SLOW.get(case, updates)
            batch = CASES[case].make().n_envs * CASES[case].make().n_steps
            command = [*worker, "plain", case, str(lanes), str(updates)]
            join(f"{case} plain", lanes * updates * batch, [command], False)
        if peer:
            updates = round(ROUND_STEPS / (128 * 512))
            script = str(Path(__file__).with_name("peer.py"))
            python = _peer(say, here.kind)
            join(f"{PEER} rejax", 128 * updates * 512, [[python, script, "128", str(updates)]], False)
        for turn in range(rounds):
            say(f"round {turn + 1} of {rounds}")
            for one in crowd:
                one.round()
    found = _report(crowd, here)
    say("probing and start-up")
    found["probing_share"] = _probing_share(rounds, here)
    found["first_update"] = _first_update(rounds)
    return found


def _start(command: list[str], core: int | None, stack: contextlib.ExitStack) -> subprocess.Popen:
    """A participant's process: pinned and with one thread, or left to itself as such programs usually are.

    None of them takes all of a GPU's memory, since they take turns on it.
    """
    variables = os.environ | {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    for name in ("NPROC", "OMP_NUM_THREADS", "JAX_COMPILATION_CACHE_DIR"):
        variables.pop(name, None)
    if core is not None:
        variables = environment(variables, "cpu")
        variables.pop("JAX_COMPILATION_CACHE_DIR", None)  # compile times are reported
        command = [sys.executable, "-c", _PINNED, str(core), *command[1:]]
    process = subprocess.Popen(command, env=variables, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    stack.callback(process.wait)
    stack.callback(process.kill)
    return process


_PINNED = """
import os, sys
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {int(sys.argv[1])})
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


def _peer(say: Callable[[str], None], kind: str) -> str:
    """The Python of an environment with rejax, made where there is none; it needs an older gymnax than Chisel."""
    base = (cache_folder() or Path(tempfile.gettempdir()) / "chisel").parent.parent / "bench-rejax"
    python = base / "bin" / "python"
    if not (base / "ready").exists():
        say(f"installing rejax into {base}")
        subprocess.run([sys.executable, "-m", "venv", "--clear", base], check=True)
        wanted = ["rejax==0.1.3", "gymnax<1", f"jax{'[cuda13]' if kind == 'gpu' else ''}=={version('jax')}"]
        subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=True)
        (base / "ready").touch()
    return str(python)


def _report(crowd: list[Participant], here: Layout) -> dict[str, Any]:
    product, others = crowd[0], crowd[1:]
    ceiling, rows = product.rate, []
    for one in others:
        case = one.name.split()[0]
        flops = flops_per_step(CASES[case]) * one.rate
        rows.append(
            {
                "name": one.name,
                "steps_per_second": one.rate,
                "low": one.steps / max(one.seconds),
                "high": one.steps / min(one.seconds),
                "gflops": flops / 1e9,
                "share": flops / ceiling,
                "compile_seconds": one.ready["ready"],
                "temporary_bytes": one.ready.get("temporary"),
                "peak_bytes": one.peak or None,
            }
        )
    by = {one.name: one for one in others}

    def ratio(above: str, below: str) -> float:
        """The median of the ratios of rounds: drift between rounds cancels."""
        pairs = zip(by[above].seconds, by[below].seconds, strict=True)
        scale = by[above].steps / by[below].steps
        return statistics.median(scale * theirs / ours for ours, theirs in pairs)

    ratios = {
        f"{case} over plain vmap": ratio(f"{case} {lanes}", f"{case} plain") for case, lanes in BESIDE_PLAIN.items()
    }
    if f"{PEER} rejax" in by:
        ratios["cartpole over rejax"] = ratio("cartpole 128", "cartpole rejax")
    most = here.cartpole_lanes[-1]
    ratios[f"cartpole {most} lanes over 128"] = ratio(f"cartpole {most}", "cartpole 128")
    facts = {"machine": _machine(), "platform": here.kind, "ceiling_gflops": ceiling / 1e9}
    return facts | {"rows": rows, "ratios": ratios}


def _machine() -> str:
    import jax

    one = jax.devices()[0]
    device = "" if one.platform == "cpu" else f"{one.device_kind} of {len(jax.devices())}, "
    model = next(
        (line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")), platform.machine()
    )
    packages = ", ".join(
        f"{package} {version(package)}" for package in ("chisel-rl", "jax", "jaxlib", "flax", "gymnax")
    )
    return f"{device}{model}, {len(cores())} cores, Python {platform.python_version()}, {packages}"


def _cpuinfo() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []


def _probing_share(rounds: int, here: Layout) -> float:
    with contextlib.ExitStack() as stack:
        command = [sys.executable, "-m", "sweeps.bench.worker", "probing", "coin-run", str(here.probed)]
        one = Participant("probing", [_start(command, here.processes[0], stack)], 0)
        one.wait()
        return statistics.median(one.round()[0]["share"] for _ in range(rounds))


def _first_update(rounds: int) -> dict[str, float]:
    """Seconds from the command `chisel run coin-run` to its first updates, with an empty cache and with a full one."""
    with tempfile.TemporaryDirectory() as folder:
        variables = os.environ | {"XDG_CACHE_HOME": f"{folder}/cache"}
        for name in ("NPROC", "JAX_COMPILATION_CACHE_DIR"):
            variables.pop(name, None)

        def once(name: str) -> float:
            began = time.perf_counter()
            command = [sys.executable, "-m", "sweeps.cli", "run", "coin-run", "--out", f"{folder}/{name}"]
            process = subprocess.Popen(
                command, env=variables, stderr=subprocess.PIPE, text=True, stdout=subprocess.DEVNULL
            )
            assert process.stderr is not None
            taken = next(time.perf_counter() - began for line in process.stderr if "updates" in line)
            process.send_signal(signal.SIGINT)
            process.communicate()
            return taken

        cold = once("cold")
        return {"cold": cold, "warm": statistics.median(once(f"warm{i}") for i in range(rounds))}


def as_markdown(found: dict[str, Any]) -> str:
    """The tables of docs/performance.md."""
    where = "all cores" if found["platform"] == "cpu" else "one device"
    lines = [
        f"Machine: {found['machine']}. A large f32 product reaches {found['ceiling_gflops']:,.0f} GFLOP/s on {where}.",
        "",
        "| work | env-steps/s (lowest, highest) | GFLOP/s | of the product | compile | temporary memory | peak |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in found["rows"]:
        low, high = f"{row['low'] / 1e3:,.0f}k", f"{row['high'] / 1e3:,.0f}k"
        size = lambda value: "" if value is None else f"{value / 1e6:,.1f} MB"  # noqa: E731
        lines.append(
            f"| {row['name']} | {row['steps_per_second'] / 1e3:,.0f}k ({low}, {high}) | {row['gflops']:.0f} "
            f"| {row['share']:.0%} | {row['compile_seconds']:.0f} s | {size(row['temporary_bytes'])} "
            f"| {size(row['peak_bytes'])} |"
        )
    lines += ["", "| ratio, median over rounds | |", "|---|---|"]
    lines += [f"| {name} | {value:.2f} |" for name, value in found["ratios"].items()]
    lines += [f"| probes, of the time of a default coin-run lane | {found['probing_share']:.0%} |"]
    start = found["first_update"]
    lines += [f"| `chisel run coin-run`, command to first updates, cache empty | {start['cold']:.1f} s |"]
    lines += [f"| the same, cache full | {start['warm']:.1f} s |"]
    return "\n".join(lines)
