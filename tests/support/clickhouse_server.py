"""ClickHouse's HTTP interface in front of chDB, which is ClickHouse in a process.

    python -m tests.support.clickhouse_server PORT FOLDER

Enough of it for our reader and for the collector's exporter: a statement in the URL or the body, parameters, formats, data to
insert in the body, one user. What chDB refuses is answered as the server does: status 500, the error as text.
"""

from __future__ import annotations

import base64
import re
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

USER, PASSWORD = "agentlog", "pass word/1"

_INSERT = re.compile(r"\s*(INSERT\s+INTO\s+.+?)\s+FORMAT\s+(\w+)\s*", re.IGNORECASE | re.DOTALL)

_HELLO = "SELECT displayName(), version(), revision(), timezone()"
"""What the client of the exporter asks first."""


def _hello() -> bytes:
    """One block of the native format, as it is for clients with a protocol version; revision 0 has all others be without that."""
    columns = ("String", b"test"), ("String", b"26.9.2.1"), ("UInt32", None), ("String", b"UTC")
    block = b"\x01\x00\x02\xff\xff\xff\xff\x00" + bytes((len(columns), 1))
    for number, (kind, value) in enumerate(columns):
        block += _text(b"c%d" % number) + _text(kind.encode()) + b"\x00" + (bytes(4) if value is None else _text(value))
    return block


def _text(value: bytes) -> bytes:
    return bytes((len(value),)) + value


def serve(port: int, folder: str) -> None:
    """Answer until the process is ended."""
    from chdb import session

    database, turn = session.Session(folder), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._reply(200, b"Ok.\n") if urlsplit(self.path).path == "/ping" else self.do_POST()

        def do_POST(self) -> None:
            given = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
            body = self._body()
            if not self._is_known(given):
                self._reply(
                    403, b"Code: 516. DB::Exception: Authentication failed: password is incorrect. (AUTHENTICATION_FAILED)\n"
                )
                return
            try:
                self._reply(200, self._answer(given, body))
            except Exception as error:
                self._reply(500, f"{error}\n".encode())

        def _is_known(self, given: dict[str, str]) -> bool:
            basic = self.headers.get("Authorization", "").removeprefix("Basic ")
            user, _, password = base64.b64decode(basic).decode().partition(":")
            user = self.headers.get("X-ClickHouse-User") or given.get("user") or user
            return (user, self.headers.get("X-ClickHouse-Key") or given.get("password") or password) == (USER, PASSWORD)

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            found = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                found += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return found

        def _answer(self, given: dict[str, str], body: bytes) -> bytes:
            sql = given.get("query") or body.decode()
            if sql == _HELLO:
                return _hello()
            parameters = {key[6:]: value for key, value in given.items() if key.startswith("param_")}
            with turn:
                if given.get("database"):
                    database.query(f"USE `{given['database']}`")
                insert = _INSERT.fullmatch(sql)
                if insert is not None and given.get("query"):
                    with tempfile.NamedTemporaryFile() as file:
                        file.write(body)
                        file.flush()
                        database.query(f"{insert[1]} SELECT * FROM file('{file.name}', {insert[2]})")
                    return b""
                found = database.query(sql, given.get("default_format", "TabSeparated"), params=parameters or None)
                return bytes(found.bytes() or b"")

        def _reply(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2])
