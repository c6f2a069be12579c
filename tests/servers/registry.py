"""A schema registry: what Confluent's answers under /schemas/ids and /subjects, over real HTTP."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


class SchemaRegistry:
    """Schemas by id; what it was asked, and what it is to answer instead."""

    def __init__(self, login: str = "") -> None:
        self.schemas: dict[int, Mapping[str, Any]] = {}
        self.subjects: dict[tuple[str, int], Mapping[str, Any]] = {}
        self.asked: list[str] = []
        self.instead: tuple[int, bytes] | None = None
        self.login = login
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def add(self, number: int, schema: Any, **more: Any) -> None:
        self.schemas[number] = {"schema": json.dumps(schema), **more}

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, path: str, login: str | None) -> tuple[int, bytes]:
        self.asked.append(path)
        if self.instead:
            return self.instead
        if self.login:
            wanted = f"Basic {base64.b64encode(self.login.encode()).decode()}"
            if login != wanted:
                return 401, b'{"error_code":401,"message":"Unauthorized"}'
        found: Any = None
        match path.split("/")[1:]:
            case ["schemas", "ids", number]:
                found = self.schemas.get(int(number))
            case ["subjects"]:
                return 200, json.dumps(sorted({subject for subject, _ in self.subjects})).encode()
            case ["subjects", subject, "versions", "latest"]:
                newest = max((n for one, n in self.subjects if one == subject), default=0)
                found = self.subjects.get((subject, newest))
            case ["subjects", subject, "versions", version]:
                found = self.subjects.get((subject, int(version)))
        if found is None:
            return 404, b'{"error_code":40403,"message":"Schema not found"}'
        return 200, json.dumps(found).encode()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                code, body = registry.answer(self.path, self.headers["Authorization"])
                self.send_response(code)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                pass

        return Handler


@contextmanager
def serving(login: str = "") -> Iterator[SchemaRegistry]:
    registry = SchemaRegistry(login)
    try:
        yield registry
    finally:
        registry.stop()
