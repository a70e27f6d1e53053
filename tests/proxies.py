"""A small reverse proxy before a service, which shows it below a path."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

PREFIX = "/slicewise"
HOP = {"transfer-encoding", "connection", "keep-alive"}


@contextmanager
def proxy(address: str, *, strips: bool, **headers: str) -> Iterator[str]:
    """Its address; everything below `PREFIX` goes to the service, without it where it strips it.

    As one is asked to, it passes the header Host on; a double underscore of a name is a dash.
    """

    asks = httpx.Client(timeout=30)

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            path = self.path
            if not f"{path}/".startswith(f"{PREFIX}/"):
                self.send_error(404)
                return
            if strips:
                path = path.removeprefix(PREFIX)
                path = path if path.startswith("/") else f"/{path}"
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            more = {name.replace("__", "-"): value for name, value in headers.items()}
            given = {**dict(self.headers), **more}
            with asks.stream(self.command, address + path, headers=given, content=body) as said:
                self.send_response(said.status_code)
                for name, value in said.headers.multi_items():
                    if name not in HOP:
                        self.send_header(name, value)
                self.end_headers()
                for part in said.iter_raw():  # packed as it came
                    self.wfile.write(part)

        do_GET = do_POST = do_HEAD = answer  # noqa: N815 (as the library names them)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        asks.close()
