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
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from tests.sweeps.conftest import TOY

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
KEYS = {
    "outcomes": ("condition", "seed"),
    "probes": ("condition", "seed", "checkpoint", "probe", "kind", "actor", "sampled"),
    "curves": ("condition", "seed", "update"),
}
"""What a row is told by."""
DAMAGES = ("truncated", "a bit flipped", "512 bytes zeroed", "another's content", "removed")
TRIES = 8
"""Of running again, after the faults."""
SECONDS = 240
"""After which a driver is taken to hang."""


class Driver:
    """`chisel` in a process forked from this one, in `place`."""

    def __init__(self, place: Path, arguments: list[str], variables: dict[str, str], inject: dict | None = None):
        read, write = os.pipe()
        self.process, self.out = os.fork(), read
        if self.process:
            os.close(write)
            return
        try:
            os.setsid()
            os.chdir(place)
            os.dup2(write, 1)
            os.dup2(write, 2)
            os.environ.update(variables)
            if inject is not None:
                import sitecustomize

                sitecustomize.install(**inject)
            from sweeps.cli import main

            code = main(arguments)
        except BaseException:
            traceback.print_exc()
            code = 1
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    def send(self, number: int) -> None:
        os.kill(self.process, number)

    def end(self, seconds: float = SECONDS) -> tuple[int, str]:
        """Exit code, negative for a signal, and what was said, once the workers have ended too."""
        said, until = b"", time.monotonic() + seconds
        while select.select([self.out], [], [], max(until - time.monotonic(), 0))[0]:
            more = os.read(self.out, 65536)
            said += more
            if not more:
                break
        else:
            os.killpg(self.process, signal.SIGKILL)
            said += b"\nIT HANGS"
        os.close(self.out)
        return os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1]), said.decode()


def forked(call: Callable[[], Any]) -> Any:
    """Calls in a forked process, so that no thread of a client of a store is left in this one."""
    read, write = os.pipe()
    process = os.fork()
    if not process:
        os.close(read)
        try:
            answer = {"result": call()}
        except BaseException:
            answer = {"error": traceback.format_exc()}
        with os.fdopen(write, "w") as file:
            json.dump(answer, file)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as file:
        answer = json.load(file)
    os.waitpid(process, 0)
    if "error" in answer:
        raise RuntimeError(answer["error"])
    return answer["result"]


def as_place(out: str) -> Any:
    from analysis.folder import as_place

    return as_place(out)


class State:
    """What is in a folder: its rows, and what cannot be read."""

    def __init__(self, folder: Any):
        from analysis.folder import PROGRAM_TABLES, SHARD_TABLES, DamagedError, names_in, read_table

        self.rows: dict[tuple, list[str]] = {}
        self.damaged: list[str] = []
        for kind in SHARD_TABLES + PROGRAM_TABLES:
            for name in sorted(names_in(folder, kind)):
                try:
                    table = read_table(folder, kind, name)
                except DamagedError as error:
                    self.damaged.append(f"{error.path.parent.name}/{error.path.name}")
                    continue
                for place, row in enumerate(table.to_pylist()):
                    key = tuple(row[one] for one in KEYS[kind]) if kind in KEYS else (name, place)
                    self.rows.setdefault((kind, *key), []).append(repr(row))

    def against(self, whole: "State") -> dict[str, Any]:
        found = {key: rows for key, rows in self.rows.items() if key in whole.rows}
        return {
            "checked": sum(map(len, self.rows.values())),
            "lost": len(whole.rows) - len(found),
            "duplicated": sum(len(rows) - 1 for rows in self.rows.values()),
            "wrong": sum(any(row not in whole.rows[key] for row in rows) for key, rows in found.items())
            + len(self.rows)
            - len(found),
            "damaged": self.damaged,
        }


def spoil(folder: Any, what: str, how: str, draws: random.Random) -> str | None:
    """Damages a file at rest, and says which; None where there is none of the kind."""

    def inside(pattern: str) -> list[Any]:
        found = folder.rglob(pattern) if folder.exists() else ()
        return sorted((one for one in found if not one.name.startswith(".")), key=str)

    files = {
        "table": inside("*.parquet"),
        "manifest": inside("manifest.json"),
        "checkpoint": inside("*.checkpoint"),
    }[what]
    if not files:
        return None
    path = draws.choice(files)
    content = bytearray(path.read_bytes())
    if how == "truncated":
        content = content[: draws.randrange(len(content))]
    elif how == "a bit flipped":
        content[draws.randrange(len(content))] ^= 1 << draws.randrange(8)
    elif how == "512 bytes zeroed":
        start = draws.randrange(len(content))
        content[start : start + 512] = bytes(len(content[start : start + 512]))
    elif how == "another's content":
        others = [one for one in files if one.parent == path.parent and one != path]
        if not others:
            return None
        content = bytearray(draws.choice(others).read_bytes())
    if how == "removed":
        path.unlink()
    elif bytes(content) == path.read_bytes():
        return None
    else:
        path.write_bytes(bytes(content))
    return f"{path.parent.name}/{path.name}"


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
                if self.draws.random() < 0.7:
                    self._damage()
            self.grows = False
            code = self._finish(TRIES)
        if code != 0:  # with a store that answers
            code = self._finish(TRIES)
        if code != 0:
            self._odd(f"not complete after {2 * TRIES} tries: exit code {code}")
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

    def _disturb(self) -> None:
        """One driver that is not left in peace."""
        kinds = ["driver killed, at a moment", "SIGTERM"]
        if not self.remote:
            kinds += ["driver killed, at a file", "driver killed, at a file", "disk full"]
        if self.executor != "inline":
            kinds += ["worker killed", "worker killed"]
        kind = self.draws.choice(kinds)
        once = self.place / f"once-{self.found['drivers']}"
        room = None if self.draws.random() < 0.3 else self.draws.choice([0, 100, 1000, 3000])
        # An undisturbed driver has some 200 accesses to files if it trains all by itself.
        at = self.draws.randint(1, 200 if self.executor == "inline" else 60)
        fault = {
            "folder": str(self.place / "out"), "at": at, "once": str(once), "room": room,
            "lasts": self.draws.choice([1, 10, 1000]), "do": "full" if kind == "disk full" else "kill",
        }  # fmt: skip
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


