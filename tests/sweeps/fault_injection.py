"""Fault injection on whole sweeps: killed, starved of disk, damaged and cut off at random, then run again until done.

python -m tests.sweeps.fault_injection --runs 200 --seed 0

Each run draws faults, injects them into a small sweep, and compares what is there with an uninterrupted reference:
after every fault, and when the sweep says that it is complete. Drivers are forked from a process that has imported all
they need; their workers are those of the executor. Prints tables in Markdown; its exit code is 1 if a row was lost,
duplicated or wrong, or anything else was not as promised. Linux only.
"""

import argparse
import contextlib
import io
import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from tests.sweeps.conftest import TOY
from tests.sweeps.fault_damage import DAMAGES, State, as_place, spoil
from tests.sweeps.fault_processes import Driver, forked, surroundings
from tests.sweeps.fault_report import told

HERE = Path(__file__).parent
PATHS = {
    "stand-in": [HERE / "fake", HERE.parents[1], HERE / "injected"],
    "training": [HERE.parents[1], HERE / "injected"],
}
SPECS = {
    "stand-in": TOY,
    "training": """
name = "tiny"
world = "coin-line"
seeds = 5
[fixed]
learner.total_steps = 512
learner.n_envs = 8
learner.n_steps = 16
learner.width = 8
[factors]
env.diversity = [0.0, 1.0]
[run]
chunk = 2
""",
}
FEWER = ["--set", "seeds=3"]
"""Of a folder that is to grow."""
TRAINED_EVERY = 10
"""Of so many runs one is of training; the others are of a stand-in for it, which takes no time."""
RAY_EVERY, PROCESSES_EVERY, REMOTE_EVERY = 40, 4, 6
TRIES = 8
"""Of running again, after the faults."""


