"""A web server on loopback that serves a folder in byte ranges, as players expect."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class RangeHandler(SimpleHTTPRequestHandler):
    """GET with `Range: bytes=first-last`."""

    protocol_version = "HTTP/1.1"
    ranges = 0  # that were asked for

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        data = path.read_bytes()
        first, last = 0, len(data) - 1
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked:
            type(self).ranges += 1
            first = int(asked[1])
            last = min(last, int(asked[2])) if asked[2] else last
        if asked and first >= len(data):
            self.send_error(416)
            return
        self.send_response(206 if asked else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(last - first + 1))
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
        if self.close_connection:
            self.send_header("Connection", "close")  # as FFmpeg asks, and expects to be told
        self.end_headers()
        try:
            self.wfile.write(data[first : last + 1])
        except OSError:
            self.close_connection = True  # a player leaves when it has seen enough

    def log_message(self, *_: Any) -> None:
        """Nothing: the test speaks."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a server of that folder while the block runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(RangeHandler, directory=str(folder)))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
