"""Server of the page, on this machine alone: its files, and answers of models as JSON."""

import contextlib
import dataclasses
import http
import http.server
import json
import pathlib
import threading
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from common.errors import UserError, first_line
from data.dataset import Split
from playground.changes import RANGES, Changes
from playground.models import Player, decode_image, encode, read_offsets, sweep

HOST = "127.0.0.1"
MAX_BYTES = 8 << 20
"""The largest request; an image of the largest size takes half of it."""
_FOLDER = pathlib.Path(__file__).parent / "page"
_FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/drawing.js": ("drawing.js", "text/javascript; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
}
# Nothing from elsewhere is loaded, and no other page may show this one.
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
# Images whose accuracy a sweep measures.
SWEPT = 100


@dataclasses.dataclass(frozen=True)
class Answers:
    """Answers of models to what the page asks.

    Attributes:
        players: The models.
        test: Images to pick examples of, and to sweep over.
        lock: Of computations, which go one at a time, for they share the machine.
    """

    players: Sequence[Player]
    test: Split
    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock, repr=False)

    def of(self, path: str) -> Callable[[dict[str, Any]], Any] | None:
        """Finds the method that answers a path; None where there is none."""
        known = {
            "/models": self.models,
            "/example": self.example,
            "/predict": self.predict,
            "/sweep": self.sweep,
        }
        return known.get(path)

    def models(self, given: dict[str, Any]) -> Any:
        """Describes the models and the sliders."""
        return {"models": [player.describe() for player in self.players], "ranges": RANGES}

    def example(self, given: dict[str, Any]) -> Any:
        """A test image by its number, which wraps around."""
        number = given.get("number")
        if type(number) is not int:
            raise ValueError(f"number={number}: must be a whole number")
        number %= len(self.test)
        image = self.test.images[number] / np.float32(255)
        return {"image": encode(image), "label": int(self.test.labels[number]), "number": number}

    def predict(self, given: dict[str, Any]) -> Any:
        """Predicts an image by every model; `offsets` has a list for each of them."""
        pixels, changes = decode_image(given.get("image")), Changes.of(given.get("changes", {}))
        offsets = given.get("offsets", [[] for _ in self.players])
        if not isinstance(offsets, list) or len(offsets) != len(self.players):
            raise ValueError("offsets are a list for each model")
        moved = [read_offsets(each) for each in offsets]
        with self.lock:
            return [
                player.answer(pixels, changes, each)
                for player, each in zip(self.players, moved, strict=True)
            ]

    def sweep(self, given: dict[str, Any]) -> Any:
        """Measures accuracy along a slider."""
        changes = Changes.of(given.get("changes", {}))
        with self.lock:
            return sweep(self.players, self.test.sample(SWEPT), changes, given.get("along"))


class RefusedError(Exception):
    """A request that is not answered, with its status."""

    def __init__(self, status: http.HTTPStatus, reason: str):
        super().__init__(reason)
        self.status = status


def make_server(answers: Answers, port: int) -> http.server.ThreadingHTTPServer:
    """Makes the server, which listens; `serve_forever` answers.

    Args:
        answers: What it answers with.
        port: 0 for any that is free.

    Raises:
        UserError: if the port is taken.
    """

    class Handler(_Handler):
        pass

    try:
        server = http.server.ThreadingHTTPServer((HOST, port), Handler)
    except OSError as error:
        raise UserError(
            f"--port={port} cannot be used ({error.strerror}); choose another"
        ) from error
    Handler.answers, Handler.port = answers, server.server_port
    return server


class _Handler(http.server.BaseHTTPRequestHandler):
    answers: Answers
    port: int
    server_version = "playground"
    sys_version = ""
    timeout = 60.0  # seconds that a connection may be silent

    def do_GET(self) -> None:
        """Sends a file of the page."""
        found = _FILES.get(urlsplit(self.path).path)
        try:
            self._check_origin()
            if found is None:
                raise RefusedError(http.HTTPStatus.NOT_FOUND, "there is no such page")
        except RefusedError as refused:
            self._send_error(refused)
            return
        name, kind = found
        self._send(http.HTTPStatus.OK, (_FOLDER / name).read_bytes(), kind)

    def do_POST(self) -> None:
        """Answers a question, JSON by JSON."""
        try:
            answer = self._answer()
        except RefusedError as refused:
            self._send_error(refused)
            return
        self._send_json(http.HTTPStatus.OK, answer)

    def _answer(self) -> Any:
        self._check_origin()
        found = self.answers.of(self.path)
        if found is None:
            raise RefusedError(http.HTTPStatus.NOT_FOUND, "there is no such question")
        given = self._read()
        try:
            return found(given)
        except (ValueError, UserError) as error:
            raise RefusedError(http.HTTPStatus.BAD_REQUEST, first_line(error)) from error

    def _check_origin(self) -> None:
        """Refuses what another site's page sends, also by a name that it had lead here."""
        hosts = {f"{name}:{self.port}" for name in (HOST, "localhost")}
        origin = self.headers.get("Origin")
        if self.headers.get("Host") not in hosts:
            raise RefusedError(http.HTTPStatus.FORBIDDEN, f"open http://{HOST}:{self.port}/ itself")
        if origin is not None and urlsplit(origin).netloc not in hosts:
            raise RefusedError(http.HTTPStatus.FORBIDDEN, "pages of other sites are not answered")

    def _read(self) -> dict[str, Any]:
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal()):
            raise RefusedError(
                http.HTTPStatus.LENGTH_REQUIRED, "the length of the question is missing"
            )
        if int(length) > MAX_BYTES:
            self.close_connection = True
            raise RefusedError(
                http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {MAX_BYTES >> 20} MiB"
            )
        try:
            given = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError) as error:
            raise RefusedError(http.HTTPStatus.BAD_REQUEST, "the question is no JSON") from error
        if not isinstance(given, dict):
            raise RefusedError(http.HTTPStatus.BAD_REQUEST, "the question is no JSON object")
        return given

    def _send_error(self, refused: RefusedError) -> None:
        self._send_json(refused.status, {"error": str(refused)})

    def _send_json(self, status: http.HTTPStatus, content: Any) -> None:
        self._send(status, json.dumps(content).encode(), "application/json")

    def _send(self, status: http.HTTPStatus, content: bytes, kind: str) -> None:
        with contextlib.suppress(ConnectionError):  # the page was closed meanwhile
            self._write(status, content, kind)

    def _write(self, status: http.HTTPStatus, content: bytes, kind: str) -> None:
        self.send_response(status)
        for name, value in {**_HEADERS, "Content-Type": kind}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Prints nothing: every move of a slider is a request."""
