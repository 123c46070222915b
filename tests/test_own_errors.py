"""What our own work raises is not taken for an interrupt."""

from __future__ import annotations

import json
import re
import sqlite3
import struct
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson
import pytest

from otel_agentlog._interrupts import interrupt_in
from otel_agentlog.errors import shown


def _bad_question() -> None:
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("nonsense")


WORK: dict[str, Callable[[], Any]] = {
    "orjson": lambda: orjson.loads(b'{"cut": '),
    "orjson encode": lambda: orjson.dumps({1, 2}),
    "json": lambda: json.loads("{"),
    "unicode": lambda: b"\xff".decode(),
    "surrogates": lambda: "\ud800".encode(),
    "expression": lambda: re.compile("("),
    "database": _bad_question,
    "struct": lambda: struct.unpack("<I", b""),
    "zlib": lambda: zlib.decompress(b"x"),
    "schema": lambda: jsonschema_rs.validate({"type": "object"}, 1),
    "number": lambda: int("x"),
    "file": lambda: Path("/nonexistent/file").read_bytes(),
}


@pytest.mark.parametrize("name", WORK)
def test_errors_of_parsers_and_the_system_are_our_own(name: str) -> None:
    """Also those that code in C raises, of classes that are written in Python."""
    with pytest.raises(Exception) as raised:
        WORK[name]()

    assert interrupt_in(raised.value) is None


@pytest.mark.parametrize(
    "value",
    [
        "x" * 10**6,
        b"\x00" * 10**6,
        list(range(10**5)),
        [[0] * 100] * 100,
        [""] * 67,
        [""] * 300,
        ["x"],
        list(range(60)),
        ("a",) * 99,
    ],
    ids=lambda value: f"{type(value).__name__} of {len(value)}",
)
def test_a_message_shows_how_a_value_begins(value: object) -> None:
    """Of a long text or list no more is made than is shown."""
    whole = repr(value)

    assert shown(value) == (whole if len(whole) <= 200 else f"{whole[:200]}…")
