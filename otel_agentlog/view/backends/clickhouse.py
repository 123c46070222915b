"""Asks ClickHouse over its HTTP interface: one statement, its rows as they come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

import orjson

from otel_agentlog.errors import AgentlogError, ConfigurationError

FORM = "clickhouse://USER:PASSWORD@HOST:PORT/DATABASE"
_SCHEMES = {"clickhouse": (False, 8123), "clickhouses": (True, 8443)}
"""Whether it is TLS, and the usual port."""
_CONNECT_S, _READ_S = 10.0, 300.0
_CHUNK_BYTES = 1 << 16
_MAX_SAID = 300
_SETTINGS = {
    "default_format": "JSONEachRow",
    "output_format_json_quote_64bit_integers": "0",
    "output_format_json_validate_utf8": "1",
}


class ClickHouse:
    """A database, named by a URL: ``clickhouse://USER:PASSWORD@HOST:PORT/DATABASE``, with TLS ``clickhouses://``.

    Raises:
        ConfigurationError: the URL is not of that form.
    """

    def __init__(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise ConfigurationError(f"--from: expected {FORM}, found a URL that cannot be read") from None
        if parts.scheme not in _SCHEMES or not host:
            raise ConfigurationError(f"--from: expected {FORM}, found {parts.scheme}://{host}")
        secure, usual_port = _SCHEMES[parts.scheme]
        if parse_qs(parts.query).get("secure", ["0"])[-1].lower() in ("1", "true"):
            secure, usual_port = _SCHEMES["clickhouses"]
        self._user, password = unquote(parts.username or "default"), unquote(parts.password or "")
        self._database = unquote(parts.path.strip("/")) or "default"
        self._place = f"{f'[{host}]' if ':' in host else host}:{port or usual_port}"
        self._url = f"{'https' if secure else 'http'}://{self._place}/"
        self._headers = {"X-ClickHouse-User": self._user, "X-ClickHouse-Key": password}

    @property
    def name(self) -> str:
        """The URL without the password."""
        return f"clickhouse://{self._user}@{self._place}/{self._database}"

    def rows(self, statement: str, parameters: Mapping[str, str | int | list[str]] | None = None) -> Iterator[dict[str, Any]]:
        """Yield the rows of a statement, each by the names of its columns; ``{name:Type}`` in it stands for a parameter.

        Raises:
            AgentlogError: ClickHouse is not there, refuses, or breaks off.
        """
        # Half of what a command costs that asks nobody.
        from urllib3 import PoolManager, Timeout
        from urllib3.exceptions import HTTPError

        given = {f"param_{key}": _as_parameter(value) for key, value in (parameters or {}).items()}
        url = f"{self._url}?{urlencode({'database': self._database, **_SETTINGS, **given})}"
        with PoolManager(timeout=Timeout(connect=_CONNECT_S, read=_READ_S), retries=False, headers=self._headers) as pool:
            try:
                response = pool.request("POST", url, body=statement.encode(), preload_content=False)
                if response.status != 200:
                    raise AgentlogError(f"{self.name} refuses: {_said(response.read(amt=4 * _MAX_SAID))}")
                yield from self._parsed(response.stream(_CHUNK_BYTES))
            except HTTPError as error:
                raise AgentlogError(f"{self.name} does not answer: {error}") from error

    def _parsed(self, chunks: Iterable[bytes]) -> Iterator[dict[str, Any]]:
        rest = b""
        for chunk in chunks:
            *lines, rest = (rest + chunk).split(b"\n")
            yield from map(self._row, lines)
        if rest:
            yield self._row(rest)

    def _row(self, line: bytes) -> dict[str, Any]:
        try:
            found = orjson.loads(line)
        except ValueError:
            found = None
        if not isinstance(found, dict) or "exception" in found:
            # An error that comes after the first rows stands in the place of one.
            raise AgentlogError(f"{self.name} broke off: {_said(line)}")
        return found


def _as_parameter(value: str | int | list[str]) -> str:
    """A value as ClickHouse reads it after ``param_``: a text with escapes, in a list also in quotes."""
    if isinstance(value, list):
        # Escaped twice: as a text in a list, and as the parameter.
        quoted = (each.replace("\\", "\\\\").replace("'", "\\'") for each in value)
        return _as_parameter("[" + ",".join(f"'{each}'" for each in quoted) + "]")
    if isinstance(value, int):
        return str(value)
    escaped = value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r").replace("\0", "\\0")
    return escaped.encode("utf-8", "replace").decode()


def _said(raw: bytes) -> str:
    return " ".join(raw.decode("utf-8", "replace").split())[:_MAX_SAID]
