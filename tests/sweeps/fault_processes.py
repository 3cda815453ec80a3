"""The processes of fault injection: forked drivers, and the servers that they need."""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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
def surroundings(place: Path, with_ray: bool) -> Iterator[dict[str, str]]:
    """A server of the S3 protocol, and a Ray cluster where one is needed, on loopback; and what leads there."""
    with contextlib.ExitStack() as stack, socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        free.close()
        stack.enter_context(started(["-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], {}))
        variables = {
            "AWS_ACCESS_KEY_ID": "someone", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_REGION": "us-east-1", "AWS_MAX_ATTEMPTS": "3",
        }  # fmt: skip
        if with_ray:
            said = stack.enter_context((place / "cluster").open("w"))
            stack.enter_context(started(["-c", CLUSTER], ON_LOOPBACK, said))
            variables |= {"CHISEL_CLUSTER": said.name, **ON_LOOPBACK}
        yield variables
