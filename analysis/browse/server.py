"""The server of a page of results: a Flask application, for this machine alone."""

import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from analysis.browse.browsed import Browsed
from analysis.browse.lanes import Question
from analysis.browse.lines import lines
from analysis.browse.page import Rollouts, page, waiting

if TYPE_CHECKING:
    from flask import Flask, Request

HOST, PORT = "127.0.0.1", 8017
HOSTS = ["127.0.0.1", "localhost"]
"""Names by which a browser may ask: a page of somebody else's that points its own name here is refused."""


def application(
    browsed: Browsed, status: Callable[[], list[dict[str, Any]]] | None = None, rollouts: Rollouts | None = None
) -> "Flask":
    """The page, and what it asks for: everything is computed here, and nothing is written.

    Args:
      status: what `sweeps.status` says of each folder.
      rollouts: plays saved policies; None where that cannot be done.
    """
    from flask import Flask, Response, request

    app = Flask(__name__, static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.config["TRUSTED_HOSTS"] = HOSTS

    @app.get("/")
    def index() -> Response:
        if browsed.waits:
            browsed.refresh(wait=True)
        told = status() if status and browsed.waits else []
        text = waiting(browsed, told) if browsed.waits else page(browsed)
        return Response(text, headers={"Cache-Control": "no-store"})

    @app.get("/api/choices")
    def choices() -> dict[str, Any]:
        return browsed.choices()

    @app.get("/api/view")
    def view() -> dict[str, Any]:
        asked, lanes, version = _question(request), browsed.lanes, browsed.version
        found = {"version": version, "rates": lanes.rates(asked), "dots": lanes.dots(asked)}
        return found | {"lines": lines(browsed.names, lanes, asked)}

    @app.get("/api/outliers")
    def outlying() -> list[dict[str, Any]]:
        return browsed.lanes.outlying(_question(request))

    @app.get("/api/seed")
    def seed() -> dict[str, Any]:
        return browsed.seed(*_lane(request)) | {"plays": rollouts is not None}

    @app.get("/api/rollout")
    def rollout() -> dict[str, Any]:
        if rollouts is None:
            raise ValueError("only `chisel browse` plays rollouts")
        lane, lanes = _lane(request), browsed.lanes
        probe, episode = request.args.get("probe", ""), _number(request, "episode")
        row = lanes.row(lanes.lane(*lane))
        return rollouts(browsed.folder(*lane).path, row, list(lanes.factors), probe, episode, "greedy" in request.args)

    @app.get("/api/status")
    def progress() -> dict[str, Any]:
        browsed.refresh()
        return {"version": browsed.version, "seeds": len(browsed.lanes.df), "folders": status() if status else []}

    @app.errorhandler(ValueError)
    def mistake(error: ValueError) -> tuple[dict[str, str], int]:
        return {"error": " ".join(str(error).split())}, 400

    return app


def _question(request: "Request") -> Question:
    """Raises ValueError where a place is asked for that a figure has not."""
    given = {name: request.args.get(name) or None for name in ("x", "colour", "rows", "columns", "measure")}
    where: dict[str, list[str]] = {}
    for text in request.args.getlist("where"):
        key, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"where: {text!r} is not KEY=VALUE")
        where.setdefault(key, []).append(value)
    return Question(**given, where=where, labels=tuple(request.args.getlist("label")))


def _lane(request: "Request") -> tuple[int, str, int]:
    return _number(request, "master_seed"), request.args.get("condition", ""), _number(request, "seed")


def _number(request: "Request", name: str) -> int:
    text = request.args.get(name, "")
    if not text.removeprefix("-").isdecimal() or len(text) > 20:
        raise ValueError(f"{name}: {text!r} is not a whole number")
    return int(text)


class Server:
    """Serves an application on this machine's loopback address.

    Args:
      port: 0 for any that is free.
    Raises:
      ValueError: the port is taken, or is none; one line.
    """

    def __init__(self, app: "Flask", port: int = PORT):
        from werkzeug.serving import WSGIRequestHandler, make_server

        class Quiet(WSGIRequestHandler):
            def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
                """Requests are not told; errors are."""

        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((HOST, port))
            self._socket.listen(128)
        except (OSError, OverflowError) as error:
            self._socket.close()
            raise ValueError(f"port {port} cannot be served ({error}); give another --port") from None
        self._server = make_server(HOST, port, app, threaded=True, request_handler=Quiet, fd=self._socket.fileno())
        self.url = f"http://{HOST}:{self._socket.getsockname()[1]}/"

    def serve(self) -> None:
        """Until it is interrupted or closed."""
        self._server.serve_forever()

    def start(self) -> "Server":
        """The same in a thread, as from a notebook."""
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._socket.close()
