"""JSON Schema: where a value does not match a schema, what was expected there and what was found.

    checker("event-line")(line)                # by a schema of ours: [Mismatch("level", "one of DEBUG, INFO, …", '"LOUD"')]
    compiled(schema, wording)(value)           # by any other

`jsonschema_rs` checks, by draft 2020-12 (``docs/decisions/0024-json-schema.md``); what it finds is worded here. A keyword without
words, such as a misspelt one, is refused when a schema is compiled. ``$ref`` is local, and patterns take linear time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache, reduce
from importlib.resources import files
from operator import getitem
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import orjson

from otel_agentlog._interrupts import raise_interrupt

if TYPE_CHECKING:
    from jsonschema_rs import ValidationError, Validator

SCHEMA_NAMES = ("metadata", "input", "final-result", "webhook-line", "event-line", "control-line")
"""Names of the schemas that ship with the package."""

_TYPES = ((str, "string"), (bool, "boolean"), ((int, float), "number"), (type(None), "null"), (list, "array"), (dict, "object"))
_EXPECTED = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "more than {}",
    "exclusiveMaximum": "less than {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "minProperties": "at least {} entries",
    "maxProperties": "at most {} entries",
}
"""Of each keyword that limits a number or a length: what it expects."""
_WORDED = frozenset({*_EXPECTED, "type", "enum", "const", "pattern", "required", "$ref"})
_BELOW = frozenset({"items", "additionalProperties", "if", "then", "else"})
"""Keywords with a schema as argument."""
NOTES = frozenset({"$schema", "$id", "$comment", "title", "description", "default", "examples", "writeOnly"})
"""Keywords that have no effect."""
_MOST_LEVELS = 250
"""Deeper levels are not checked: `jsonschema_rs` takes 255 levels."""
_MOST_BYTES = 200_000
"""Of a larger value, as JSON, only the first mismatch is reported: for all, `jsonschema_rs` needs 3 KB and 11 µs each."""


class Mismatch(NamedTuple):
    """Where a value does not match its schema."""

    path: str
    """Like ``details.price.source`` or ``tags[2]``; empty for the value itself."""
    expected: str
    found: str


Schema: TypeAlias = Mapping[str, Any]
Check: TypeAlias = Callable[[Any], list[Mismatch]]
"""Takes a value and returns its mismatches."""


def type_name(value: Any) -> str:
    """The name of a value's type, ``number`` for an integer; of what is no JSON its class's name."""
    return next((name for kind, name in _TYPES if isinstance(value, kind)), type(value).__name__)


def shown(value: Any, length: int = 80) -> str:
    """Return a value for an error message: short, printable, never more than a glimpse of the contents."""
    if isinstance(value, (dict, list)):
        return f"{type_name(value)} of {len(value)}"
    text = orjson.dumps(value).decode() if isinstance(value, (str, bool, type(None))) else str(value)
    text = text.encode("ascii", "backslashreplace").decode("ascii")
    return text if len(text) <= length else f"{text[: length - 1]}…"


class Wording:
    """How mismatches are worded."""

    def members(self, members: list[Any]) -> str:
        """What an ``enum`` or ``const`` expects."""
        texts = [member if isinstance(member, str) else shown(member) for member in members]
        return texts[0] if len(texts) == 1 else f"one of {', '.join(texts)}"

    def pattern(self, pattern: str) -> str:
        """What a ``pattern`` expects."""
        return f"text that matches {pattern}"

    def found(self, value: Any, schema: Schema) -> str:
        """What was found where the schema expected something else."""
        return shown(value)

    def unknown(self, name: str, schema: Schema) -> tuple[str, str]:
        """Expected and found where a name is not among the properties and ``additionalProperties`` is false."""
        return "no such name", name


@cache
def schema(name: str) -> dict[str, Any]:
    """Return one of `SCHEMA_NAMES`, a JSON Schema of draft 2020-12. Treat it as read-only."""
    found: dict[str, Any] = orjson.loads(files("otel_agentlog.store").joinpath(f"schemas/{name}.schema.json").read_bytes())
    return found


@cache
def checker(name: str) -> Check:
    """Return the check of one of `SCHEMA_NAMES`."""
    return compiled(schema(name))


def compiled(root: Schema, wording: Wording | None = None, at: str = "") -> Check:
    """Return the check of a schema; the paths of its mismatches begin with ``at``.

    Raises:
        ValueError: the schema is none, or has a keyword without words here.
    """
    import jsonschema_rs

    validator = jsonschema_rs.Draft202012Validator(
        _effective(root), pattern_options=jsonschema_rs.RegexOptions(), mask="a value", offline=True
    )
    worded = wording or Wording()

    def check(value: Any) -> list[Mismatch]:
        try:
            if validator.is_valid(value):
                return []
        except ValueError:  # too deep, or a text that is not Unicode
            raise_interrupt()
        value = _plain(value)
        return [mismatch for error in _errors(validator, value) for mismatch in _mismatches(error, value, root, worded, at)]

    return check


def _effective(schema: Any) -> dict[str, Any]:
    """The schema without its annotations, which may be any JSON."""
    if schema is True:
        return {}
    if not isinstance(schema, dict):
        raise ValueError(f"JSON Schema {schema!r} is not understood")
    return {keyword: _argument(keyword, schema[keyword]) for keyword in schema if keyword not in NOTES}


def _argument(keyword: str, argument: Any) -> Any:
    if keyword in ("properties", "$defs"):
        return {name: _effective(part) for name, part in argument.items()}
    if keyword == "allOf":
        return [_effective(part) for part in argument]
    if keyword == "additionalProperties" and argument is False:
        return False
    if keyword in _BELOW:
        return _effective(argument)
    if keyword not in _WORDED:
        raise ValueError(f"JSON Schema keyword {keyword!r} is not understood")
    return argument


def _plain(value: Any, level: int = 0) -> Any:
    """A copy as `jsonschema_rs` takes it: not too deep, and all texts Unicode."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {_plain(key): _plain(part, level + 1) for key, part in value.items() if level < _MOST_LEVELS}
    if isinstance(value, list):
        return [_plain(part, level + 1) for part in value if level < _MOST_LEVELS]
    return value


