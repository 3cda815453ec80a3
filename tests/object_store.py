"""An object store for tests: a real server process on loopback, and a bucket of it for each test."""

import http.client
import socket
import subprocess
import sys
import time
import uuid

import pytest


@pytest.fixture(scope="session")
def server():
    """The port of an S3 server."""
    pytest.importorskip("moto")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
    yield port
    process.kill()
    process.wait()


@pytest.fixture
def bucket(server, monkeypatch):
    """A URI of a bucket of the test's own, with the environment that leads there."""
    name = f"test-{uuid.uuid4().hex}"
    connection = http.client.HTTPConnection("127.0.0.1", server)
    connection.request("PUT", f"/{name}")
    assert connection.getresponse().status == 200
    for key, value in {
        "AWS_ACCESS_KEY_ID": "someone", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server}", "AWS_REGION": "us-east-1", "AWS_MAX_ATTEMPTS": "8",
    }.items():  # fmt: skip
        monkeypatch.setenv(key, value)
    return f"s3://{name}"
