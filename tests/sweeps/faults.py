"""A proxy in front of an S3 server on loopback that spoils a seeded share of what passes.

python -m moto.server -p 5000 &
python tests/sweeps/faults.py --server 5000 --port 5001 --share 0.2 --seed 3
AWS_ENDPOINT_URL=http://127.0.0.1:5001 chisel run SPEC --out s3://BUCKET/PATH
"""

import argparse
import json
import random
import re
import signal
import sys
import threading
import time
from collections import Counter
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KINDS = ("500", "503", "drop", "lose", "cut", "wait")
"""What may befall a request.

500, 503: it is refused, as S3 does where something broke or too much is asked.
drop: the connection ends before the server has heard of it.
lose: the server does it, and the connection ends before the answer.
cut: the server does it, and half of the answer's body comes.
wait: the answer comes late.
"""
WAIT_SECONDS = 0.5
SLOW_DOWN = "<Error><Code>{}</Code><Message>by the proxy</Message></Error>"
CODES = {"500": "InternalError", "503": "SlowDown", "403": "AccessDenied"}


class FaultyProxy(ThreadingHTTPServer):
    """Listens on loopback once made, and serves between `with` and its end.

    Args:
      server: the port of the S3 server.
      share: of requests that are spoilt, in a way drawn from `kinds`: those of `KINDS`, and 403 for access denied.
      only: a pattern that the method and path of a request must have to be spoilt, such as `PUT \\S+/curves/`.
      port: 0 for a free one.
    """

    daemon_threads = True

    def __init__(
        self, server: int, share: float, seed: int = 0, kinds: tuple[str, ...] = KINDS, only: str = "", port: int = 0
    ):
        super().__init__(("127.0.0.1", port), _Handler)
        self.server, self.share, self.kinds, self.only = server, share, kinds, only
        self.draws, self.lock = random.Random(seed), threading.Lock()
        self.seen: Counter[str] = Counter()
        """Requests by method, and faults by kind."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def fault(self, method: str, path: str) -> str | None:
        with self.lock:
            meant = re.search(self.only, f"{method} {path}") and self.draws.random() < self.share
            kind = self.draws.choice(self.kinds) if meant else None
            self.seen.update([method, *([kind] if kind else [])])
        return kind

    def __enter__(self) -> "FaultyProxy":
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # a client that has been killed


class _Handler(BaseHTTPRequestHandler):
    server: FaultyProxy
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _pass(self) -> None:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            content = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                content += self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
        else:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        kind = self.server.fault(self.command, self.path)
        if kind in CODES:
            return self._answer(int(kind), [], SLOW_DOWN.format(CODES[kind]).encode())
        if kind == "drop":
            return self._hang_up()
        headers = {
            key: value for key, value in self.headers.items() if key.lower() not in ("transfer-encoding", "expect")
        }
        upstream = HTTPConnection("127.0.0.1", self.server.server, timeout=60)
        try:
            upstream.request(self.command, self.path, content, headers)
            answer = upstream.getresponse()
            body = answer.read()
        except (OSError, HTTPException):
            return self._hang_up()
        finally:
            upstream.close()
        if kind == "lose":
            return self._hang_up()
        if kind == "wait":
            time.sleep(WAIT_SECONDS)
        self._answer(answer.status, answer.getheaders(), body, cut=kind == "cut")

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes, cut: bool = False) -> None:
        self.send_response_only(status)
        for key, value in headers:
            if key.lower() not in ("connection", "transfer-encoding", "content-length"):
                self.send_header(key, value)
        length = dict((key.lower(), value) for key, value in headers).get("content-length", str(len(body)))
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self._hang_up()

    def _hang_up(self) -> None:
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


for _method in ("GET", "HEAD", "PUT", "POST", "DELETE"):
    setattr(_Handler, f"do_{_method}", _Handler._pass)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", type=int, required=True, metavar="PORT", help="of the S3 server on loopback")
    parser.add_argument("--port", type=int, default=0, help="to listen on (default: a free one)")
    parser.add_argument("--share", type=float, default=0.2, help="of requests that are spoilt (default: 0.2)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=[*KINDS, "403"])
    parser.add_argument("--only", default="", metavar="PATTERN", help="of the requests to spoil, written METHOD PATH")
    given = parser.parse_args()
    proxy = FaultyProxy(given.server, given.share, given.seed, tuple(given.kinds), given.only, given.port)
    print(proxy.url, flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        proxy.serve_forever()
    finally:
        print(json.dumps(proxy.seen), flush=True)


if __name__ == "__main__":
    main()