def _errors(validator: Validator, value: Any) -> list[ValidationError]:
    """What is wrong with the value; of a part of another type nothing more."""
    from jsonschema_rs import ValidationError

    if len(json.dumps(value)) > _MOST_BYTES:
        try:
            validator.validate(value)
        except ValidationError as first:
            return [first]
    errors = list(validator.iter_errors(value))
    wrong_type = {_place(error) for error in errors if error.kind.name == "type"}
    kept = [error for error in errors if error.kind.name == "type" or _place(error) not in wrong_type]
    # What is missing before what is too much: a misspelt name gives both, and the first says what to type.
    return sorted(kept, key=lambda error: error.kind.name == "additionalProperties")


def _place(error: ValidationError) -> tuple[tuple[str | int, ...], tuple[str | int, ...]]:
    """Which part of the value and which schema it is about."""
    return tuple(error.instance_path), tuple(error.evaluation_path[:-1])


def _mismatches(error: ValidationError, value: Any, root: Schema, wording: Wording, at: str) -> Iterator[Mismatch]:
    *steps, keyword = error.schema_path
    path = reduce(_joined, error.instance_path, at)
    part, schema = _part(value, error.instance_path), _part(root, steps)
    if keyword == "required":
        yield Mismatch(_joined(path, error.kind.value), "a value", "nothing")
    elif keyword == "additionalProperties":
        for name in part:
            if name not in schema.get("properties", ()):
                yield Mismatch(path, *wording.unknown(name, schema))
    else:
        yield Mismatch(path, _expected(str(keyword), schema[keyword], wording), wording.found(part, schema))


def _part(whole: Any, path: list[str | int]) -> Any:
    return reduce(getitem, path, whole)


def _joined(path: str, step: str | int) -> str:
    if isinstance(step, int):
        return f"{path}[{step}]"
    return f"{path}.{step}" if path else step


def _expected(keyword: str, argument: Any, wording: Wording) -> str:
    if keyword == "type":
        return argument if isinstance(argument, str) else " or ".join(argument)
    if keyword in ("enum", "const"):
        return wording.members(argument if keyword == "enum" else [argument])
    return wording.pattern(argument) if keyword == "pattern" else _EXPECTED[keyword].format(argument)
