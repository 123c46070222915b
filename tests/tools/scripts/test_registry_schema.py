"""The validator of inputs agrees with the reference validator wherever both know a keyword."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_agentlog.tools.scripts.schema import check_schema, violations

NAMES = st.sampled_from(["a", "b", "c"])
SCALARS = st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from([0.5, 1.0, -2.5]) | st.text("ab1", max_size=4)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=8
)
TYPES = st.sampled_from(["string", "number", "integer", "boolean", "null", "array", "object"])
COUNTS = st.integers(0, 4)


def _schemas(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries(
        {},
        optional={
            "type": TYPES | st.lists(TYPES, min_size=1, max_size=3, unique=True),
            "enum": st.lists(SCALARS, min_size=1, max_size=3),
            "const": SCALARS,
            "minimum": st.integers(-5, 5),
            "maximum": st.integers(-5, 5),
            "exclusiveMinimum": st.integers(-5, 5),
            "exclusiveMaximum": st.integers(-5, 5),
            "minLength": COUNTS,
            "maxLength": COUNTS,
            "minItems": COUNTS,
            "maxItems": COUNTS,
            "minProperties": COUNTS,
            "maxProperties": COUNTS,
            "pattern": st.sampled_from(["^a", "b$", "[0-9]", "^(ab)*$"]),
            "required": st.lists(NAMES, max_size=2, unique=True),
            "properties": st.dictionaries(NAMES, inner, max_size=2),
            "additionalProperties": st.booleans() | inner,
            "items": inner,
            "writeOnly": st.booleans(),
        },
    )


SCHEMAS = _schemas(st.just({}) | _schemas(st.just({})))


@settings(max_examples=300, deadline=None)
@given(schema=SCHEMAS, value=VALUES)
def test_it_agrees_with_the_reference_validator(schema: dict[str, Any], value: Any) -> None:
    """Valid there is valid here, and the other way round."""
    assert list(check_schema(schema)) == []

    assert (violations(schema, value) == []) == jsonschema.Draft202012Validator(schema).is_valid(value)


@settings(deadline=None)
@given(schema=VALUES | SCHEMAS)
def test_a_schema_is_checked_without_an_exception(schema: Any) -> None:
    """Whatever is given as schema, it is good or its problems are said."""
    for where, expected, _ in check_schema(schema):
        assert isinstance(where, str)
        assert expected


@pytest.mark.parametrize(
    "schema",
    [
        *({"pattern": pattern} for pattern in ("(?=a)", r"(a)\1", "[[:alpha:]]", r"\Qa\E", "(a{1000}){1000}", "(", 3)),
        *({"required": ["a", "a"]}, {"type": ["string", "string"]}, {"minimum": float("inf")}, {"properties": {"\ud800": {}}}),
        *({"minimun": 3}, {"allOf": []}, {"properties": {"a": {"format": "email"}}}, {"items": []}, {"$ref": "#"}, True),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused(schema: Any) -> None:
    """A wrong pattern, what the standard does not allow, and keywords that nothing checks."""
    assert len(list(check_schema(schema))) == 1


@pytest.mark.parametrize(
    "pattern", [r"^[:,/]+$", r"^\d{3}-\w+\s?$", r"\p{Greek}", "(?i)^abc$", "^(?:a|b)*?$", r"^[\w.+-]+@example\.org\z"]
)
def test_usual_patterns_are_taken(pattern: str) -> None:
    """In the syntax that RE2 and JSON Schema share."""
    assert list(check_schema({"pattern": pattern})) == []
    assert violations({"pattern": pattern}, "\0")


def test_notes_may_be_anything() -> None:
    """They have no effect, not even a wrong one."""
    schema = {"$schema": "about:blank", "$id": "#", "title": 3, "examples": "x", "default": [], "items": {"writeOnly": "yes"}}

    assert list(check_schema(schema)) == []
    assert violations(schema, [1]) == []


@settings(deadline=None)
@given(secret=st.text("qxyz", min_size=8, max_size=20), schema=SCHEMAS)
def test_messages_do_not_repeat_texts(secret: str, schema: dict[str, Any]) -> None:
    """A text that was given stands in no message: it may be secret."""
    assert secret not in "".join(violations(schema, secret) + violations(schema, {"a": secret, "b": [secret]}))


def test_messages_name_each_place() -> None:
    """The path to what is wrong, what was expected, what was found."""
    schema = {
        "type": "object",
        "required": ["files", "mode"],
        "properties": {
            "files": {"type": "array", "items": {"type": "string", "pattern": r"\.py$"}},
            "mode": {"enum": ["fast", "full"]},
            "pin": {"type": "integer", "maximum": 5, "writeOnly": True},
        },
    }

    assert violations(schema, {"files": ["a.py", 3, "b.txt"], "pin": 1234}) == [
        "inputs.mode: expected a value, found nothing",
        "inputs.files[1]: expected string, found number 3",
        "inputs.files[2]: expected a text that matches '\\\\.py$', found string of 5 characters",
        "inputs.pin: expected at most 5, found number",
    ]
