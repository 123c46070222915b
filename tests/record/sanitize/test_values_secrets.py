"""Secrets go from values of any make, and a redactor that fails gives nothing away."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest

from otel_agentlog.record.redaction.redactor import FAILED, Redactor
from otel_agentlog.record.sanitize.cleaner import Cleaner, ValueLimits
from tests.record.hostile_values import Plain, Point
from tests.record.redaction.secret_corpus import SHAPES, leaks, planted

CLEANER = Cleaner(Redactor())


class BrokenRedactor(Redactor):
    """Raises at texts and bytes that hold ``boom``."""

    def changes(self, texts: Any, data: bytes) -> dict[str, tuple[str, int]]:
        raise ZeroDivisionError

    def data(self, data: bytes) -> tuple[bytes, int]:
        if b"boom" in data:
            raise ZeroDivisionError
        return super().data(data)


def test_secrets_go_from_values_and_names() -> None:
    """Key rules, value rules, pairs and name/value objects all mask, and each is counted once."""
    secret = next(p for p in planted(0) if p.kind == "github classic").secret
    cleaned = CLEANER.clean_line(
        {
            "password": "hunter2",
            "credentials": {"user": "me", "pin": 1234, "ok": True, "none": None},
            "headers": [("authorization", "Bearer x"), (b"cookie", b"a=b"), ("accept", "*/*")],
            "env": [{"name": "DB_PASSWORD", "value": "s3cret"}, {"name": "PORT", "value": "1"}],
            "token": "endoftext",
            "text": f"found {secret} there",
            f"key {secret}": 1,
            "raw": f"x {secret}".encode(),
            "schema": {"properties": {"password": {"type": "string"}}},
        }
    )

    assert cleaned.value == {
        "password": "[redacted:password]",
        "credentials": {"user": "[redacted:credential]", "pin": "[redacted:credential]", "ok": True, "none": None},
        "headers": [
            ["authorization", "[redacted:authorization]"],
            [{"$bytes": "Y29va2ll"}, "[redacted:cookie]"],
            ["accept", "*/*"],
        ],
        "env": [{"name": "DB_PASSWORD", "value": "[redacted:password]"}, {"name": "PORT", "value": "1"}],
        "token": "endoftext",
        "text": "found [redacted:github-token] there",
        "key [redacted:github-token]": 1,
        "raw": {"$bytes": base64.b64encode(b"x [redacted:github-token]").decode()},
        "schema": {"properties": {"password": {"type": "string"}}},
    }
    assert cleaned.redacted == 9


def test_a_key_given_beside_the_value_counts() -> None:
    """`clean` judges a value by the name it will stand under."""
    assert CLEANER.clean("hunter2", "password").value == "[redacted:password]"
    assert CLEANER.clean(["a", 2], "secrets").value == ["[redacted:secret]", "[redacted:secret]"]
    assert CLEANER.clean("hunter2", "animal").value == "hunter2"


@pytest.mark.parametrize("kind", list(SHAPES)[::9])
def test_secrets_go_from_exceptions_paths_and_fields(kind: str) -> None:
    """Texts that come out of objects are redacted like any other."""
    secret = next(p for p in planted(3) if p.kind == kind).secret

    cleaned = CLEANER.clean([ValueError(secret), Plain(secret, Point(1, secret)), {secret}, {"deep": [secret]}])

    assert not leaks(orjson.dumps(cleaned.value).decode(), secret)
    assert cleaned.redacted >= 5


def test_a_redactor_that_raises_costs_the_text_it_was_asked_about() -> None:
    """Fail closed: the text, bytes or name goes, its neighbours stay."""
    cleaned = Cleaner(BrokenRedactor()).clean({"a": "boom", "b": "fine", "c": b"boom", "boom key": 1, "long": "boom" * 5000})

    assert cleaned.value == {"a": FAILED, "b": "fine", "c": FAILED, FAILED: 1, "long": FAILED}
    assert cleaned.failed == 4


def test_names_that_cannot_be_judged_hide_their_values() -> None:
    """Fail closed: if the key rules raise, everything under a name is masked."""

    def broken(key: str) -> None:
        raise LookupError(key)

    cleaned = Cleaner(Redactor(keys=broken)).clean({"a": "text", "b": [1]})

    assert cleaned.value == {"a": FAILED, "b": [FAILED]}


def test_texts_are_judged_alike_alone_and_among_others() -> None:
    """Every kind of secret is found as one of many items of a list, whatever stands before it."""
    corpus = list(planted(3))
    cleaner = Cleaner(Redactor())
    limit = ValueLimits().max_items
    for begin in range(0, len(corpus), limit):
        part = corpus[begin : begin + limit]
        together = cleaner.clean([p.text for p in part]).value
        assert together == [cleaner.clean(p.text).value for p in part]
    card = next(p.text for p in corpus if p.kind == "discover" and p.context == "plain")
    assert cleaner.clean({"a": "2026-11-21", "b": card}).value == {"a": "2026-11-21", "b": "[redacted:card-number]"}
