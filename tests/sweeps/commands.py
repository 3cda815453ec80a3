"""`chisel` in processes that start at once: each is forked from one that has imported what commands need.

Importing takes most of the time of a command on the stand-in world. A command has its process, folder, environment and
streams to itself, as one that is started; workers that it starts are started as ever.
"""

import functools
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

IMPORTED = (
    "pandas", "PIL.GifImagePlugin", "PIL.PngImagePlugin", "sweeps.cli.arguments", "sweeps.cli.training",
    "sweeps.executors.inline", "sweeps.executors.processes", "sweeps.running",
)  # fmt: skip
"""Nothing that imports jax: before that, a command sets up its environment."""

DIGITS = 16


class Command:
    """A running `chisel`, with what tests use of `subprocess.Popen`. Output goes to files, so that it never blocks."""

    def __init__(self, server: "Server", arguments: tuple[str, ...], folder: Path, variables: dict, own_session: bool):
        self.out, self.err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
        self.status, status = os.pipe()
        self.returncode: int | None = None
        request = {"arguments": arguments, "folder": str(folder), "variables": variables, "own_session": own_session}
        server.ask(request, [self.out.fileno(), self.err.fileno(), status])
        os.close(status)
        self.pid = self._number()

    def poll(self, seconds: float | None = 0.0) -> int | None:
        if self.returncode is None and select.select([self.status], [], [], seconds)[0]:
            self.returncode = self._number()
            os.close(self.status)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        if self.poll(timeout) is None:
            raise subprocess.TimeoutExpired("chisel", timeout or 0.0)
        return self.printed(), self.said()

    def printed(self) -> str:
        """Stdout so far."""
        return os.pread(self.out.fileno(), 2**30, 0).decode()

    def said(self) -> str:
        """Stderr so far."""
        return os.pread(self.err.fileno(), 2**30, 0).decode()

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    terminate = functools.partialmethod(send_signal, signal.SIGTERM)
    kill = functools.partialmethod(send_signal, signal.SIGKILL)

    def _number(self) -> int:
        return int(os.read(self.status, DIGITS))


class Server:
    """A process that forks commands; it ends when its socket is closed."""

    def __init__(self, path: str):
        self.socket, theirs = socket.socketpair()
        variables = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", f"from tests.sweeps.commands import serve; serve({theirs.fileno()})"],
            env=variables | {"PYTHONPATH": path}, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        theirs.close()

    def ask(self, request: dict, descriptors: list[int]) -> None:
        with tempfile.TemporaryFile() as file:
            file.write(json.dumps(request).encode())
            file.seek(0)
            socket.send_fds(self.socket, [b"."], [file.fileno(), *descriptors])

    def close(self) -> None:
        self.socket.close()
        self.process.wait(timeout=60)


def serve(descriptor: int) -> None:
    """Forks a keeper for each request, which forks the command, says its process id, and then how it ended."""
    for name in IMPORTED:
        importlib.import_module(name)
    requests = socket.socket(fileno=descriptor)
    while True:
        something, descriptors, *_ = socket.recv_fds(requests, 1, 4)
        while _ended():
            pass
        if not something:
            return
        if not os.fork():
            requests.close()
            _keep(*descriptors)
        for one in descriptors:
            os.close(one)


def _ended() -> int:
    """The process id of a child that has ended, which is then gone; 0 where there is none."""
    try:
        return os.waitpid(-1, os.WNOHANG)[0]
    except ChildProcessError:
        return 0


def _keep(request: int, out: int, err: int, status: int) -> None:
    child = os.fork()
    if not child:
        os.close(status)
        with os.fdopen(request) as file:
            _become(json.load(file), out, err)
    os.write(status, b"%*d" % (DIGITS, child))
    os.write(status, b"%*d" % (DIGITS, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])))
    os._exit(0)


def _become(request: dict, out: int, err: int) -> None:
    """Makes this process the command."""
    code = 1
    try:
        if request["own_session"]:
            os.setsid()
        os.chdir(request["folder"])
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.environ.update(request["variables"])
        sys.path.insert(0, request["folder"])
        code = sys.modules["sweeps.cli"].main(request["arguments"])
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