@contextlib.contextmanager
def started(command: list[str], variables: dict[str, str], stdout: Any = subprocess.DEVNULL) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, *command], env=os.environ | variables, stdin=subprocess.PIPE, stdout=stdout,
        stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        yield
    finally:
        process.terminate()
        process.communicate()


CLUSTER = """
import ray, sys
cluster = ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
print(cluster.address_info["gcs_address"], flush=True)
sys.stdin.read()
"""
ON_LOOPBACK = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}


@contextlib.contextmanager
def surroundings(place: Path, runs: int, executors: list[str]) -> Iterator[dict[str, str]]:
    """A server of the S3 protocol and a cluster on loopback, as far as they are needed, and what leads there."""
    with contextlib.ExitStack() as stack, socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        free.close()
        stack.enter_context(started(["-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], {}))
        variables = {
            "AWS_ACCESS_KEY_ID": "someone", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_REGION": "us-east-1", "AWS_MAX_ATTEMPTS": "3",
        }  # fmt: skip
        if "ray" in executors and runs >= RAY_EVERY:
            said = stack.enter_context((place / "cluster").open("w"))
            stack.enter_context(started(["-c", CLUSTER], ON_LOOPBACK, said))
            variables |= {"CHISEL_CLUSTER": said.name, **ON_LOOPBACK}
        yield variables


def inject(
    runs: int, seed: int, executors: list[str], place: Path, trains: bool = True, at_once: int = 2
) -> Iterator[dict[str, Any]]:
    """What each of a number of runs found, as they end."""
    trained = list(range(0, runs, TRAINED_EVERY))
    others = [n for n in range(runs) if n % TRAINED_EVERY]
    stages = {}
    parts = [("stand-in", others)] * at_once + [("training", trained)] * (trains * at_once // 2)
    stack = contextlib.ExitStack()
    leading = stack.enter_context(surroundings(place, runs, executors))
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


def told(found: list[dict[str, Any]]) -> str:
    """The counts as tables in Markdown."""
    lines = [
        "| executor | place | training | runs | drivers | shards retried | rows checked |",
        "|---|---|---|---|---|---|---|",
    ]
    groups: dict[tuple, list[dict]] = {}
    for one in found:
        groups.setdefault((one["executor"], "S3" if one["remote"] else "disk", one["kind"]), []).append(one)
    for group, some in sorted(groups.items()):
        sums = [sum(one[key] for one in some) for key in ("drivers", "retried", "checked")]
        lines.append(f"| {' | '.join(group)} | {len(some)} | {' | '.join(f'{n:,}' for n in sums)} |")
    sums = [sum(one[key] for one in found) for key in ("drivers", "retried", "checked")]
    lines.append(f"| all | | | {len(found)} | {' | '.join(f'{n:,}' for n in sums)} |")
    lines += [
        "",
        "| fault | injected | in runs | rows lost | duplicated | silently wrong |",
        "|---|---|---|---|---|---|",
    ]
    for kind in sorted({kind for one in found for kind in one["injected"]}):
        some = [one for one in found if kind in one["injected"]]
        ends = [sum(one[key] for one in some) for key in ("lost", "duplicated", "wrong")]
        times = sum(one["injected"].count(kind) for one in some)
        lines.append(f"| {kind} | {times} | {len(some)} | {' | '.join(map(str, ends))} |")
    ends = [sum(one[key] for one in found) for key in ("lost", "duplicated", "wrong")]
    times = sum(len(one["injected"]) for one in found)
    lines.append(f"| all | {times} | {len(found)} | {' | '.join(map(str, ends))} |")
    spoilt, said = (sum(len(one[key]) for one in found) for key in ("spoilt", "told"))
    refused, requests = (sum(one[key] for one in found) for key in ("refused", "requests"))
    lines += [
        "",
        f"{spoilt} files spoilt: {said} lines named a table or checkpoint, {refused} drivers refused a manifest, the "
        f"others were written anew before anybody read them. {requests:,} requests to the store spoilt.",
    ]
    return "\n".join(lines)


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