class Run:
    """One sweep with its faults."""

    def __init__(self, stage: "Stage", number: int, executor: str, remote: bool):
        self.stage, self.executor, self.remote = stage, executor, remote
        self.draws = random.Random(f"{stage.seed}/{stage.kind}/{number}")
        self.place = stage.place / f"{stage.kind}-{number}"
        self.place.mkdir()
        (self.place / "spec.toml").write_text(SPECS[stage.kind])
        self.grows, self.saves = self.draws.random() < 0.3, self.draws.random() < 0.5
        self.found: dict[str, Any] = {
            "number": number, "kind": stage.kind, "executor": executor, "remote": remote, "injected": [], "drivers": 0,
            "retried": 0, "checked": 0, "odd": [], "told": [], "requests": 0, "refused": 0, "spoilt": [],
        }  # fmt: skip
        if remote:
            bucket = f"run-{stage.seed}-{number}"
            stage.make(bucket)
            self.out = f"s3://{bucket}/out"
        else:
            self.out = str(self.place / "out")
        self.variables: dict[str, str] = {}
        if executor == "ray":
            self.variables["RAY_ADDRESS"] = stage.cluster()
        self.suspicious = False
        """Whether the manifest has been damaged."""

    def __call__(self) -> dict[str, Any]:
        began = time.monotonic()
        with self._cut_off() if self.remote and self.draws.random() < 0.7 else contextlib.nullcontext():
            for _ in range(self.draws.randint(1, 3)):
                self._disturb()
                self._look()
                if self.draws.random() < 0.6:
                    self._pack()
                    self._look()
                if self.draws.random() < 0.7:
                    self._damage()
            self.grows = False
            code = self._finish(TRIES)
        if code != 0:  # with a store that answers
            code = self._finish(TRIES)
        if code != 0:
            self._odd(f"not complete after {2 * TRIES} tries: exit code {code}")
        if self.draws.random() < 0.5:
            self._pack(in_peace=True)
        end = self._look(last=True)
        self.found |= {key: end[key] for key in ("lost", "duplicated", "wrong")} | {"whole": end["checked"]}
        self.found["seconds"] = time.monotonic() - began
        if not self.found["odd"]:
            shutil.rmtree(self.place)
        return self.found

    def _odd(self, what: str) -> None:
        self.found["odd"].append(what)

    def _start(self, *more: str, inject: dict | None = None, in_worker: bool = False, slow: float = 0.0) -> Driver:
        variables = self.variables | {"CHISEL_FAKE": json.dumps({"sleep": slow})}
        if in_worker:
            variables["CHISEL_INJECT"] = json.dumps(inject)
        if self.executor == "ray":
            given = {key: variables[key] for key in ("CHISEL_FAKE", "CHISEL_INJECT") if key in variables}
            variables["RAY_JOB_CONFIG_JSON_ENV_VAR"] = json.dumps({"runtime_env": {"env_vars": given}})
        workers = [] if self.executor == "inline" else ["--workers", "2"]
        arguments = ["run", "spec.toml", "--out", self.out, "--executor", self.executor, *workers, *more]
        if self.grows:
            arguments += FEWER
        if self.saves and "--checkpoint-every" not in arguments:
            arguments += ["--checkpoint-every", "0.001"]
        self.found["drivers"] += 1
        return Driver(self.place, arguments, variables, None if in_worker else inject)

    def _end(self, driver: Driver, expected: tuple[int, ...]) -> tuple[int, str]:
        """Exit code and what was said, once a driver has ended as it may."""
        code, said = driver.end()
        self.found["retried"] += said.count("trying once more")
        self.found["told"] += [line for line in said.splitlines() if ".bad" in line or "could not be used" in line]
        if code == 2 and self.suspicious and ("manifest.json: " in said or ": holds " in said):
            self._mend(said)
        elif code not in expected or "Traceback" in said or "IT HANGS" in said:
            self._odd(f"exit code {code}: {said[-1500:]}")
        return code, said

    def _fault(self, once: Path, accesses: int, is_full: bool) -> dict[str, Any]:
        """What is injected into a process that has about as many accesses to files."""
        room = None if self.draws.random() < 0.3 else self.draws.choice([0, 100, 1000, 3000])
        at, lasts = self.draws.randint(1, accesses), self.draws.choice([1, 10, 1000])
        what = {"at": at, "room": room, "lasts": lasts, "do": "full" if is_full else "kill"}
        return what | {"folder": str(self.place / "out"), "once": str(once)}

    def _disturb(self) -> None:
        """One driver that is not left in peace."""
        kinds = ["driver killed, at a moment", "SIGTERM"]
        if not self.remote:
            kinds += ["driver killed, at a file", "driver killed, at a file", "disk full"]
        if self.executor != "inline":
            kinds += ["worker killed", "worker killed"]
        kind = self.draws.choice(kinds)
        once = self.place / f"once-{self.found['drivers']}"
        # An undisturbed driver has some 200 accesses to files if it trains all by itself.
        fault = self._fault(once, 200 if self.executor == "inline" else 60, kind == "disk full")
        in_worker = kind == "worker killed" or (kind == "disk full" and self.executor != "inline")
        slow = self.draws.choice([0.0, 0.01, 0.03])
        if kind in ("driver killed, at a moment", "SIGTERM"):
            saves = ["--checkpoint-every", "1000"] if self.saves and self.draws.random() < 0.5 else []
            driver = self._start(*saves, slow=slow)
            self._until_it_works(driver)
            time.sleep(self.draws.uniform(0, 1.0 if self.stage.kind == "stand-in" else 3.0))
            driver.send(signal.SIGKILL if kind != "SIGTERM" else signal.SIGTERM)
            # A SIGTERM before the run has begun ends it as it ends any program.
            code, _ = self._end(driver, (0, 2, 3, 4, -9, -15) if self.remote else (0, 3, -9, -15))
            if code in (-9, -15, 3):
                self.found["injected"].append(kind)
            return
        driver = self._start(inject=fault, in_worker=in_worker, slow=slow)
        allowed = {"driver killed, at a file": (0, -9), "worker killed": (0,), "disk full": (0, 2, 4)}[kind]
        self._end(driver, (*allowed, 2, 4) if self.remote else allowed)
        if once.exists():
            self.found["injected"].append(kind)

    def _pack(self, in_peace: bool = False) -> None:
        """The command that packs, killed, starved of disk or left in peace."""
        kinds = ["packed", "pack killed, at a moment"]
        if not self.remote:
            kinds += ["pack killed, at a file", "pack killed, at a file", "pack killed, at a file", "pack, disk full"]
        kind = "packed" if in_peace else self.draws.choice(kinds)
        once = self.place / f"once-{self.found['drivers']}"
        self.found["drivers"] += 1
        armed = self._fault(once, 70, kind == "pack, disk full") if kind.endswith(("file", "full")) else None
        driver = Driver(self.place, ["pack", self.out], self.variables, armed)
        if kind == "pack killed, at a moment":
            time.sleep(self.draws.uniform(0, 0.4))
            driver.send(signal.SIGKILL)
        code, said = self._end(driver, (0, 2, -9))
        allowed = self.remote or self.suspicious or kind == "pack, disk full" or "not a results folder" in said
        if code == 2 and not allowed:
            self._odd(f"not packed: {said}")
        if once.exists() or code == -9 or (kind == "packed" and code == 0):
            self.found["injected"].append(kind)

    def _until_it_works(self, driver: Driver) -> None:
        """So that signals do not all come while it plans: until a file is there, or the driver has ended."""
        if self.remote:
            time.sleep(self.draws.uniform(0.2, 1.0))
            return
        inside, until = self.place / "out" / "manifest.json", time.monotonic() + 60
        while not inside.exists() and time.monotonic() < until and not select.select([driver.out], [], [], 0.01)[0]:
            pass

    def _damage(self) -> None:
        what = self.draws.choices(["table", "manifest", "checkpoint"], [6, 1, 2])[0]
        how = self.draws.choice(DAMAGES[:3] if what == "manifest" else DAMAGES)
        seed = self.draws.random()
        found = forked(lambda: spoil(as_place(self.out), what, how, random.Random(seed)))
        if found is not None:
            self.found["injected"].append(f"{what}: {how}")
            self.suspicious |= what == "manifest"
            if how != "removed":
                self.found["spoilt"].append(found)

    def _finish(self, tries: int) -> int:
        code = 1
        for _ in range(tries):
            code, _ = self._end(self._start(), (0, 2, 4) if self.remote else (0,))
            if code == 0:
                break
        return code

    def _mend(self, said: str) -> None:
        """Does what the line says, as a user would: moves a damaged manifest away, or brings back a copy."""
        if len(said.strip().splitlines()) > 1 and not self.remote:
            self._odd(f"more than a line: {said}")
        self.found["refused"] += 1

        def mend() -> bool:
            from analysis.folder import write_file

            folder = as_place(self.out)
            path = folder / "manifest.json"
            moved = path.exists()
            if moved:
                path.unlink()
            else:  # of a folder that has grown: one layer would be cut into other shards
                write_file(path, self.stage.manifests[1].encode())
            return moved

        forked(mend)

    def _look(self, last: bool = False) -> dict[str, Any]:
        """Compares what is there with the reference; nothing may be wrong or twice at any time."""
        stage = self.stage
        found = forked(lambda: State(as_place(self.out)).against(stage.whole))
        self.found["checked"] += found["checked"]
        spoilt = set(self.found["spoilt"])
        unknown = [one for one in found["damaged"] if last or one not in spoilt]
        if unknown:
            self._odd(f"cannot be read: {unknown}")
        if not last and (found["duplicated"] or found["wrong"]):
            self._odd(f"in between: {found}")
        return found

    @contextlib.contextmanager
    def _cut_off(self) -> Iterator[None]:
        """A proxy before the store that spoils requests, in a process of its own."""
        from tests.sweeps.faults import KINDS

        kinds = tuple(self.draws.sample(KINDS, self.draws.randint(1, len(KINDS))))
        share = self.draws.choice([0.05, 0.2, 0.4])
        port = os.environ["AWS_ENDPOINT_URL"].rpartition(":")[2]
        command = ["--server", port, "--share", str(share), "--seed", str(self.draws.randrange(999))]
        process = subprocess.Popen(
            [sys.executable, str(HERE / "faults.py"), *command, "--kinds", *kinds], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        self.variables["AWS_ENDPOINT_URL"] = process.stdout.readline().strip()
        try:
            yield
        finally:
            del self.variables["AWS_ENDPOINT_URL"]
            process.terminate()
            spoilt = process.communicate()[0]
            self.found["requests"] = sum(json.loads(spoilt or "{}").get(kind, 0) for kind in KINDS)
            self.found["injected"] += [f"requests: {kind}" for kind in kinds]


class Stage:
    """All runs of the stand-in, or of training, in one process."""

    def __init__(self, kind: str, seed: int, place: Path):
        self.kind, self.seed, self.place = kind, seed, place
        # Whatever drivers would import each by itself; jax starts its threads later, when it is first used.
        import pandas  # noqa: F401

        import jaxrl  # noqa: F401
        import sweeps.cli
        import sweeps.executors.inline
        import sweeps.executors.processes
        import sweeps.packing  # noqa: F401
        import sweeps.running  # noqa: F401
        from envs import render  # noqa: F401
        from sweeps.checkpoints import _source

        _source()
        (place / f"{kind}.toml").write_text(SPECS[kind])
        self.manifests = []
        for name, steps in {"whole": [[]], "grown": [FEWER, []]}.items():
            for more in steps:
                driver = Driver(
                    place, ["run", f"{kind}.toml", "--out", f"{kind}-{name}", "--executor", "inline", *more], {}
                )
                code, said = driver.end()
                assert code == 0, said
            self.manifests.append((place / f"{kind}-{name}" / "manifest.json").read_text())
        if kind == "stand-in":
            os.chdir(place)
            with contextlib.redirect_stdout(io.StringIO()):
                sweeps.cli.main(["run", f"{kind}.toml", "--out", "warm", "--executor", "inline", "--quiet"])
        self.whole = State(place / f"{kind}-whole")
        grown = State(place / f"{kind}-grown")
        assert self.whole.against(grown) == grown.against(self.whole)
        assert all(len(rows) == 1 for rows in self.whole.rows.values())

    def cluster(self) -> str:
        """The address of the cluster, once it is there."""
        until = time.monotonic() + 300
        while not (address := Path(os.environ["CHISEL_CLUSTER"]).read_text()).endswith("\n"):
            assert time.monotonic() < until
            time.sleep(0.1)
        return address.strip()

    def make(self, bucket: str) -> None:
        until = time.monotonic() + 120
        while True:
            try:
                connection = HTTPConnection(os.environ["AWS_ENDPOINT_URL"].removeprefix("http://"))
                connection.request("PUT", f"/{bucket}")
                assert connection.getresponse().status == 200
                return
            except OSError:
                assert time.monotonic() < until
                time.sleep(0.1)

    def run(self, number: int, executors: list[str]) -> dict[str, Any]:
        executor = "inline"
        for name, every in {"ray": RAY_EVERY, "processes": PROCESSES_EVERY}.items():
            if name in executors and number % every == every - 1:
                executor = name
                break
        return Run(self, number, executor, number % REMOTE_EVERY == 1 and executor != "ray")()


def serve(kind: str, seed: int, numbers: list[int], executors: list[str], place: Path) -> None:
    """A stage's process: prints a line of JSON for each run that no other one has taken."""
    stage = Stage(kind, seed, place)
    for number in numbers:
        with contextlib.suppress(FileExistsError):
            (place.parent / f"taken-{number}").touch(exist_ok=False)
            print(json.dumps(stage.run(number, executors)), flush=True)


def inject(
    runs: int, seed: int, executors: list[str], place: Path, trains: bool = True, at_once: int = 2
) -> Iterator[dict[str, Any]]:
    """What each of a number of runs found, as they end."""
    trained = list(range(0, runs, TRAINED_EVERY))
    others = [n for n in range(runs) if n % TRAINED_EVERY]
    stages = {}
    parts = [("stand-in", others)] * at_once + [("training", trained)] * (trains * at_once // 2)
    stack = contextlib.ExitStack()
    leading = stack.enter_context(surroundings(place, "ray" in executors and runs >= RAY_EVERY))
    for kind, some in parts:
        variables = {
            key: value for key, value in os.environ.items() if not key.startswith(("NPROC", "JAX_", "XLA_", "AWS_"))
        }
        variables |= {"PYTHONPATH": os.pathsep.join(map(str, PATHS[kind])), "NPROC": "1", "OMP_NUM_THREADS": "1"}
        variables |= leading | {"XDG_CACHE_HOME": str(place / "cache"), "PYTHONWARNINGS": "ignore"}
        if kind == "training":
            variables |= {
                "JAX_COMPILATION_CACHE_DIR": str(place / "xla"),
                "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            }
            variables |= {"JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1"}
        given = [kind, str(seed), json.dumps(some), json.dumps(executors), str(Path(tempfile.mkdtemp(dir=place)))]
        code = "import json, sys; from pathlib import Path; from tests.sweeps.fault_injection import serve; "
        code += "k, s, n, e, p = sys.argv[1:]; serve(k, int(s), json.loads(n), json.loads(e), Path(p))"
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", code, *given],
            env=variables,
            stdout=subprocess.PIPE,
            cwd=place,
            start_new_session=True,
        )
        assert process.stdout is not None
        stages[process.stdout.fileno()] = process
    try:
        waiting = {fd: b"" for fd in stages}
        while waiting:
            for fd in select.select(list(waiting), [], [])[0]:
                more = os.read(fd, 65536)
                if not more:
                    del waiting[fd]
                    if stages[fd].wait():
                        raise RuntimeError("a stage has ended early")
                    continue
                *lines, waiting[fd] = (waiting[fd] + more).split(b"\n")
                yield from map(json.loads, lines)
    finally:
        for process in stages.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)  # with the proxies that it has started
            process.wait()
        stack.close()


def good(one: dict[str, Any]) -> bool:
    return not (one["odd"] or one["lost"] or one["duplicated"] or one["wrong"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--executors", nargs="+", default=["inline", "processes", "ray"])
    parser.add_argument("--at-once", type=int, default=4, help="processes that inject faults; half as many more train")
    parser.add_argument("--at", type=Path, default=Path(tempfile.gettempdir()), help="where the folders lie meanwhile")
    given = parser.parse_args()
    place, found = Path(tempfile.mkdtemp(prefix="faults-", dir=given.at)), []
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stopped early, it tells what it has
    with contextlib.suppress(KeyboardInterrupt):
        for one in inject(given.runs, given.seed, given.executors, place, at_once=given.at_once):
            found.append(one)
            if not good(one):
                print(json.dumps(one, indent=1), file=sys.stderr, flush=True)
            what = f"{one['kind']}, {one['executor']}, {one['seconds']:.1f} s"
            print(f"{len(found)} of {given.runs} runs: number {one['number']}, {what}", file=sys.stderr, flush=True)
    print(told(found))
    bad = sum(not good(one) for one in found)
    if bad:
        print(f"\n{bad} runs were not as promised; what they left is in {place}.")
    else:
        shutil.rmtree(place)
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
