"""Where a text is found that should be nowhere: in files, in OTLP requests, on the console."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from otel_agentlog.store.folder.layout import AGENT_OUTPUT
from otel_agentlog.store.folder.reader import read_lines
from otel_agentlog.vocabulary.chunks import joined


def places_of(text: str, folders: Iterable[Path], requests: Sequence[tuple[str, bytes]], console: str) -> Iterator[str]:
    """Yield where ``text`` is, one place after the other: the file and line, or the request, and the keys that lead to it."""
    if not text:
        raise ValueError("expected a text to look for, found an empty one, which is everywhere")
    forms = _forms(text)
    for folder in folders:
        for path in sorted(each for each in folder.rglob("*") if each.is_file()):
            yield from _in_file(path, folder, forms)
    for signal, body in requests:
        yield from _in_request(signal, body, forms)
    for number, line in enumerate(console.splitlines(), 1):
        if any(form in line for form in forms):
            yield f"console, line {number}"


def _forms(text: str) -> tuple[str, ...]:
    """The text as it is, and as JSON has it, also within JSON, with and without letters beyond ASCII."""
    forms = [text]
    for ascii_only in (False, True):
        form = text
        for _ in range(2):
            form = json.dumps(form, ensure_ascii=ascii_only)[1:-1]
            forms.append(form)
    return tuple(dict.fromkeys(forms))


def _in_file(path: Path, folder: Path, forms: Sequence[str]) -> Iterator[str]:
    name = str(path.relative_to(folder))
    if any(form in name for form in forms):
        yield f"the name of {name}"
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return  # a file of the moment, such as a lock's
    seen = set()
    for number, line in enumerate(raw.split(b"\n"), 1):
        for place in _in_json(line, forms):
            seen.add(place)
            yield f"{name}, line {number}, {place}" if place else f"{name}, line {number}"
    if path.name == AGENT_OUTPUT:
        for whole in joined(read_lines(path)):
            if "chunks" in whole and "content" not in seen and any(form in str(whole.get("content")) for form in forms):
                yield f"{name}, content of the {whole.get('type')} that begins at {whole.get('event_id')}, across its chunks"


def _in_json(line: bytes, forms: Sequence[str]) -> Iterator[str]:
    try:
        value = orjson.loads(line)
    except ValueError:
        if any(form.encode("utf-8", "surrogatepass") in line for form in forms):
            yield ""
        return
    yield from _in_value(value, "", forms)


def _in_request(signal: str, body: bytes, forms: Sequence[str]) -> Iterator[str]:
    from otel_agentlog.testing.otlp.decode import REQUEST_TYPES, decode_request

    for item in decode_request(REQUEST_TYPES[signal].FromString(body)):
        named = item.get("name") or item.get("event_name") or ""
        for place in _in_value(item, "", forms):
            yield f"OTLP {signal}, {named!r}, {place}"


def _in_value(value: Any, where: str, forms: Sequence[str]) -> Iterator[str]:
    """The keys that lead to each place within a JSON value, joined by dots."""
    if isinstance(value, dict):
        for key, item in value.items():
            inner = f"{where}.{key}" if where else str(key)
            if any(form in str(key) for form in forms):
                yield f"a key of {where or 'the line'}"
                inner = f"{where}.…"
            yield from _in_value(_decoded(item) if key == "$bytes" else item, inner, forms)
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from _in_value(item, f"{where}[{number}]", forms)
    else:
        yield from _in_text(value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value), where, forms)


def _in_text(text: str, where: str, forms: Sequence[str]) -> Iterator[str]:
    if any(form in text for form in forms):
        yield where
    elif text[:1] in ('"', "{", "["):
        # JSON within JSON, however often.
        with suppress(ValueError):
            yield from _in_value(orjson.loads(text), where, forms)


def _decoded(value: Any) -> Any:
    try:
        return base64.b64decode(value, validate=True)
    except (TypeError, ValueError, binascii.Error):
        return value
